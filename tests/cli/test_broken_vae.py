"""A VAE that makes latents which are not finite: it is named, with an option that the command has."""

import json
import shutil

import pytest
import torch
from running import COMPUTES_BF16, read_events, train_args
from safetensors.torch import load_file, save_file


@pytest.fixture
def model(small_models, tmp_path):
    folder = shutil.copytree(small_models(), tmp_path / "model")
    (file,) = (folder / "vae").glob("*.safetensors")
    weights = load_file(file)
    weights["encoder.conv_out.bias"][0] = torch.inf
    save_file(weights, file)
    return folder


def hint(fp32_option):
    return f"add {fp32_option}" if COMPUTES_BF16 else "the VAE computes in fp32 already"


def test_a_step_names_the_picture_whose_latents_they_are(sdtune, model, pictures, tmp_path):
    result = sdtune(*train_args(model, pictures, tmp_path / "out", "--mixed_precision=bf16", "--max_nan_steps=1"))
    assert result.returncode == 1
    (bad,) = [event for event in read_events(tmp_path / "out") if event["event"] == "not_finite"]
    assert bad["first_bad"] == f"the VAE's latents of {pictures / bad['pictures']}"
    assert result.stderr.count(f"beginning with {bad['first_bad']}") == 2  # the step's warning and the run's end
    assert result.stderr.count(hint("--no_half_vae")) == 2
    assert "--learning_rate" not in result.stderr.split("error: ")[1]


@pytest.mark.parametrize("more", ["--cache_latents", "--validation_split=0.34"])
def test_a_run_ends_before_its_first_step(sdtune, model, pictures, tmp_path, more):
    result = sdtune(*train_args(model, pictures, tmp_path / "out", "--mixed_precision=bf16", more))
    assert result.returncode == 1
    assert f"where: {pictures}/0" in result.stderr and "latents of this picture are not finite" in result.stderr
    assert hint("--no_half_vae") in result.stderr
    assert not [event for event in read_events(tmp_path / "out") if event["event"] == "step"]


def test_prepare_names_an_option_that_it_has(sdtune, model, pictures, tmp_path):
    metadata = tmp_path / "meta.json"
    metadata.write_text(json.dumps({f"{i:02}": {"caption": "a"} for i in range(6)}))
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    result = sdtune("prepare", folder, metadata, tmp_path / "out.json", model, "--max_resolution=128",
                    "--min_bucket_reso=64", "--max_bucket_reso=128", "--mixed_precision=bf16", "--device=cpu")
    assert result.returncode == 1 and "latents of this picture are not finite" in result.stderr
    assert hint("--mixed_precision=no") in result.stderr and "--no_half_vae" not in result.stderr
