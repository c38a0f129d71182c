"""Which saves there are and which stay, and what a run does when the disk is full."""

import os
import resource
import shutil
import subprocess
import time

import pytest
import torch
from running import read_events, start_sdtune, train_args, wait_for_step


def names(folder, suffix):
    return sorted(p.name.removesuffix(suffix) for p in folder.iterdir() if p.name.endswith(suffix))


# 6 pictures: an epoch is 6 steps. Options; models; states.
CASES = [
    ("--max_train_epochs=5 --save_every_n_epochs=1 --save_last_n_epochs=2 --save_state",
     ["mine", "mine-000003", "mine-000004"], ["mine", "mine-000003", "mine-000004"]),
    ("--max_train_epochs=5 --save_every_n_epochs=1 --save_last_n_epochs=3 --save_last_n_epochs_state=1 --save_state",
     ["mine", "mine-000002", "mine-000003", "mine-000004"], ["mine", "mine-000004"]),
    ("--max_train_epochs=4 --save_n_epoch_ratio=2", ["mine", "mine-000002"], []),
    ("--max_train_steps=9 --save_every_n_steps=2 --save_last_n_steps=3 --save_last_n_steps_state=1 --save_state",
     ["mine", "mine-step00000006", "mine-step00000008"], ["mine", "mine-step00000008"]),
    ("--max_train_steps=13 --save_every_n_steps=4 --save_every_n_epochs=1 --save_last_n=2 --save_state",
     ["mine", "mine-000002", "mine-step00000012"], ["mine", "mine-000002", "mine-step00000012"]),
    ("--max_train_steps=7 --save_every_n_steps=2 --save_last_n=3 --save_last_n_state=1 --save_state",
     ["mine", "mine-step00000002", "mine-step00000004", "mine-step00000006"], ["mine", "mine-step00000006"]),
    ("--max_train_steps=5 --save_every_n_steps=2 --save_last_n=1 --ema",
     ["mine", "mine-ema", "mine-step00000004", "mine-step00000004-ema"], []),
]


@pytest.mark.parametrize("options, models, states", CASES)
def test_what_stays(sdtune, small_models, pictures, tmp_path, options, models, states):
    result = sdtune(*train_args(small_models(), pictures, tmp_path, *options.split()))
    assert result.returncode == 0, result.stderr
    assert names(tmp_path, ".safetensors") == models
    assert names(tmp_path, "-state") == states
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_epochs_of_pictures_that_cannot_all_be_read(sdtune, small_models, pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    bad = sorted(folder.glob("*.png"))[0]
    bad.write_bytes(bad.read_bytes()[:-200])
    output = tmp_path / "out"
    result = sdtune(*train_args(small_models(), folder, output, "--max_train_epochs=6", "--save_every_n_epochs=1"))
    assert result.returncode == 0, result.stderr
    # The bad one is the last of some epoch; each epoch has 5 steps.
    assert [e["step"] for e in read_events(output) if e["event"] == "step"] == list(range(1, 31))
    assert names(output, ".safetensors") == ["mine", *(f"mine-{epoch:06}" for epoch in range(1, 6))]


def test_which_epoch_a_ckpt_says(sdtune, small_models, pictures, tmp_path):
    result = sdtune(*train_args(small_models(), pictures, tmp_path, "--max_train_epochs=2", "--save_every_n_epochs=1",
                                "--save_every_n_steps=6", "--save_model_as=ckpt"))
    assert result.returncode == 0, result.stderr
    told = {name: torch.load(tmp_path / f"{name}.ckpt", weights_only=True)["epoch"] for name in names(tmp_path, ".ckpt")}
    # Steps and the end count epochs from 0, epochs from 1.
    assert told == {"mine-step00000006": 0, "mine-000001": 1, "mine-step00000012": 1, "mine": 1}


def test_folders_of_diffusers_are_removed_too(sdtune, small_models, pictures, tmp_path):
    result = sdtune(*train_args(small_models(), pictures, tmp_path, "--save_model_as=diffusers", "--max_train_steps=3",
                                "--save_every_n_steps=1", "--save_last_n=1"))
    assert result.returncode == 0, result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "mine-run", "mine-step00000003"]


def test_files_of_others_stay(sdtune, small_models, pictures, tmp_path):
    for name in ["mine-step00000001.ckpt", "other-step00000001.safetensors", "mine-step00000090.safetensors"]:
        (tmp_path / name).write_text("not ours")
    result = sdtune(*train_args(small_models(), pictures, tmp_path, "--save_every_n_steps=1", "--save_last_n=1"))
    assert result.returncode == 0, result.stderr
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == [
        "mine-step00000001.ckpt", "mine-step00000004.safetensors", "mine-step00000090.safetensors",
        "mine.safetensors", "other-step00000001.safetensors"]


