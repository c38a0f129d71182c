"""Downloads from a Hub that fails in every way: the right bytes, or one clear message and nothing half-fetched."""

import pathlib
import random
import resource
import subprocess
import time

import pytest
from fake_hub import Repo, git_sha1, sha256
from running import BUILD

WEIGHTS = random.Random(0).randbytes(1_024_000)
NAME = "org/one/model.safetensors"


@pytest.fixture
def repo(hub):
    hub.repos["org/one"] = Repo({"model.safetensors": WEIGHTS, "config.json": b"{}"}, large=["model.safetensors"])
    return hub.repos["org/one"]


def cache_of(tmp_path):
    return tmp_path / "hf/hub/models--org--one"


def fetched(result):
    assert result.returncode == 0, result.stderr
    return pathlib.Path(result.stdout.strip())


def refused(result, tmp_path):
    """The one message of a failed fetch, after a look that nothing in the cache can be taken for a model."""
    assert result.returncode == 1 and result.stdout == ""
    for folder in ("blobs", "snapshots"):
        names = [p for p in (cache_of(tmp_path) / folder).rglob("*") if not p.is_dir()]
        assert all(p.name.endswith(".incomplete") for p in names), names
    (message,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    return message


def test_a_large_file_comes_from_the_second_host_which_sees_no_token(hub, repo, fetch, tmp_path):
    repo.token = "hf_secret"
    path = fetched(fetch("file", NAME, HF_TOKEN="hf_secret"))
    assert path.read_bytes() == WEIGHTS
    assert path == cache_of(tmp_path) / "snapshots" / repo.commit() / "model.safetensors"
    assert path.resolve() == cache_of(tmp_path) / "blobs" / sha256(WEIGHTS)
    assert (cache_of(tmp_path) / "refs/main").read_text() == repo.commit()
    for request in hub.requests:
        assert ("Authorization" in request.headers) == (request.host == "hub"), request
    assert hub.paths(host="cdn")


@pytest.mark.parametrize("faults", [
    ["cut:0"], ["cut:1000", "cut:500000", "cut:1"], ["short:1000"], ["wrong"], ["long"], ["status:500", "status:503"],
    ["status:429:1"], ["cut:70000", "wrong"], ["status:502", "cut:3", "short:9"],
], ids=lambda f: "+".join(f))
def test_passing_faults_end_in_the_right_bytes(hub, repo, fetch, tmp_path, faults):
    hub.faults["model.safetensors"] = list(faults)
    begin = time.monotonic()
    assert fetched(fetch("file", NAME)).read_bytes() == WEIGHTS
    assert not hub.faults["model.safetensors"]
    assert not list(cache_of(tmp_path).rglob("*.incomplete"))
    if faults == ["status:429:1"]:
        assert time.monotonic() - begin > 1  # as the server asked


@pytest.mark.parametrize("fault, message", [
    ("cut:0", "cannot be reached"), ("short:0", "another length or checksum"),
    ("wrong", "another length or checksum"), ("long", "another length or checksum"), ("status:500", "answers with 500"),
    ("status:429:1000", "fewer requests"), ("status:403", "HF_TOKEN"), ("status:404", "no file"),
], ids=lambda f: f.split()[0])
def test_faults_that_stay_end_in_a_message(hub, repo, fetch, tmp_path, fault, message):
    hub.faults["model.safetensors"] = [fault] * 20
    assert message in refused(fetch("file", NAME), tmp_path)
    hub.faults.clear()
    assert fetched(fetch("file", NAME)).read_bytes() == WEIGHTS


def test_a_server_that_falls_silent_is_asked_again(hub, repo, fetch):
    hub.faults["model.safetensors"] = ["hang:300000"]
    begin = time.monotonic()
    assert fetched(fetch("file", NAME, HF_HUB_DOWNLOAD_TIMEOUT="1")).read_bytes() == WEIGHTS
    assert time.monotonic() - begin < 5
    assert hub.requests[-1].headers["Range"] == "bytes=300000-"


def test_what_was_cut_is_not_fetched_twice(hub, repo, fetch):
    hub.faults["model.safetensors"] = ["cut:600000"]
    fetched(fetch("file", NAME))
    first, second = [r for r in hub.requests if r.host == "cdn"]
    assert "Range" not in first.headers
    assert second.headers["Range"] == "bytes=600000-"
    assert second.headers["If-Range"].startswith('"')  # of the host that sends


def test_another_process_goes_on_from_an_incomplete_file(hub, repo, fetch, tmp_path):
    blobs = cache_of(tmp_path) / "blobs"
    blobs.mkdir(parents=True)
    incomplete = blobs / f"{sha256(WEIGHTS)}.incomplete"  # as huggingface_hub names it
    incomplete.write_bytes(WEIGHTS[:400000])
    assert fetched(fetch("file", NAME)).read_bytes() == WEIGHTS
    assert hub.requests[-1].headers["Range"] == "bytes=400000-"
    for content in (b"x" * 400000, WEIGHTS + b"more", WEIGHTS):  # wrong, too long, all there
        for file in blobs.iterdir():
            file.unlink()
        incomplete.write_bytes(content)
        assert fetched(fetch("file", NAME)).read_bytes() == WEIGHTS


def test_a_server_without_ranges_sends_all_again(hub, repo, fetch):
    hub.ignores_ranges = True
    hub.faults["model.safetensors"] = ["cut:600000"]
    assert fetched(fetch("file", NAME)).read_bytes() == WEIGHTS
    assert len(hub.paths(host="cdn")) == 2


def test_a_file_that_changes_between_two_tries(hub, repo, fetch, tmp_path):
    hub.faults["model.safetensors"] = ["cut:600000"]
    commit = repo.commit()
    changed = WEIGHTS[::-1]
    original = hub.next_fault

    def next_fault(name):  # the same commit suddenly has other bytes
        fault = original(name)
        if fault.startswith("cut"):
            repo.history[commit]["model.safetensors"] = changed
        return fault

    hub.next_fault = next_fault
    assert fetched(fetch("file", NAME)).read_bytes() == changed
    assert {p.name for p in (cache_of(tmp_path) / "blobs").iterdir()} == {sha256(changed)}


def test_a_moved_branch_brings_only_what_changed(hub, repo, fetch, tmp_path):
    repo.push({"unet/config.json": b"1", "vae/config.json": b"2"})
    fetched(fetch("state", "org/one/unet"))
    fetched(fetch("state", "org/one/vae"))
    second = repo.push({"unet/config.json": b"3"})
    hub.requests.clear()
    folder = fetched(fetch("state", "org/one/unet"))
    assert (folder / "config.json").read_bytes() == b"3"
    hub.requests.clear()
    assert (fetched(fetch("state", "org/one/vae")) / "config.json").read_bytes() == b"2"
    assert not [p for p in hub.paths() if "/resolve/" in p]  # the blob has it
    hub.requests.clear()
    fetched(fetch("file", NAME + "@" + second))
    hub.requests.clear()
    fetched(fetch("file", NAME + "@" + second))
    assert hub.requests == []  # a commit stays what it is


def test_a_folder_of_a_commit_is_made_whole_where_it_was_cut_short(hub, repo, fetch):
    repo.push({"state/manifest.json": b"{}", "state/optimizer.safetensors": WEIGHTS})
    name = f"org/one/state:{repo.commit()}"
    hub.faults["state/optimizer.safetensors"] = ["cut:1000", "status:404"]
    assert fetch("state", name).returncode == 1
    folder = fetched(fetch("state", name))
    assert (folder / "manifest.json").read_bytes() == b"{}"
    assert (folder / "optimizer.safetensors").read_bytes() == WEIGHTS
    hub.requests.clear()
    assert fetched(fetch("state", name)) == folder
    assert len(hub.requests) == 1  # what the folder holds
    hub.requests.clear()
    hub.api_faults = ["status:503"] * 20
    result = fetch("state", name)
    assert fetched(result) == folder and "the copy in the cache is used" in result.stderr
    hub.requests.clear()
    assert fetched(fetch("state", name, HF_HUB_OFFLINE="1")) == folder
    assert hub.requests == []


def test_revisions(hub, repo, fetch):
    first = repo.commit()
    repo.push({"model.safetensors": b"second"}, revision="refs/pr/1")
    assert fetched(fetch("file", NAME)).read_bytes() == WEIGHTS
    assert fetched(fetch("file", NAME + "@refs/pr/1")).read_bytes() == b"second"
    assert fetched(fetch("file", NAME + "@" + first)).read_bytes() == WEIGHTS


@pytest.mark.parametrize("name, token, message", [
    ("org/none/a.safetensors", "", "org/none, or shows it to some"),
    ("org/none/a.safetensors", "hf_x", "has no org/none"),
    ("org/one/other.safetensors", "", 'no file "other.safetensors"'),
    ("org/one/model.safetensors@other", "", 'no revision "other"'),
    ("org/gated/a.safetensors", "", "terms"),
    ("org/gated/a.safetensors", "hf_wrong", "terms"),
])
def test_what_may_not_or_cannot_be_read(hub, repo, fetch, tmp_path, name, token, message):
    hub.repos["org/gated"] = Repo({"a.safetensors": b"a"}, token="hf_right", gated=True)
    result = fetch("file", name, HF_TOKEN=token)
    assert message in refused(result, tmp_path)
    assert hub.endpoint in result.stderr
    assert len(hub.requests) == 1  # asked once: no wait changes it


@pytest.mark.parametrize("bad", ["runs/../../../../evil", "runs//a", "/runs/evil", "runs/a\\b"])
def test_names_that_leave_the_folder_are_refused(hub, repo, fetch, tmp_path, bad):
    repo.push({"runs/" + bad if bad.startswith("/") else bad: b"evil"})
    assert "outside" in refused(fetch("state", "org/one/runs"), tmp_path)
    assert not list(tmp_path.rglob("evil"))


def test_an_answer_that_is_no_hubs(hub, repo, fetch, tmp_path):
    hub.api_faults = ["status:200"]
    assert "none of a Hugging Face Hub" in refused(fetch("file", NAME), tmp_path)


def test_nobody_there(repo, fetch, tmp_path):
    message = refused(fetch("file", NAME, HF_ENDPOINT="http://127.0.0.1:9"), tmp_path)
    assert "cannot be reached" in message and "http://127.0.0.1:9" in message


def test_offline_means_that_nothing_is_asked(hub, repo, fetch, tmp_path):
    assert "not in the cache" in refused(fetch("file", NAME, HF_HUB_OFFLINE="1"), tmp_path)
    assert hub.requests == []
    path = fetched(fetch("file", NAME))
    hub.requests.clear()
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        assert fetched(fetch("file", NAME, **{variable: "1"})) == path
    assert hub.requests == []


def test_the_cache_stands_in_where_the_hub_does_not_answer(hub, repo, fetch):
    path = fetched(fetch("file", NAME))
    del hub.repos["org/one"]
    for endpoint in (hub.endpoint, "http://127.0.0.1:9"):
        result = fetch("file", NAME, HF_ENDPOINT=endpoint)
        assert fetched(result) == path
        assert "the copy in the cache is used" in result.stderr


def test_a_full_disk(hub, repo, fetch, tmp_path, environment):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))

    result = subprocess.run([str(BUILD / "sdtune-hub"), "file", NAME], capture_output=True, text=True, env=environment,
                            preexec_fn=limit, restore_signals=False)
    assert "cannot be written: File too large" in refused(result, tmp_path)
    assert fetched(fetch("file", NAME)).read_bytes() == WEIGHTS
    assert hub.requests[-1].headers["Range"] == "bytes=300000-"


def test_proxies_of_the_environment_are_used(hub, repo, fetch):
    repo.large.clear()
    proxy = hub.endpoint
    assert fetched(fetch("file", NAME, HF_ENDPOINT="http://hub.example", http_proxy=proxy)).read_bytes() == WEIGHTS
    assert all(path.startswith("http://hub.example/") for path in hub.paths())


@pytest.mark.parametrize("form", ["{}", "http://127.0.0.1:PORT{}"])
def test_a_renamed_repository_is_followed(hub, repo, fetch, form):
    hub.moved = {"org/old": "org/one"}
    hub.moved_form = form.replace("PORT", str(hub.hub.server_port))
    repo.token = "hf_secret"
    assert fetched(fetch("file", "org/old/model.safetensors", HF_TOKEN="hf_secret")).read_bytes() == WEIGHTS


def test_small_files_are_checked_by_gits_checksum(hub, repo, fetch, tmp_path):
    repo.push({"runs/state.json": b"the state"})
    hub.faults["runs/state.json"] = ["wrong"]
    folder = fetched(fetch("state", "org/one/runs"))
    assert (folder / "state.json").read_bytes() == b"the state"
    assert (cache_of(tmp_path) / "blobs" / git_sha1(b"the state")).is_file()
