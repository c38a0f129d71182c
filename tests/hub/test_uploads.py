"""Uploads: what arrives at the Hub is what was written, under the names asked for, whatever happens on the way."""

import random

import pytest
from fake_hub import Repo

BIG = random.Random(0).randbytes(2_048_000)
TOKEN = {"HF_TOKEN": "hf_mine"}


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "mine-state"
    folder.mkdir()
    (folder / "train_state.json").write_text("{}")
    (folder / "empty.json").write_text("")
    (folder / "unet.safetensors").write_bytes(BIG)
    (folder / "größe").mkdir()
    (folder / "größe/optimizer.safetensors").write_bytes(BIG[::-1])
    return folder


def expected(saved, prefix):
    return {f"{prefix}{p.relative_to(saved).as_posix()}": p.read_bytes() for p in saved.rglob("*") if p.is_file()}


def test_a_folder_becomes_one_commit_of_a_new_repository(hub, fetch, saved):
    result = fetch("upload", str(saved), "me/mine/runs/first", **TOKEN)
    assert result.returncode == 0, result.stderr
    repo = hub.repos["me/mine"]
    assert repo.private
    assert repo.files == expected(saved, "runs/first/mine-state/")
    assert len([p for p in hub.paths("POST") if "/commit/" in p]) == 1
    assert hub.paths("POST").count("/verify") == 2, "one for each large file"
    for request in hub.requests:  # signed addresses of another host need no token, and get none
        assert ("Authorization" in request.headers) == (request.host == "hub"), request


def test_a_file_at_the_root_of_a_repository_that_is_there(hub, fetch, saved):
    hub.repos["me/mine"] = Repo({"README.md": b"words"}, token="hf_mine")
    assert fetch("upload", str(saved / "unet.safetensors"), "me/mine", **TOKEN).returncode == 0
    assert hub.repos["me/mine"].files == {"README.md": b"words", "unet.safetensors": BIG}
    assert "/api/repos/create" not in hub.paths("POST")


def test_bytes_that_are_there_are_not_sent_again(hub, fetch, saved):
    for name in ("one", "two"):
        assert fetch("upload", str(saved / "unet.safetensors"), f"me/mine/{name}", **TOKEN).returncode == 0
    assert len(hub.paths("PUT")) == 1
    assert hub.repos["me/mine"].files == {"one/unet.safetensors": BIG, "two/unet.safetensors": BIG}


@pytest.mark.parametrize("part", [len(BIG) // 3, len(BIG) // 4])  # with a rest, and without
def test_parts(hub, fetch, saved, part):
    hub.multipart_bytes = part
    hub.faults["upload"] = ["none", "status:503", "drop"]
    assert fetch("upload", str(saved / "unet.safetensors"), "me/mine", **TOKEN).returncode == 0
    assert hub.repos["me/mine"].files == {"unet.safetensors": BIG}
    assert len(hub.parts) == -(-len(BIG) // part)


def test_passing_faults(hub, fetch, saved):
    hub.faults["upload"] = ["drop", "status:500", "status:429"]
    hub.api_faults = ["status:503", "none", "status:502"]
    result = fetch("upload", str(saved), "me/mine", **TOKEN)
    assert result.returncode == 0, result.stderr
    assert hub.repos["me/mine"].files == expected(saved, "mine-state/")


@pytest.mark.parametrize("fault, message", [("drop", "cannot be reached"), ("status:403", "HF_TOKEN"),
                                            ("status:500", "answers with 500")])
def test_faults_that_stay_commit_nothing(hub, fetch, saved, fault, message):
    hub.faults["upload"] = [fault] * 20
    result = fetch("upload", str(saved), "me/mine", **TOKEN)
    assert result.returncode == 1 and result.stderr.count("error: ") == 1 and message in result.stderr
    assert hub.repos["me/mine"].files == {}
    assert not [p for p in hub.paths("POST") if "/commit/" in p]


def test_offline_means_that_nothing_is_sent(hub, fetch, saved):
    result = fetch("upload", str(saved), "me/mine", HF_HUB_OFFLINE="1", **TOKEN)
    assert result.returncode == 1 and "HF_HUB_OFFLINE" in result.stderr
    assert hub.requests == []


def test_what_was_uploaded_comes_back(hub, fetch, saved):
    assert fetch("upload", str(saved), "me/mine/runs", **TOKEN).returncode == 0
    result = fetch("state", "me/mine/runs/mine-state", **TOKEN)
    assert result.returncode == 0, result.stderr
    folder = saved.__class__(result.stdout.strip())
    assert expected(folder, "") == expected(saved, "")
