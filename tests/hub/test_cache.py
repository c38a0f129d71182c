"""The cache is huggingface_hub's: what it fetched is found, what we fetch it finds. Several processes, and kills."""

import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
from fake_hub import Repo, sha256

BIG = random.Random(0).randbytes(2_048_000)
FILES = {
    "model_index.json": b"{}",
    "unet/config.json": b'{"u": 1}', "unet/diffusion_pytorch_model.safetensors": BIG,
    "unet/diffusion_pytorch_model.bin": b"a pickle",
    "vae/config.json": b'{"v": 1}', "vae/diffusion_pytorch_model.safetensors": BIG[::-1],
    "text_encoder/config.json": b'{"t": 1}', "text_encoder/model.safetensors": BIG[1:],
    "tokenizer/merges.txt": b"merges", "scheduler/scheduler_config.json": b"{}",
    "safety_checker/config.json": b"{}", "safety_checker/model.safetensors": b"checker",
    "feature_extractor/preprocessor_config.json": b'{"f": 1}', "README.md": b"words",
}
UNUSED = {"README.md", "unet/diffusion_pytorch_model.bin", "safety_checker/config.json",
          "safety_checker/model.safetensors"}


@pytest.fixture
def repo(hub):
    hub.repos["org/sd"] = Repo(FILES, large=[n for n in FILES if n.endswith((".safetensors", ".bin"))])
    return hub.repos["org/sd"]


def python(environment, code, **variables):
    """What the code prints, as JSON, with huggingface_hub's names imported."""
    head = "import json\nfrom huggingface_hub import snapshot_download, try_to_load_from_cache, hf_hub_download\n"
    result = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True,
                            env=environment | {"HF_HUB_DISABLE_XET": "1"} | variables)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def path_of(result):
    assert result.returncode == 0, result.stderr
    return pathlib.Path(result.stdout.strip())


def test_only_what_is_needed_is_fetched(hub, repo, fetch):
    result = fetch("model", "org/sd")
    folder = path_of(result)
    assert "another process" not in result.stderr  # two files of the same bytes are one blob
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == {name: content for name, content in FILES.items() if name not in UNUSED}


def test_a_vae_is_fetched_alone(hub, repo, fetch):
    folder = path_of(fetch("vae", "org/sd"))
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names == {"vae/config.json", "vae/diffusion_pytorch_model.safetensors"}


def test_huggingface_hub_finds_what_was_fetched(hub, repo, fetch, environment):
    folder = path_of(fetch("model", "org/sd"))
    found = python(environment, f"""
print(json.dumps([try_to_load_from_cache("org/sd", "unet/diffusion_pytorch_model.safetensors"),
                  try_to_load_from_cache("org/sd", "README.md"),
                  snapshot_download("org/sd", local_files_only=True),
                  hf_hub_download("org/sd", "vae/config.json")]))""")
    assert found == [str(folder / "unet/diffusion_pytorch_model.safetensors"), None, str(folder),
                     str(folder / "vae/config.json")]


def test_what_huggingface_hub_fetched_is_found(hub, repo, fetch, environment):
    folder = python(environment, 'print(json.dumps(snapshot_download("org/sd")))')
    hub.requests.clear()
    assert str(path_of(fetch("model", "org/sd"))) == folder
    assert len(hub.requests) == 1  # which commit the branch is at
    assert str(path_of(fetch("model", "org/sd", HF_HUB_OFFLINE="1"))) == folder


def test_each_goes_on_where_the_other_was_cut(hub, repo, fetch, environment, tmp_path):
    name = "unet/diffusion_pytorch_model.safetensors"
    blob = tmp_path / "hf/hub/models--org--sd/blobs" / sha256(BIG)
    hub.faults[name] = ["cut:700000", "status:404"]
    assert fetch("model", "org/sd").returncode == 1
    assert blob.with_name(blob.name + ".incomplete").stat().st_size == 700000
    hub.requests.clear()
    path = python(environment, f'print(json.dumps(hf_hub_download("org/sd", "{name}")))')
    assert pathlib.Path(path).read_bytes() == BIG
    assert [r.headers["Range"] for r in hub.requests if r.host == "cdn" and r.method == "GET"] == ["bytes=700000-"]