def test_saves_by_the_clock(sdtune, small_models, pictures, tmp_path):
    result = sdtune(*train_args(small_models(), pictures, tmp_path, "--save_every_n_minutes=0.01", "--save_state",
                                "--max_train_time=8s", "--max_train_steps=100000"))
    assert result.returncode == 0, result.stderr
    saved = [e["step"] for e in read_events(tmp_path) if e["event"] == "checkpoint"]
    # 0.6 s apart at least, beside the one for the time that is up
    assert 2 <= len(saved) <= 14 and saved == sorted(set(saved))
    assert len(names(tmp_path, "-state")) == len(saved)


def test_retention_without_what_it_counts_is_said(sdtune, small_models, pictures, tmp_path):
    result = sdtune(*train_args(small_models(), pictures, tmp_path, "--save_last_n_steps=3", "--max_train_steps=1"))
    assert "--save_last_n_steps has no effect without --save_every_n_steps" in result.stderr


def model_size(sdtune, model, pictures, folder):
    assert sdtune(*train_args(model, pictures, folder, "--max_train_steps=1")).returncode == 0
    return (folder / "mine.safetensors").stat().st_size


def test_a_save_that_is_cut_off_leaves_the_old_model_and_the_run_alive(sdtune, small_models, pictures, tmp_path):
    """The writes themselves fail, in the middle of a file."""
    size = model_size(sdtune, small_models(), pictures, tmp_path / "a")
    output = tmp_path / "out"
    output.mkdir()
    for name in ["mine-step00000002.safetensors", "mine.safetensors"]:
        (output / name).write_text("the old one")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    result = sdtune(*train_args(small_models(), pictures, output, "--save_every_n_steps=2", "--save_last_n=1"),
                    preexec_fn=limit)
    assert result.returncode == 1
    assert [e["step"] for e in read_events(output) if e["event"] == "step"] == [1, 2, 3, 4]
    failed = [e for e in read_events(output) if e["event"] == "save_failed"]
    assert [e["step"] for e in failed] == [2, 4, 4, 4] and "File too large" in failed[0]["reason"]
    for name in ["mine-step00000002.safetensors", "mine.safetensors"]:
        assert (output / name).read_text() == "the old one"
    assert sorted(p.name for p in output.iterdir()) == [
        "mine-run", "mine-step00000002.safetensors", "mine.safetensors"]
    assert "neither the model nor its state could be written" in result.stderr


@pytest.fixture
def small_disk(tmp_path):
    """mount(megabytes) gives a folder on a disk of that size."""
    mounted = []

    def mount(megabytes):
        folder = tmp_path / "disk"
        folder.mkdir()
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)],
                              capture_output=True, text=True)
        if made.returncode != 0:
            pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
        mounted.append(folder)
        return folder

    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_leaves_the_old_models_and_the_run_alive(sdtune, small_models, pictures, tmp_path, small_disk):
    size = model_size(sdtune, small_models(), pictures, tmp_path / "a")
    disk = small_disk(2 * (size >> 20) + size // (2 << 20) + 3)  # two models and a half
    result = sdtune(*train_args(small_models(), pictures, disk, "--save_every_n_steps=1"))
    assert result.returncode == 1, result.stderr
    assert names(disk, ".safetensors") == ["mine-step00000001", "mine-step00000002"]
    assert all((disk / f"mine-step0000000{i}.safetensors").stat().st_size == size for i in (1, 2))
    events = read_events(disk)
    assert [e["step"] for e in events if e["event"] == "step"] == [1, 2, 3, 4]
    failed = [e for e in events if e["event"] == "save_failed"]
    assert [e["step"] for e in failed] == [3, 4, 4, 4] and "MB free" in failed[0]["reason"]
    assert events[-1]["event"] == "end" and events[-1]["saved"] is False


def test_a_final_model_that_found_no_room_can_be_written_later(sdtune, small_models, pictures, tmp_path):
    blocked = tmp_path / "mine"
    args = train_args(small_models(), pictures, tmp_path, "--save_model_as=diffusers_safetensors", "--max_train_steps=60")
    process = start_sdtune(*args)
    wait_for_step(tmp_path, 1, process)
    blocked.mkdir()
    (blocked / "notes.txt").write_text("no model")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1 and "--resume=auto writes the model" in errors, errors
    assert (blocked / "notes.txt").read_text() == "no model"
    shutil.rmtree(blocked)
    again = sdtune(*args, "--resume=auto")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "mine" / "model_index.json").exists()


def test_a_disk_that_is_wholly_full_costs_events_not_the_run(sdtune, small_models, pictures, small_disk):
    disk = small_disk(4)
    (disk / "mine-run").mkdir()
    ballast = disk / "ballast"
    with open(ballast, "wb") as file:
        file.truncate(0)
    args = train_args(small_models(), pictures, disk, "--max_train_steps=60")
    process = subprocess.Popen([str(a) for a in [sdtune_path(), *args]], stderr=subprocess.PIPE, text=True)

    wait_for_step(disk, 3, process)
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            pass
    time.sleep(0.2)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1, errors
    assert errors.count("the record of the run has gaps") >= 1
    assert "60/60" in errors, errors


def sdtune_path():
    from running import BUILD

    return BUILD / "sdtune"
