"""Saving a big model adds less than 100 MB of memory, whichever way it goes."""

import json

import diffusers
import ldm_files
import pytest
import safetensors.torch
import small_models
import torch
import transformers

MEGABYTE = 1 << 20


def save_zeros(model, path):
    """A big model's file without the time that random numbers take."""
    tensors = {name: torch.zeros(p.shape) for name, p in model.state_dict().items()}
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def big_file(tmp_path_factory):
    """About 1 GB: the widths of SD 1.5 with two levels, and its text embedding of 151 MB."""
    folder = tmp_path_factory.mktemp("big")
    unet = {**small_models.unet_config("v1", 2), "block_out_channels": (320, 1280)}
    unet["cross_attention_dim"] = 768
    text = small_models.text_config("v1")
    text.update({"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072})
    with torch.device("meta"):
        models = {
            "unet": diffusers.UNet2DConditionModel(**unet),
            "vae": diffusers.AutoencoderKL(**small_models.vae_config()),
            "text_encoder": transformers.CLIPTextModel(text),
        }
    for part, model in models.items():
        (folder / part).mkdir()
        config = model.config.to_dict() if part == "text_encoder" else dict(model.config)
        (folder / part / "config.json").write_text(json.dumps(config))
        save_zeros(model, folder / part / ldm_files.WEIGHTS[part])
    path = folder / "model.safetensors"
    ldm_files.make_ldm_file(folder, path, "v1")
    assert path.stat().st_size > 900 * MEGABYTE
    return path


@pytest.mark.parametrize(
    "options",
    [
        ["--no-load"],
        ["--no-load", "--format", "ckpt"],
        ["--no-load", "--precision", "fp16"],
        ["--touch-unet", "1", "--precision", "bf16"],
    ],
    ids=lambda options: "_".join(o.strip("-") for o in options),
)
def test_saving_streams(tool, big_file, options, tmp_path):
    out = tmp_path / "out"
    peaks = tool(big_file, out, *options)
    out.unlink()
    assert peaks["peak_after"] - peaks["peak_before"] < 100 * MEGABYTE


def test_loading_holds_one_copy(tool, big_file, tmp_path):
    out = tmp_path / "out"
    before_loading = tool(big_file, out, "--no-load")["peak_before"]
    loaded = tool(big_file, out)["peak_before"]
    assert loaded - before_loading < big_file.stat().st_size + 100 * MEGABYTE
