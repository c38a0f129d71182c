"""Reading models back with the reference libraries, and comparing them bit by bit."""

import json
import pathlib
import struct

import diffusers
import safetensors.torch
import torch


def read_single_file(path):
    """Name -> tensor, in the file's order for .ckpt."""
    if str(path).endswith(".safetensors"):
        return safetensors.torch.load_file(path)
    return torch.load(path, weights_only=True)["state_dict"]


def load_copy(path):
    """A file's tensors, free of the file, which can then be written anew."""
    return {name: tensor.clone() for name, tensor in safetensors.torch.load_file(path).items()}


def order_in_file(path):
    """Names as they follow each other in the file's bytes."""
    if not str(path).endswith(".safetensors"):
        return list(read_single_file(path))
    header = safetensors_header(path)
    header.pop("__metadata__", None)
    return sorted(header, key=lambda name: (header[name]["data_offsets"], name))


def safetensors_header(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))


def same_bits(a, b):
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.numel() == 0:
        return True
    view = [t.contiguous().reshape(-1).view(torch.uint8) for t in (a, b)]
    return torch.equal(*view)


def differing(a, b):
    """Names that only one has, or whose type, shape or bytes differ."""
    return sorted(
        name
        for name in {*a, *b}
        if name not in a or name not in b or not same_bits(a[name], b[name])
    )


def load_pipeline(folder):
    # Where accelerate is installed Diffusers would leave the weights in the mapped file, unaligned, and an output's
    # last bits would depend on where they lie.
    return diffusers.StableDiffusionPipeline.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False)


def weights_of(pipeline):
    return {
        f"{part}.{name}": tensor
        for part in ("unet", "vae", "text_encoder")
        for name, tensor in getattr(pipeline, part).state_dict().items()
    }


@torch.no_grad()
def outputs_of(pipeline):
    """What the three models make of fixed inputs."""
    generator = torch.Generator().manual_seed(1)
    ids = pipeline.tokenizer(
        ["a cat"], padding="max_length", max_length=77, return_tensors="pt"
    ).input_ids
    text = pipeline.text_encoder(ids).last_hidden_state
    latents = torch.randn(1, 4, 16, 16, generator=generator)
    image = torch.randn(1, 3, 32, 32, generator=generator)
    return {
        "text": text,
        "noise": pipeline.unet(latents, torch.tensor([500]), text).sample,
        "moments": pipeline.vae.encode(image).latent_dist.parameters,
        "image": pipeline.vae.decode(latents[:, :, :4, :4]).sample,
        "prediction": torch.tensor(
            [pipeline.scheduler.config.prediction_type == "v_prediction"], dtype=torch.bool
        ),
    }


def folder_files(folder):
    folder = pathlib.Path(folder)
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
