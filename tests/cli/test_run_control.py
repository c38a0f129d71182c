"""What ends a run before its last step, or takes it back: a pause, its time, losses that are not finite."""

import filecmp
import re

import numpy
import pytest
from running import read_events, start_sdtune, train_args, wait_for_step


def test_pause_keeps_a_state_that_goes_on_exactly(sdtune, small_models, pictures, tmp_path):
    straight, output = tmp_path / "straight", tmp_path / "out"
    assert sdtune(*train_args(small_models(), pictures, straight, "--max_train_steps=40")).returncode == 0
    args = train_args(small_models(), pictures, output, "--max_train_steps=40")
    process = start_sdtune(*args)
    wait_for_step(output, 2, process)
    paused = sdtune("pause", output)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert paused.returncode == 0, paused.stderr
    state = re.search(r"--resume=(\S+)", paused.stderr).group(1)
    stopped = read_events(output)[-1]
    assert stopped["event"] == "stopped" and stopped["reason"] == "pause" and stopped["state"] == state
    assert 2 <= stopped["step"] < 40
    assert not (output / "mine.safetensors").exists() and not (output / "mine-run" / "pause").exists()
    result = sdtune(*args, f"--resume={state}")
    assert result.returncode == 0, result.stderr
    assert filecmp.cmp(straight / "mine.safetensors", output / "mine.safetensors", shallow=False)


def test_pause_finds_nothing_where_nothing_runs(sdtune, small_models, pictures, tmp_path):
    assert sdtune(*train_args(small_models(), pictures, tmp_path, "--max_train_steps=1")).returncode == 0
    result = sdtune("pause", tmp_path)
    assert result.returncode == 1 and "nothing is training there" in result.stderr
    result = sdtune("pause", tmp_path / "nowhere")
    assert result.returncode == 1 and "no such folder" in result.stderr


def test_pause_waits_no_longer_than_asked(sdtune, small_models, pictures, tmp_path):
    process = start_sdtune(*train_args(small_models(), pictures, tmp_path, "--max_train_steps=100000"))
    wait_for_step(tmp_path, 1, process)
    process.send_signal(19)  # SIGSTOP: it cannot answer
    result = sdtune("pause", tmp_path / "mine-run", "--timeout=1")
    process.send_signal(18)
    _, errors = process.communicate(timeout=120)
    assert result.returncode == 1 and "not ended in time" in result.stderr
    # the request stayed
    assert process.returncode == 0 and read_events(tmp_path)[-1]["reason"] == "pause", errors


def test_two_runs_do_not_write_into_one_folder(sdtune, small_models, pictures, tmp_path):
    args = train_args(small_models(), pictures, tmp_path, "--max_train_steps=100000")
    process = start_sdtune(*args)
    wait_for_step(tmp_path, 1, process)
    second = sdtune(*args)
    process.terminate()
    process.communicate(timeout=120)
    assert second.returncode == 1 and "another process is at work here" in second.stderr


def test_time_limit_saves_model_and_state_and_succeeds(sdtune, small_models, pictures, tmp_path):
    args = train_args(small_models(), pictures, tmp_path, "--max_train_steps=100000")
    result = sdtune(*args, "--max_train_time=3s")
    assert result.returncode == 0, result.stderr
    stopped = read_events(tmp_path)[-1]
    assert stopped["event"] == "stopped" and stopped["reason"] == "time is up" and 0 < stopped["step"] < 100000
    stem = f"mine-step{stopped['step']:08}"
    assert {p.name for p in tmp_path.iterdir()} == {f"{stem}.safetensors", f"{stem}-state", "mine-run"}


@pytest.mark.parametrize("text", ["soon", "0", "2h30"])
def test_time_limit_that_is_none_is_refused(sdtune, small_models, pictures, tmp_path, text):
    result = sdtune(*train_args(small_models(), pictures, tmp_path, f"--max_train_time={text}"))
    assert result.returncode == 2 and "--max_train_time" in result.stderr


def spoil_latents(folder, *stems):
    """Kept latents that are not numbers, for the pictures of these stems."""
    for stem in stems:
        (file,) = folder.glob(f"{stem}*.npz")
        arrays = dict(numpy.load(file))
        for name, array in arrays.items():
            if array.dtype == numpy.float32 and array.ndim == 3:
                arrays[name] = numpy.full_like(array, numpy.nan)
        numpy.savez(file, **arrays)


@pytest.fixture
def with_latents(sdtune, small_models, tmp_path):
    """The options of a run on a folder of its own, whose latents are on disk already."""
    from running import draw_pictures

    pictures = draw_pictures(tmp_path / "pictures")
    args = train_args(small_models(), pictures, tmp_path / "out", "--cache_latents_to_disk", "--skip_cache_check")
    result = sdtune(*args, "--max_train_steps=2", "--save_state")
    assert result.returncode == 0, result.stderr
    return pictures, tmp_path / "out", args


def test_a_step_that_is_not_finite_is_skipped_and_named(sdtune, with_latents):
    pictures, output, args = with_latents
    spoil_latents(pictures, "03")
    result = sdtune(*args, "--max_train_steps=6", "--output_name=other")
    assert result.returncode == 0, result.stderr
    bad = [e for e in read_events(output, "other") if e["event"] == "not_finite"]
    assert len(bad) == 1
    assert bad[0]["pictures"] == "03.png" and bad[0]["first_bad"].endswith("03.png")
    steps = [e for e in read_events(output, "other") if e["event"] == "step"]
    assert [e["step"] for e in steps if not e["updated"]] == [bad[0]["step"]]
    assert all(e["loss"] > 0 for e in steps if e["updated"])
    assert f"step {bad[0]['step']} is skipped" in result.stderr


def test_after_many_bad_steps_the_last_state_comes_back_and_then_the_run_ends(sdtune, with_latents):
    pictures, output, args = with_latents
    spoil_latents(pictures, *[f"{i:02}" for i in range(6)])
    result = sdtune(*args, "--resume=auto", "--max_train_steps=20", "--max_nan_steps=2")
    assert result.returncode == 1
    assert "2 steps in a row were not finite, also with the weights of the last state" in result.stderr
    events = [e["event"] for e in read_events(output)]
    later = events[len(events) - events[::-1].index("start") - 1:]
    assert later == ["start", "step", "not_finite", "step", "not_finite", "went_back",
                     "step", "not_finite", "step", "not_finite"]


def test_bad_steps_without_a_state_end_the_run(sdtune, with_latents):
    pictures, output, args = with_latents
    spoil_latents(pictures, *[f"{i:02}" for i in range(6)])
    result = sdtune(*args, "--output_name=other", "--max_train_steps=20", "--max_nan_steps=3")
    assert result.returncode == 1 and "3 steps in a row were not finite, beginning" in result.stderr
    assert "--save_state" in result.stderr
    assert not (output / "other.safetensors").exists()


def test_a_weight_that_is_not_finite_is_named(sdtune, small_models, pictures, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    assert sdtune(*train_args(small_models(), pictures, tmp_path / "a", "--max_train_steps=1",
                              "--save_model_as=diffusers_safetensors")).returncode == 0
    file = tmp_path / "a" / "mine" / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["conv_out.bias"][0] = torch.nan
    save_file(weights, file)
    result = sdtune(*train_args(tmp_path / "a" / "mine", pictures, tmp_path / "b", "--max_nan_steps=1"))
    assert result.returncode == 1 and "beginning with weight unet.conv_out.bias" in result.stderr
