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
SD2 = {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True}
TINY_SD2 = {"cross_attention_dim": 64, "attention_head_dim": (1, 2, 2, 2), "use_linear_projection": True}
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


def unet_config(model, tiny):
    of_sd2 = TINY_SD2 if tiny else SD2
    return {**(TINY_UNET if tiny else UNET), **(of_sd2 if model == "sd2" else {})}


def peak_bytes(device):
    """What torch held of a GPU's memory at most, or the process's highest resident size."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
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
        unet = diffusers.UNet2DConditionModel(**unet_config(arguments.model, arguments.tiny))
    unet.to(arguments.device)
    if arguments.precision == "full_bf16":
        unet.to(torch.bfloat16)
    if arguments.checkpointing:
        unet.enable_gradient_checkpointing()
    return unet.train()


def now(device):
    """When the device has done what it was given."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


class Step:
    """Forward and backward pass, clipping and AdamW, as train_text_to_image.py and fine_tune.py write them."""

    def __init__(self, arguments):
        import torch

        self.device = arguments.device
        self.unet = make_unet(arguments)
        self.parameters = list(self.unet.parameters())
        fused = True if arguments.peer == "diffusers-fused-adamw" else None  # None: torch's own choice
        self.optimizer = torch.optim.AdamW(self.parameters, lr=LEARNING_RATE, fused=fused)
        self.model = torch.compile(self.unet) if arguments.peer == "diffusers-compiled" else self.unet
        self.autocasts = arguments.precision == "bf16"
        dtype = self.parameters[0].dtype
        self.shape = (arguments.batch, 4, arguments.height // 8, arguments.width // 8)
        width = unet_config(arguments.model, arguments.tiny)["cross_attention_dim"]
        self.context = torch.randn(arguments.batch, arguments.tokens, width, dtype=dtype, device=self.device)
        self.dtype = dtype

    def forward(self):
        import torch

        noise = torch.randn(self.shape, device=self.device)
        timesteps = torch.randint(0, 1000, (self.shape[0],), device=self.device)
        autocast = torch.autocast(self.device, dtype=torch.bfloat16) if self.autocasts else contextlib.nullcontext()
        with autocast:
            prediction = self.model(noise.to(self.dtype), timesteps, self.context).sample
        return torch.nn.functional.mse_loss(prediction.float(), noise, reduction="mean")

    def run(self):
        import torch

        marks = [now(self.device)]
        loss = self.forward()
        marks.append(now(self.device))
        loss.backward()
        marks.append(now(self.device))
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        marks.append(now(self.device))
        self.optimizer.step()
        self.optimizer.zero_grad()
        marks.append(now(self.device))
        seconds = [after - before for before, after in zip(marks, marks[1:])]
        return {**dict(zip(("forward", "backward", "clip", "optimizer"), seconds)), "loss": loss.item(),
                "grad_norm": norm.item()}


class Encoding:
    def __init__(self, arguments):
        import diffusers
        import torch
        import transformers

        self.device = arguments.device
        dtype = torch.float32 if arguments.precision == "fp32" else torch.bfloat16
        if arguments.what == "vae":
            model = diffusers.AutoencoderKL(**(TINY_VAE if arguments.tiny else VAE)).eval().to(self.device, dtype)
            model.to(memory_format=torch.channels_last)  # the fastest of Diffusers' on a CPU
            shape = (arguments.batch, 3, arguments.height, arguments.width)
            pictures = torch.rand(shape, dtype=dtype, device=self.device) * 2 - 1
            pictures = pictures.contiguous(memory_format=torch.channels_last)
            self.encode = lambda: model.encode(pictures).latent_dist.parameters
        else:
            config = transformers.CLIPTextConfig(**(TINY_TEXT if arguments.tiny else TEXT))
            model = transformers.CLIPTextModel(config).eval().to(self.device, dtype)
            ids = torch.randint(0, config.vocab_size, (arguments.batch, 77), device=self.device)
            self.encode = lambda: model(ids)[0]

    def run(self):
        import torch

        begin = now(self.device)
        with torch.inference_mode():
            self.encode()
        return {"encode": now(self.device) - begin}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer")
    parser.add_argument("--what", default="step")
    for name, default in (("width", 512), ("height", 512), ("batch", 1), ("tokens", 77), ("steps", 3), ("threads", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--model", default="sd1")
    parser.add_argument("--device", default="cpu")
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
    print(json.dumps({"peak_bytes": peak_bytes(arguments.device)}))


if __name__ == "__main__":
    main()
