"""One peer in a process of its own, for step_bench.py: the work that sdtune-bench does, by Diffusers, Transformers or
sd-scripts' U-Net, with random weights of the same sizes. Prints the same lines of JSON as sdtune-bench: one for each
timed step after one that is not, and a last one for the run.
"""

import argparse
import contextlib
import importlib
import json
import pathlib
import sys
import time
import types

UNET = {
    "sample_size": 64,
    "cross_attention_dim": 768,
    "block_out_channels": (320, 640, 1280, 1280),
    "attention_head_dim": 8,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}
TINY_UNET = {**UNET, "cross_attention_dim": 32, "block_out_channels": (32, 64, 64, 64), "attention_head_dim": 4,
             "layers_per_block": 1}
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 512,
}
TINY_VAE = {**VAE, "block_out_channels": (32, 32, 64, 64), "layers_per_block": 1}
TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
TINY_TEXT = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
LEARNING_RATE = 5e-6


def peak_bytes():
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def sd_scripts_unet(folder):
    """Its own class for SD1. What its module imports for logging alone needs packages that nothing here calls."""
    sys.path.insert(0, folder)
    logging = types.ModuleType("library.utils")
    logging.setup_logging = lambda *_, **__: None
    sys.modules["library.utils"] = logging
    module = importlib.import_module("library.original_unet")
    return module.UNet2DConditionModel(sample_size=64, cross_attention_dim=768)


def make_unet(arguments):
    import diffusers
    import torch

    if arguments.peer.startswith("sd-scripts"):
        unet = sd_scripts_unet(arguments.sd_scripts)
        unet.set_use_sdpa(arguments.peer == "sd-scripts-sdpa")
    else:
        unet = diffusers.UNet2DConditionModel(**(TINY_UNET if arguments.tiny else UNET))
    if arguments.precision == "full_bf16":
        unet.to(torch.bfloat16)
    if arguments.checkpointing:
        unet.enable_gradient_checkpointing()
    return unet.train()


class Step:
    """Forward and backward pass, clipping and AdamW, as train_text_to_image.py and fine_tune.py write them."""

    def __init__(self, arguments):
        import torch

        self.unet = make_unet(arguments)
        self.parameters = list(self.unet.parameters())
        fused = True if arguments.peer == "diffusers-fused-adamw" else None  # None: torch's own choice
        self.optimizer = torch.optim.AdamW(self.parameters, lr=LEARNING_RATE, fused=fused)
        self.model = torch.compile(self.unet) if arguments.peer == "diffusers-compiled" else self.unet
        self.autocasts = arguments.precision == "bf16"
        dtype = self.parameters[0].dtype
        self.shape = (arguments.batch, 4, arguments.height // 8, arguments.width // 8)
        width = TINY_UNET["cross_attention_dim"] if arguments.tiny else UNET["cross_attention_dim"]
        self.context = torch.randn(arguments.batch, arguments.tokens, width, dtype=dtype)
        self.dtype = dtype

    def forward(self):
        import torch

        noise = torch.randn(self.shape)
        timesteps = torch.randint(0, 1000, (self.shape[0],))
        autocast = torch.autocast("cpu", dtype=torch.bfloat16) if self.autocasts else contextlib.nullcontext()
        with autocast:
            prediction = self.model(noise.to(self.dtype), timesteps, self.context).sample
        return torch.nn.functional.mse_loss(prediction.float(), noise, reduction="mean")

    def run(self):
        import torch

        marks = [time.perf_counter()]
        loss = self.forward()
        marks.append(time.perf_counter())
        loss.backward()
        marks.append(time.perf_counter())
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        marks.append(time.perf_counter())
        self.optimizer.step()
        self.optimizer.zero_grad()
        marks.append(time.perf_counter())
        seconds = [after - before for before, after in zip(marks, marks[1:])]
        return {**dict(zip(("forward", "backward", "clip", "optimizer"), seconds)), "loss": loss.item(),
                "grad_norm": norm.item()}


class Encoding:
    def __init__(self, arguments):
        import diffusers
        import torch
        import transformers

        dtype = torch.float32 if arguments.precision == "fp32" else torch.bfloat16
        if arguments.what == "vae":
            model = diffusers.AutoencoderKL(**(TINY_VAE if arguments.tiny else VAE)).eval().to(dtype)
            model.to(memory_format=torch.channels_last)  # the fastest of Diffusers' on a CPU
            pictures = torch.rand(arguments.batch, 3, arguments.height, arguments.width, dtype=dtype) * 2 - 1
            pictures = pictures.contiguous(memory_format=torch.channels_last)
            self.encode = lambda: model.encode(pictures).latent_dist.parameters
        else:
            config = transformers.CLIPTextConfig(**(TINY_TEXT if arguments.tiny else TEXT))
            model = transformers.CLIPTextModel(config).eval().to(dtype)
            ids = torch.randint(0, config.vocab_size, (arguments.batch, 77))
            self.encode = lambda: model(ids)[0]

    def run(self):
        import torch

        begin = time.perf_counter()
        with torch.inference_mode():
            self.encode()
        return {"encode": time.perf_counter() - begin}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer")
    parser.add_argument("--what", default="step")
    for name, default in (("width", 512), ("height", 512), ("batch", 1), ("tokens", 77), ("steps", 3), ("threads", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--sd-scripts")
    for name in ("tiny", "checkpointing"):
        parser.add_argument(f"--{name}", action="store_true")
    arguments = parser.parse_args()

    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    work = Step(arguments) if arguments.what == "step" else Encoding(arguments)
    work.run()
    for _ in range(arguments.steps):
        print(json.dumps(work.run()), flush=True)
    print(json.dumps({"peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
