"""Runs that are killed, stopped or damaged go on exactly: the same bytes as a run that went straight through."""

import filecmp
import random
import shutil
import signal

import pytest
from running import kill, read_events, start_sdtune, train_args, wait_for_step


def with_kills(args, output, steps, at):
    """Starts the run again and again, each time killed after a step of `at`, until it ends by itself."""
    for step in [*at, None]:
        process = start_sdtune(*args, "--resume=auto")
        if step is not None:
            wait_for_step(output, step, process)
            kill(process)
            continue
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        assert read_events(output)[-1]["step"] == steps


def straight_and_killed(sdtune, model, pictures, tmp_path, steps, kills, *more):
    more = [f"--max_train_steps={steps}", "--save_state", *more]
    straight = tmp_path / "straight"
    result = sdtune(*train_args(model, pictures, straight, *more))
    assert result.returncode == 0, result.stderr
    killed = tmp_path / "killed"
    with_kills(train_args(model, pictures, killed, *more), killed, steps, kills)
    names = sorted(p.name for p in straight.glob("*.safetensors"))
    assert names == sorted(p.name for p in killed.glob("*.safetensors"))
    for name in names:
        assert filecmp.cmp(straight / name, killed / name, shallow=False), name
    return killed


def test_kills_in_mid_epoch(sdtune, small_models, pictures, tmp_path):
    # 6 pictures: steps 3 and 8 lie inside epochs.
    straight_and_killed(sdtune, small_models(), pictures, tmp_path, 12, [4, 9, 10], "--save_every_n_steps=2")


def test_kills_with_accumulation(sdtune, small_models, pictures, tmp_path):
    # 6 batches in threes with a batch of 4 pictures twice: short and whole groups both occur.
    straight_and_killed(sdtune, small_models("v2"), pictures, tmp_path, 8, [3, 5], "--v2",
                        "--save_every_n_steps=1", "--gradient_accumulation_steps=3", "--dataset_repeats=2",
                        "--train_batch_size=2", "--train_text_encoder", "--mixed_precision=bf16",
                        "--lr_scheduler=cosine_with_restarts", "--lr_warmup_steps=2")