def test_a_cache_that_lacks_a_part_is_not_used_offline(hub, repo, fetch):
    folder = path_of(fetch("model", "org/sd"))
    (folder / "vae/diffusion_pytorch_model.safetensors").resolve().unlink()
    result = fetch("model", "org/sd", HF_HUB_OFFLINE="1")
    assert result.returncode == 1 and "not all of it" in result.stderr
    path_of(fetch("model", "org/sd"))
    assert (folder / "vae/diffusion_pytorch_model.safetensors").read_bytes() == BIG[::-1]


def test_a_newer_commit_counts_once_it_is_whole(hub, repo, fetch):
    old = path_of(fetch("model", "org/sd"))
    repo.push({"unet/diffusion_pytorch_model.safetensors": BIG + b"new"})
    hub.faults["unet/diffusion_pytorch_model.safetensors"] = ["cut:1000", "status:404"]
    assert fetch("model", "org/sd").returncode == 1
    assert path_of(fetch("model", "org/sd", HF_HUB_OFFLINE="1")) == old
    new = path_of(fetch("model", "org/sd"))
    assert new != old
    assert (new / "unet/diffusion_pytorch_model.safetensors").read_bytes() == BIG + b"new"


def test_two_processes_at_once_fetch_each_byte_once(hub, repo, fetch, start):
    hub.bytes_per_second = 1_500_000
    first, second = start("model", "org/sd"), start("model", "org/sd")
    outputs = [process.communicate(timeout=60) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    folder = pathlib.Path(outputs[0][0].strip())
    assert outputs[1][0] == outputs[0][0]
    assert (folder / "unet/diffusion_pytorch_model.safetensors").read_bytes() == BIG
    gets = [p for p in hub.paths(host="cdn")]
    assert len(gets) == len(set(gets)) == 3


def bytes_in(folder):
    """Of what is there; names may change while it is counted."""
    total = 0
    for name in os.listdir(folder) if folder.exists() else []:
        with contextlib.suppress(FileNotFoundError):
            total += (folder / name).stat().st_size
    return total


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_and_started_again(hub, repo, fetch, start, tmp_path, way):
    hub.bytes_per_second = 200_000  # slow enough that a busy machine cannot miss the middle
    blobs = tmp_path / "hf/hub/models--org--sd/blobs"
    for _ in range(2):
        process = start("model", "org/sd")
        deadline = time.monotonic() + 20
        before = bytes_in(blobs)
        while time.monotonic() < deadline and bytes_in(blobs) < before + 30_000:
            time.sleep(0.005)
        process.send_signal(way)
        assert process.wait(10) == -way
    assert list(blobs.glob("*.incomplete"))
    assert fetch("model", "org/sd", HF_HUB_OFFLINE="1").returncode == 1
    hub.bytes_per_second = None
    hub.requests.clear()
    folder = path_of(fetch("model", "org/sd"))
    assert {name: (folder / name).read_bytes() for name in FILES if name not in UNUSED} == {
        name: content for name, content in FILES.items() if name not in UNUSED}
    assert any("Range" in r.headers for r in hub.requests)


def test_the_places_of_the_cache(hub, repo, fetch, tmp_path):
    for variable, folder in (("HF_HUB_CACHE", tmp_path / "a"), ("HUGGINGFACE_HUB_CACHE", tmp_path / "b")):
        assert path_of(fetch("vae", "org/sd", **{variable: str(folder)})).is_relative_to(folder)
    assert path_of(fetch("vae", "org/sd", HF_HOME="", XDG_CACHE_HOME=str(tmp_path / "c"))).is_relative_to(
        tmp_path / "c/huggingface/hub")


def test_a_token_in_its_file(hub, repo, fetch, tmp_path):
    repo.token = "hf_kept"
    assert fetch("vae", "org/sd").returncode == 1
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf/token").write_text("hf_kept\n")
    path_of(fetch("vae", "org/sd"))
