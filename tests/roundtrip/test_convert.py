"""`sdtune convert`: a model in another form has the same weights, in another precision the rounded ones."""

import json
import shutil
import subprocess
import sys

import ldm_files
import pytest
import torch
from reading import read_single_file, safetensors_header, same_bits

from running import make_old, run_sdtune


def convert(source, target, *options):
    done = run_sdtune("convert", source, target, *options)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.parametrize("says_flags", [True, False])
def test_every_form_keeps_the_weights(model, says_flags, tmp_path):
    flags = (model.flags or ["--v1"]) if says_flags else []
    checkpoint = convert(model.safetensors, tmp_path / "a.ckpt", *flags)
    folder = convert(checkpoint, tmp_path / "sub" / "folder", *flags)
    back = read_single_file(convert(folder, tmp_path / "b.safetensors", *flags))
    wanted = read_single_file(model.safetensors)
    assert set(back) <= set(wanted)
    assert {key.split(".")[0] for key in back} == {"model", "first_stage_model", "cond_stage_model"}
    # SD 2.x: what a folder does not hold comes back as sd-scripts fills it in
    filled_in = ("logit_scale", "text_projection", "resblocks.4.")
    for key in (key for key in back if not any(name in key for name in filled_in)):
        assert same_bits(back[key], wanted[key]), key


def test_what_the_model_predicts_is_told_by_its_files(model, tmp_path):
    def stated(folder):
        return json.loads((folder / "scheduler/scheduler_config.json").read_text())["prediction_type"]

    single = convert(model.folder, tmp_path / "a.safetensors")
    assert safetensors_header(single)["__metadata__"]["modelspec.prediction_type"] in ("v", stated(model.folder))
    assert stated(convert(single, tmp_path / "folder")) == stated(model.folder)
    # files that do not say it: the flag does
    flags = ["--v_parameterization"] if "--v_parameterization" in model.flags else []
    assert stated(convert(model.ckpt, tmp_path / "other", *flags)) == stated(model.folder)


@pytest.mark.parametrize("text", ['{"_class_name": 3, "prediction_type": null}', "{", "[]"])
def test_a_schedulers_file_that_says_nothing(v1, tmp_path, text):
    source = shutil.copytree(v1.folder, tmp_path / "in")
    (source / "scheduler/scheduler_config.json").write_text(text)
    out = convert(source, tmp_path / "out")
    assert json.loads((out / "scheduler/scheduler_config.json").read_text())["prediction_type"] == "epsilon"
    assert json.loads((out / "model_index.json").read_text())["scheduler"] == ["diffusers", "DDIMScheduler"]


def test_hashes_of_the_source_are_not_those_of_the_target(v1, tmp_path):
    kept = {"author": "me", "ss_sd_model_hash": "01234567"}
    stale = {"modelspec.hash_sha256": "0x00", "sshs_model_hash": "00", "sshs_legacy_hash": "0"}
    ldm_files.make_ldm_file(v1.folder, tmp_path / "in.safetensors", "v1", metadata=kept | stale)
    convert(tmp_path / "in.safetensors", tmp_path / "out.safetensors", "--fp16")
    metadata = safetensors_header(tmp_path / "out.safetensors")["__metadata__"]
    assert metadata.items() >= kept.items()
    assert not stale.keys() & metadata.keys()


@pytest.mark.parametrize("target", ["out.safetensors", "out/"])
def test_what_a_killed_conversion_left_goes(v1, tmp_path, target):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".out.safetensors.tmp-{ended.pid}-0-0").write_text("half")
    (tmp_path / f".out.tmp-{ended.pid}-0-1" / "unet").mkdir(parents=True)
    for unfinished in tmp_path.iterdir():
        make_old(unfinished)
    convert(v1.safetensors, f"{tmp_path}/{target}")
    assert [path.name for path in tmp_path.iterdir()] == [target.strip("/")]


def test_precision_epochs_and_metadata(v1, tmp_path):
    half = read_single_file(convert(v1.safetensors, tmp_path / "half.safetensors", "--fp16", '--metadata={"author": "me"}'))
    whole = read_single_file(v1.safetensors)
    key = "model.diffusion_model.input_blocks.0.0.weight"
    assert torch.equal(half[key], whole[key].half())
    metadata = safetensors_header(tmp_path / "half.safetensors")["__metadata__"]
    assert metadata["author"] == "me"
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1"

    convert(v1.ckpt, tmp_path / "more.ckpt", "--epoch=2", "--global_step=30")
    before, after = (torch.load(file, weights_only=False) for file in (v1.ckpt, tmp_path / "more.ckpt"))
    assert after["epoch"] == before.get("epoch", 0) + 2
    assert after["global_step"] == before.get("global_step", 0) + 30


@pytest.mark.parametrize(
    "options, said",
    [
        (["--fp16", "--bf16"], "more than one type"),
        (["--fp16", "--save_precision_as=float"], "more than one type"),
        (["--metadata={'author': 'me'}"], "JSON"),
        (["--metadata=" + json.dumps({"steps": 3})], "JSON"),
    ],
)
def test_what_cannot_be_meant_is_refused(v1, tmp_path, options, said):
    done = run_sdtune("convert", v1.safetensors, tmp_path / "out.safetensors", *options)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_model_of_another_family_than_said_is_refused(v1, v2, tmp_path):
    for model, flags in ((v1, ["--v2"]), (v2, [*v2.flags, "--v1"])):
        done = run_sdtune("convert", model.safetensors, tmp_path / "out.safetensors", *flags)
        assert done.returncode != 0
        assert flags[-1] in done.stderr
        assert not list(tmp_path.iterdir())
