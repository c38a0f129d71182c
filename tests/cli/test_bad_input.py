"""Each mistake: one clear message, the right exit code, and nothing that was there is lost."""

import json
import pathlib

import pytest
from running import draw_pictures, read_events, train_args


def failed(result, code, *words):
    """One error that names all of the words, and the exit code."""
    assert result.returncode == code, result.stderr
    assert result.stderr.count("error: ") == 1, result.stderr
    for word in words:
        assert word in result.stderr, result.stderr
    return result


def test_missing_model(sdtune, pictures, tmp_path):
    missing = tmp_path / "no-such-model.safetensors"
    failed(sdtune(*train_args(missing, pictures, tmp_path / "out")), 1, "no-such-model.safetensors")


def test_missing_folder_of_pictures(sdtune, small_models, tmp_path):
    failed(sdtune(*train_args(small_models(), tmp_path / "nowhere", tmp_path / "out")), 1, "nowhere")


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, -1])
def test_truncated_safetensors(sdtune, small_models, pictures, tmp_path, keep):
    from roundtrip.ldm_files import make_ldm_file

    whole = tmp_path / "whole.safetensors"
    make_ldm_file(small_models(), whole, "v1")
    content = whole.read_bytes()
    length = int(len(content) * keep) if isinstance(keep, float) else keep
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(content[:length])
    failed(sdtune(*train_args(cut, pictures, tmp_path / "out")), 1, "cut.safetensors")


@pytest.mark.parametrize("family, flags, right", [("v1", ["--v2"], "--v2"), ("v2", [], "--v2")])
def test_wrong_v2(sdtune, small_models, pictures, tmp_path, family, flags, right):
    failed(sdtune(*train_args(small_models(family), pictures, tmp_path / "out", *flags)), 1, right)


def test_wrong_v_parameterization(sdtune, small_models, pictures, tmp_path):
    model = small_models("v2", "v_prediction")
    failed(sdtune(*train_args(model, pictures, tmp_path / "out", "--v2")), 1, "--v_parameterization")


def test_metadata_names_a_picture_that_is_not_there(sdtune, small_models, pictures, tmp_path):
    metadata = tmp_path / "meta.json"
    metadata.write_text(json.dumps({"00": {"caption": "there"}, "gone": {"caption": "not there"}}))
    args = train_args(small_models(), pictures, tmp_path / "out", f"--in_json={metadata}")
    failed(sdtune(*args), 1, "gone")


def test_corrupt_picture_among_good_ones_is_named_skipped_and_counted(sdtune, small_models, tmp_path):
    data = draw_pictures(tmp_path / "pictures", count=3)
    (data / "broken.png").write_bytes((data / "00.png").read_bytes()[:60])
    (data / "empty.jpg").write_bytes(b"")
    output = tmp_path / "out"
    result = sdtune(*train_args(small_models(), data, output))
    assert result.returncode == 0, result.stderr
    assert "broken.png" in result.stderr and "empty.jpg" in result.stderr
    assert (output / "mine.safetensors").exists()
    assert read_events(output)[-1]["step"] == 4


def test_what_would_fail_every_save_is_said_before_the_first_step(sdtune, small_models, pictures, tmp_path):
    output = tmp_path / "out"
    (output / "mine").mkdir(parents=True)
    (output / "mine" / "notes.txt").write_text("mine")
    args = train_args(small_models(), pictures, output)
    failed(sdtune(*args, f"--metadata_thumbnail={tmp_path / 'none.png'}"), 1, "none.png")
    failed(sdtune(*args, "--save_model_as=diffusers_safetensors"), 1, "no model folder")
    assert not (output / "mine-run").exists()


def test_empty_dataset(sdtune, small_models, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    failed(sdtune(*train_args(small_models(), empty, tmp_path / "out")), 1, "empty")


def test_unknown_option_gets_a_suggestion(sdtune, small_models, pictures, tmp_path):
    args = train_args(small_models(), pictures, tmp_path / "out", "--learning_rat=1")
    failed(sdtune(*args), 2, "learning_rat", "learning_rate")


def test_unknown_command_gets_a_suggestion(sdtune):
    failed(sdtune("trian"), 2, "trian", "train")


@pytest.mark.parametrize("option", ["--learning_rate=fast", "--mixed_precision=fp8", "--max_token_length=100",
                                    "--train_batch_size=0", "--bucket_reso_steps=65", "--lr_warmup_steps=5"])
def test_wrong_value(sdtune, small_models, pictures, tmp_path, option):
    name = option.split("=")[0].lstrip("-")
    failed(sdtune(*train_args(small_models(), pictures, tmp_path / "out", option)), 2, name)


def test_unwritable_output(sdtune, small_models, pictures, tmp_path):
    taken = tmp_path / "a-file"
    taken.write_text("kept")
    failed(sdtune(*train_args(small_models(), pictures, taken / "out")), 1, "a-file")
    assert taken.read_text() == "kept"
    failed(sdtune(*train_args(small_models(), pictures, pathlib.Path("/proc/out"))), 1, "/proc/out")


def test_disk_that_fills_up_keeps_the_model_that_was_there(sdtune, small_models, pictures, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    earlier = output / "mine.safetensors"
    earlier.write_bytes(b"an earlier model")
    args = train_args(small_models(), pictures, output, "--max_train_steps=1")

    def limit_files():
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    failed(sdtune(*args, preexec_fn=limit_files), 1, "mine.safetensors")
    assert earlier.read_bytes() == b"an earlier model"
    assert not [name for name in output.iterdir() if ".tmp-" in name.name]


def test_resume_from_a_folder_that_is_no_state(sdtune, small_models, pictures, tmp_path):
    args = train_args(small_models(), pictures, tmp_path / "out", f"--resume={tmp_path}")
    failed(sdtune(*args), 1, str(tmp_path))


def test_several_processes_are_refused(sdtune, small_models, pictures, tmp_path):
    import os

    args = train_args(small_models(), pictures, tmp_path / "out")
    failed(sdtune(*args, env={**os.environ, "RANK": "0", "WORLD_SIZE": "2"}), 2, "WORLD_SIZE")
