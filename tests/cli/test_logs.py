"""TensorBoard's event files, read back by TensorBoard's own package, and what the console says."""

import re

import pytest
from running import read_events, start_sdtune, train_args, wait_for_step
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader


def event_files(logs):
    return sorted(logs.rglob("events.out.tfevents.*"))


def load(file):
    accumulator = EventAccumulator(str(file.parent))
    accumulator.Reload()
    return accumulator


def scalars(file):
    accumulator = load(file)
    return {tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def test_scalars_are_those_of_the_events_under_sd_scripts_tags(sdtune, small_models, pictures, tmp_path):
    logs = tmp_path / "logs"
    result = sdtune(*train_args(small_models(), pictures, tmp_path, f"--logging_dir={logs}", "--train_text_encoder",
                                "--learning_rate_te=1e-5", "--lr_scheduler=linear", "--max_train_steps=13"))
    assert result.returncode == 0, result.stderr
    (file,) = event_files(logs)
    assert re.fullmatch(r"\d{14}/finetuning", str(file.parent.relative_to(logs)))
    found = scalars(file)
    assert set(found) == {"loss", "lr/unet", "lr/text_encoder1", "grad_norm", "images_per_s", "memory/resident_gb",
                          "loss/epoch"}
    steps = [e for e in read_events(tmp_path) if e["event"] == "step"]
    for tag, key in [("loss", "loss"), ("lr/unet", "lr"), ("grad_norm", "grad_norm"), ("images_per_s", "images_per_s")]:
        assert [s for s, _ in found[tag]] == list(range(1, 14))
        assert [v for _, v in found[tag]] == pytest.approx([e[key] for e in steps], rel=1e-6)
    assert [v for _, v in found["lr/text_encoder1"]] == pytest.approx([e["lr"] / 10 for e in steps], rel=1e-6)
    # two whole epochs of 6 steps, by the number of the epoch
    means = [sum(e["loss"] for e in steps[a:a + 6]) / 6 for a in (0, 6)]
    assert found["loss/epoch"] == [(1, pytest.approx(means[0])), (2, pytest.approx(means[1]))]


def test_a_rate_that_the_optimizer_finds_has_a_tag_of_its_own(sdtune, small_models, pictures, tmp_path):
    logs = tmp_path / "logs"
    result = sdtune(*train_args(small_models(), pictures, tmp_path, f"--logging_dir={logs}",
                                "--optimizer_type=Prodigy", "--learning_rate=0.5", "--lr_scheduler=linear"))
    assert result.returncode == 0, result.stderr
    found = scalars(event_files(logs)[0])
    assert [v for _, v in found["lr/unet"]] == pytest.approx([0.5, 0.375, 0.25, 0.125])
    used = [e["lr"] for e in read_events(tmp_path) if e["event"] == "step"]
    assert [v for _, v in found["lr/d*lr/unet"]] == pytest.approx(used, rel=1e-6)
    assert 0 < used[0] < 0.01


def test_the_loss_of_validation_has_a_tag_too(sdtune, small_models, pictures, tmp_path):
    logs = tmp_path / "logs"
    result = sdtune(*train_args(small_models(), pictures, tmp_path, f"--logging_dir={logs}", "--validation_split=0.34",
                                "--validate_every_n_steps=2", "--max_train_steps=5"))
    assert result.returncode == 0, result.stderr
    measured = [(e["step"], pytest.approx(e["loss"], rel=1e-6)) for e in read_events(tmp_path)
                if e["event"] == "validation"]
    assert [step for step, _ in measured] == [2, 4, 5]
    assert scalars(event_files(logs)[0])["loss/validation/step_average"] == measured


def test_names_of_folders_and_options_as_text(sdtune, small_models, pictures, tmp_path):
    settings = tmp_path / "tracker.toml"
    settings.write_text('[tensorboard]\nfilename_suffix = ".mine"\nflush_secs = 10\n')
    logs = tmp_path / "logs"
    result = sdtune(*train_args(small_models(), pictures, tmp_path, f"--logging_dir={logs}", "--log_with=tensorboard",
                                "--log_prefix=first-", "--log_tracker_name=tries", "--log_config",
                                f"--log_tracker_config={settings}", "--wandb_api_key=12345", "--max_train_steps=1"))
    assert result.returncode == 0, result.stderr
    (file,) = event_files(logs)
    assert re.fullmatch(r"first-\d{14}/tries", str(file.parent.relative_to(logs)))
    assert file.name.endswith(".mine")
    assert '"flush_secs" of [tensorboard] is passed over' in result.stderr
    accumulator = load(file)
    (text,) = accumulator.Tensors("config/text_summary")
    (markdown,) = text.tensor_proto.string_val
    assert b"| learning_rate | 0.0001 |" in markdown and b"| seed | 7 |" in markdown
    for private in [b"12345", str(tmp_path).encode(), b"output_dir"]:
        assert private not in markdown
    assert accumulator.summary_metadata["config/text_summary"].plugin_data.plugin_name == "text"


def test_every_record_is_whole(sdtune, small_models, pictures, tmp_path):
    logs = tmp_path / "logs"
    assert sdtune(*train_args(small_models(), pictures, tmp_path, f"--logging_dir={logs}")).returncode == 0
    (file,) = event_files(logs)
    events = list(EventFileLoader(str(file)).Load())
    assert events[0].file_version == "brain.Event:2"
    assert len(events) == 5 and all(1.5e9 < e.wall_time < 1e10 for e in events)
    # the sums are looked at: a changed byte ends the reading
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    assert len(list(EventFileLoader(str(file)).Load())) < 5


def test_a_resumed_run_goes_on_along_the_axis(sdtune, small_models, pictures, tmp_path):
    logs = tmp_path / "logs"
    args = train_args(small_models(), pictures, tmp_path, f"--logging_dir={logs}", "--save_state")
    assert sdtune(*args, "--max_train_steps=3", "--log_prefix=a").returncode == 0
    assert sdtune(*args, "--max_train_steps=5", "--log_prefix=b", "--resume=auto").returncode == 0
    first, second = event_files(logs)
    assert [s for s, _ in scalars(first)["loss"]] == [1, 2, 3]
    assert [s for s, _ in scalars(second)["loss"]] == [4, 5]


def test_log_with_and_what_it_needs(sdtune, small_models, pictures, tmp_path):
    args = train_args(small_models(), pictures, tmp_path, "--max_train_steps=1")
    for reader in ["tensorboard", "all"]:
        result = sdtune(*args, f"--log_with={reader}")
        assert result.returncode == 2 and "give --logging_dir" in result.stderr
    result = sdtune(*args, "--log_with=wandb")
    assert result.returncode == 0 and "Weights & Biases is not supported" in result.stderr


def test_logs_are_whole_when_the_run_is_stopped(small_models, pictures, tmp_path):
    logs = tmp_path / "logs"
    process = start_sdtune(*train_args(small_models(), pictures, tmp_path, f"--logging_dir={logs}",
                                       "--max_train_steps=100000"))
    wait_for_step(tmp_path, 3, process)
    process.kill()
    process.wait()
    (file,) = event_files(logs)
    recorded = [e["step"] for e in read_events(tmp_path) if e["event"] == "step"]
    assert [s for s, _ in scalars(file)["loss"]][:3] == [1, 2, 3]
    assert len(scalars(file)["loss"]) >= len(recorded) - 1


def test_console_says_what_users_know(sdtune, small_models, pictures, tmp_path):
    result = sdtune(*train_args(small_models(), pictures, tmp_path, "--train_batch_size=2", "--dataset_repeats=3",
                                "--gradient_accumulation_steps=2", "--max_train_epochs=2"))
    assert result.returncode == 0, result.stderr
    said = dict(re.findall(r"  (num \w[\w ]*|batch size[\w ]*|total [\w ()]*|gradient [\w ]*): (\d+)", result.stderr))
    assert said == {"num examples": "18", "num batches per epoch": "9", "num epochs": "2",
                    "batch size per device": "2", "total train batch size (with accumulation)": "4",
                    "gradient accumulation steps": "2", "total optimization steps": "10"}
    assert re.search(r"steps: 100%.*10/10.*avr_loss=\d\.\d+", result.stderr)
