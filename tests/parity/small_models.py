"""Small random Stable Diffusion models of the real classes, saved as Diffusers folders.

They follow the two families' rules (v1: 8 heads on each level and convolutions as projections; v2:
heads of 64 channels and linear projections), so that a program which knows only the families can
read them. Every parameter is random, norms and biases too: a wrong one shows. Nothing is fetched.
"""

import gzip
import importlib.util
import json
import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

import diffusers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from transformers.models.clip.tokenization_clip import bytes_to_unicode  # noqa: E402

FAMILIES = ("v1", "v2")
LAST_MERGE = 49152 - 256 - 2 + 1  # the vocabulary file goes on beyond what CLIP uses


def write_tokenizer(folder, family):
    """CLIP's vocab.json, merges.txt and settings, from open_clip's copy of the BPE merges."""
    # found without importing the package, which wants torchvision
    package = pathlib.Path(importlib.util.find_spec("open_clip").origin).parent
    source = package / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.open(source, "rt", encoding="utf-8").read().split("\n")[1:LAST_MERGE]
    letters = list(bytes_to_unicode().values())
    words = letters + [letter + "</w>" for letter in letters]
    words += ["".join(merge.split()) for merge in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: i for i, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8"
    )
    tokenizer = transformers.CLIPTokenizer(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        model_max_length=77,
        pad_token="!" if family == "v2" else "<|endoftext|>",
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def unet_config(family, levels=4):
    """Arguments of UNet2DConditionModel: the family's shape with few channels.

    No level has only one channel in a norm's group: the norm would take out the shift of the bias
    before it, whose gradient would then be rounding noise.
    """
    v2 = family == "v2"
    channels = ((64, 128, 128, 128) if v2 else (64, 96, 96, 96))[:levels]
    cross = ["CrossAttnDownBlock2D"] * (levels - 1)
    return dict(
        sample_size=96 if v2 else 64,
        in_channels=4,
        out_channels=4,
        block_out_channels=channels,
        down_block_types=tuple(cross + ["DownBlock2D"]),
        up_block_types=tuple(["UpBlock2D"] + ["CrossAttnUpBlock2D"] * (levels - 1)),
        layers_per_block=2,
        norm_num_groups=32,
        cross_attention_dim=128,
        attention_head_dim=tuple(c // 64 for c in channels) if v2 else 8,
        use_linear_projection=v2,
        upcast_attention=v2,
    )


def vae_config():
    return dict(
        block_out_channels=(64, 64, 96, 96),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=32,
        sample_size=512,
    )


def text_config(family):
    return transformers.CLIPTextConfig(
        vocab_size=49408,
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=2,
        max_position_embeddings=77,
        hidden_act="gelu" if family == "v2" else "quick_gelu",
        projection_dim=128,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )


def randomise(model, generator):
    """Gives norms and biases, which start as ones and zeros, values of their own; in place."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith(".bias"):
                parameter.copy_(0.05 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(1 + 0.1 * noise)
            elif "_embedding.weight" in name:
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(noise / parameter[0].numel() ** 0.5)
    return model


def make_unet(family, seed=0, levels=4):
    generator = torch.Generator().manual_seed(seed)
    return randomise(diffusers.UNet2DConditionModel(**unet_config(family, levels)), generator)


def make_vae(seed=0):
    generator = torch.Generator().manual_seed(seed + 1)
    return randomise(diffusers.AutoencoderKL(**vae_config()), generator)


def make_text_encoder(family, seed=0):
    generator = torch.Generator().manual_seed(seed + 2)
    return randomise(transformers.CLIPTextModel(text_config(family)), generator)


def make_scheduler(prediction_type):
    return diffusers.PNDMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )


def make_small_pipeline(folder, family="v1", seed=0, prediction_type="epsilon"):
    """Saves a whole pipeline as a Diffusers folder with safetensors weights and returns it."""
    if family not in FAMILIES:
        raise ValueError(f"family is {family!r}; expected one of {FAMILIES}")
    folder = pathlib.Path(folder)
    pipeline = diffusers.StableDiffusionPipeline(
        vae=make_vae(seed),
        text_encoder=make_text_encoder(family, seed),
        tokenizer=write_tokenizer(folder / "tokenizer", family),
        unet=make_unet(family, seed),
        scheduler=make_scheduler(prediction_type),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return pipeline
