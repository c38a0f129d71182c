"""What a run leaves behind: names, forms, records."""

import json
import shutil

import pytest
from running import read_events, train_args
from safetensors import safe_open


def test_names_of_models_and_states(sdtune, small_models, pictures, tmp_path):
    # 6 pictures: an epoch is 6 steps.
    args = train_args(small_models(), pictures, tmp_path, "--max_train_epochs=2", "--save_every_n_epochs=1",
                      "--save_every_n_steps=5", "--save_state")
    result = sdtune(*args)
    assert result.returncode == 0, result.stderr
    stems = ["mine", "mine-000001", "mine-step00000005", "mine-step00000010"]
    expected = [f"{s}.safetensors" for s in stems] + [f"{s}-state" for s in stems] + ["mine-run"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(expected)


@pytest.mark.parametrize("form, name", [("ckpt", "mine.ckpt"), ("safetensors", "mine.safetensors"),
                                        ("diffusers", "mine"), ("diffusers_safetensors", "mine")])
def test_forms(sdtune, small_models, pictures, tmp_path, form, name):
    result = sdtune(*train_args(small_models(), pictures, tmp_path, f"--save_model_as={form}", "--max_train_steps=1"))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / name).exists()
    # what was written trains on
    again = sdtune(*train_args(tmp_path / name, pictures, tmp_path / "again", "--max_train_steps=1"))
    assert again.returncode == 0, again.stderr


def test_the_record_alone_runs_the_job_again(sdtune, small_models, pictures, tmp_path):
    first = tmp_path / "first"
    shutil.copy(sorted(pictures.glob("*.png"))[0], tmp_path / "thumbnail.png")
    start = train_args(small_models(), pictures, "start", "--save_state", "--max_train_steps=2")
    assert sdtune(*start, cwd=tmp_path).returncode == 0
    args = train_args(small_models(), pictures, "first", "--metadata_thumbnail=thumbnail.png",
                      "--resume=start/mine-state")
    assert sdtune(*args, cwd=tmp_path).returncode == 0
    model = (first / "mine.safetensors").read_bytes()
    (first / "mine.safetensors").unlink()
    record = tmp_path / "run.toml"
    (first / "mine-run" / "run.toml").rename(record)
    result = sdtune("train", f"--config_file={record}", cwd="/")
    assert result.returncode == 0, result.stderr
    assert (first / "mine.safetensors").read_bytes() == model


def test_seed_that_was_not_given_is_recorded(sdtune, small_models, pictures, tmp_path):
    args = [a for a in train_args(small_models(), pictures, tmp_path) if not a.startswith("--seed")]
    assert sdtune(*args).returncode == 0
    seed = read_events(tmp_path)[0]["seed"]
    assert f"seed = {seed}" in (tmp_path / "mine-run" / "run.toml").read_text()


def test_events_and_loss_curve(sdtune, small_models, pictures, tmp_path):
    assert sdtune(*train_args(small_models(), pictures, tmp_path)).returncode == 0
    events = read_events(tmp_path)
    assert [e["event"] for e in events] == ["start", "step", "step", "step", "step", "loss_bands",
                                            "checkpoint", "end"]
    for event in events[1:5]:
        assert event["loss"] > 0 and event["grad_norm"] > 0 and event["lr"] == 1e-4
    assert (tmp_path / "mine-run" / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_script_names_of_sd_scripts_work(sdtune, small_models, pictures, tmp_path):
    args = train_args(small_models(), pictures, tmp_path, "--max_train_steps=1")
    assert sdtune("fine_tune.py", *args[1:]).returncode == 0
    assert sdtune("fine-tune", *args[1:]).returncode == 0


def test_modelspec_metadata(sdtune, small_models, pictures, tmp_path):
    more = ["--v2", "--v_parameterization", "--metadata_author=somebody", "--clip_skip=2", "--max_train_steps=1",
            "--min_timestep=200"]
    assert sdtune(*train_args(small_models("v2", "v_prediction"), pictures, tmp_path, *more)).returncode == 0
    with safe_open(tmp_path / "mine.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["modelspec.architecture"] == "stable-diffusion-v2-768-v"
    assert metadata["modelspec.prediction_type"] == "v"
    assert metadata["modelspec.author"] == "somebody"
    assert metadata["modelspec.title"] == "mine"
    assert metadata["modelspec.encoder_layer"] == "2"
    assert metadata["modelspec.resolution"] == "64x64"
    assert metadata["modelspec.timestep_range"] == "200,1000"


def test_metadata_by_stem_and_by_path_and_train_resolution(sdtune, small_models, pictures, tmp_path):
    metadata = tmp_path / "meta.json"
    metadata.write_text(json.dumps({
        "00": {"caption": "by stem", "train_resolution": [64, 64]},
        str(pictures / "01.png"): {"tags": "by, path", "train_resolution": [128, 64]},
    }))
    args = [a for a in train_args(small_models(), pictures, tmp_path / "out", f"--in_json={metadata}",
                                  f"--trace_dir={tmp_path / 'trace'}", "--max_train_steps=2")
            if not a.startswith(("--resolution", "--enable_bucket", "--min_bucket", "--max_bucket"))]
    result = sdtune(*args)
    assert result.returncode == 0, result.stderr
    shapes = set()
    for step in (1, 2):
        with safe_open(tmp_path / "trace" / f"step-{step:06}.safetensors", "pt") as file:
            shapes.add(tuple(file.get_tensor("latents").shape))
    assert shapes == {(1, 4, 8, 8), (1, 4, 8, 16)}