@pytest.mark.large
@pytest.mark.parametrize("more", [[], ["--gradient_accumulation_steps=3"]])
def test_fifty_steps_with_kills_at_random(sdtune, small_models, pictures, tmp_path, more):
    chance = random.Random(0)
    kills, step = [], 0
    while step < 45:
        step += chance.randint(1, 12)
        kills.append(min(step, 49))
    straight_and_killed(sdtune, small_models(), pictures, tmp_path, 50, kills, "--save_every_n_steps=3", *more)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_saves_the_state_and_the_run_goes_on_from_it(sdtune, small_models, pictures, tmp_path, number):
    straight = tmp_path / "straight"
    assert sdtune(*train_args(small_models(), pictures, straight, "--max_train_steps=8")).returncode == 0
    output = tmp_path / "out"
    args = train_args(small_models(), pictures, output, "--max_train_steps=8")
    process = start_sdtune(*args)
    wait_for_step(output, 2, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number, errors
    states = list(output.glob("*-state"))
    assert len(states) == 1 and str(states[0]) in errors
    assert not (output / "mine.safetensors").exists()
    result = sdtune(*args, f"--resume={states[0]}")
    assert result.returncode == 0, result.stderr
    assert filecmp.cmp(straight / "mine.safetensors", output / "mine.safetensors", shallow=False)


def test_damaged_newest_state_is_passed_over_and_said(sdtune, small_models, pictures, tmp_path):
    output = tmp_path / "out"
    args = train_args(small_models(), pictures, output, "--save_state", "--save_every_n_steps=2")
    assert sdtune(*args).returncode == 0
    newest = output / "mine-step00000004-state"
    with open(newest / "optimizer.safetensors", "r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    (output / "mine-state" / "manifest.json").unlink()
    result = sdtune(*args, "--resume=auto")
    assert result.returncode == 0, result.stderr
    assert "optimizer.safetensors" in result.stderr
    assert "mine-step00000002-state at step 2" in result.stderr
    result = sdtune(*args, f"--resume={newest}")
    # the resumed run wrote it anew
    assert result.returncode == 0, result.stderr


def test_resume_says_what_has_changed(sdtune, small_models, pictures, tmp_path):
    output = tmp_path / "out"
    args = train_args(small_models(), pictures, output, "--save_state", "--max_train_steps=2")
    assert sdtune(*args).returncode == 0
    result = sdtune(*args, "--max_train_steps=4", "--train_batch_size=2", "--resume=auto")
    assert result.returncode == 0, result.stderr
    assert "batch size: 1 then, 2 now" in result.stderr
    assert [e["step"] for e in read_events(output) if e["event"] == "step"] == [1, 2, 3, 4]


def test_resume_auto_takes_its_own_states_alone(sdtune, small_models, pictures, tmp_path):
    args = train_args(small_models(), pictures, tmp_path / "out", "--save_state", "--max_train_steps=2", "--seed=1")
    assert sdtune(*args).returncode == 0
    result = sdtune(*args, "--output_name=other", "--resume=auto", "--learning_rate=1e-2")
    assert result.returncode == 0, result.stderr
    assert "there is no state of 'other'" in result.stderr
    assert [e["step"] for e in read_events(tmp_path / "out", "other") if e["event"] == "step"] == [1, 2]
    mine, other = (tmp_path / "out" / f"{name}.safetensors" for name in ("mine", "other"))
    assert not filecmp.cmp(mine, other, shallow=False)


def test_another_plan_of_the_epoch_is_said(sdtune, small_models, pictures, tmp_path):
    args = train_args(small_models(), pictures, tmp_path, "--save_state", "--max_train_steps=2")
    assert sdtune(*args).returncode == 0
    for more, changes in [([], False), (["--dataset_repeats=2"], True), (["--resolution=64,128"], True)]:
        result = sdtune(*args, *more, "--resume=auto")
        assert ("repeats, buckets and weights of pictures:" in result.stderr) is changes, result.stderr


def test_what_was_learned_outlives_a_failure(sdtune, small_models, pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    output = tmp_path / "out"
    args = train_args(small_models(), folder, output, "--max_train_steps=100000")
    process = start_sdtune(*args)
    wait_for_step(output, 2, process)
    shutil.rmtree(folder)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    states = list(output.glob("*-state"))
    assert len(states) == 1 and f"--resume={states[0]}" in errors, errors
    shutil.copytree(pictures, folder)
    done = read_events(output)[-1]["step"]
    result = sdtune(*args, f"--resume={states[0]}", f"--max_train_steps={done + 2}")
    assert result.returncode == 0, result.stderr
    assert f"at step {done}" in result.stderr


OPTIMIZERS = """AdamW Adam SGD SGDNesterov Lion AdaFactor DAdaptation DAdaptAdamPreprint DAdaptAdam DAdaptAdaGrad DAdaptAdan
    DAdaptAdanIP DAdaptLion DAdaptSGD Prodigy RAdamScheduleFree AdamWScheduleFree SGDScheduleFree CAME Adan RAdam NAdam
    Adamax Adagrad RMSprop Adadelta AdamW8bit Adam8bit Lion8bit SGD8bit SGDNesterov8bit AdEMAMix8bit PagedAdamW
    PagedAdamW32bit PagedAdamW8bit PagedAdam8bit PagedLion8bit PagedAdEMAMix8bit""".split()
WEIGHTS = {"no": [], "bf16": ["--mixed_precision=bf16"], "full_bf16": ["--mixed_precision=bf16", "--full_bf16"]}


@pytest.mark.large
@pytest.mark.parametrize("ema", [[], ["--ema"]], ids=["", "ema"])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_with_a_kill(sdtune, small_models, pictures, tmp_path, optimizer, weights, ema):
    straight_and_killed(sdtune, small_models(), pictures, tmp_path, 6, [3], "--save_every_n_steps=2",
                        f"--optimizer_type={optimizer}", *WEIGHTS[weights], *ema)
