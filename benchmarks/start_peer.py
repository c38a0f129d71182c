"""The peer of start_bench.py: a script on Diffusers, Transformers and torch as people write it for fine-tuning on the
CPU. It reads the models, encodes a picture and its caption, and makes one step of the U-Net; then it prints the times
at which its imports, its models and its step were done (seconds since the epoch), as JSON.

    start_peer.py MODEL_FOLDER PICTURE SIDE
"""

import json
import os
import pathlib
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from PIL import Image  # noqa: E402

MAX_NORM, LEARNING_RATE = 1.0, 5e-6


def read_models(folder):
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer")
    text_encoder = transformers.CLIPTextModel.from_pretrained(folder / "text_encoder").requires_grad_(False)
    vae = diffusers.AutoencoderKL.from_pretrained(folder / "vae").requires_grad_(False)
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet").train()
    return tokenizer, text_encoder, vae, unet


def encode(picture, side, models):
    tokenizer, text_encoder, vae, _ = models
    with Image.open(picture) as image:
        pixels = numpy.asarray(image.convert("RGB").resize((side, side), Image.LANCZOS), dtype=numpy.float32)
    pixels = torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None]
    caption = picture.with_suffix(".caption").read_text().strip()
    ids = tokenizer(caption, padding="max_length", truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        return vae.encode(pixels).latent_dist.sample() * vae.config.scaling_factor, text_encoder(ids)[0]


def make_step(latents, context, scheduler, unet):
    optimizer = torch.optim.AdamW(unet.parameters(), lr=LEARNING_RATE)
    noise, timesteps = torch.randn_like(latents), torch.randint(0, 1000, (1,))
    prediction = unet(scheduler.add_noise(latents, noise, timesteps), timesteps, context).sample
    torch.nn.functional.mse_loss(prediction, noise).backward()
    torch.nn.utils.clip_grad_norm_(unet.parameters(), MAX_NORM)
    optimizer.step()


def main():
    folder, picture, side = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    stamps = {"imported": time.time()}
    torch.manual_seed(0)
    models = read_models(folder)
    stamps["read"] = time.time()
    scheduler = diffusers.DDPMScheduler.from_pretrained(folder / "scheduler")
    make_step(*encode(picture, side, models), scheduler, models[-1])
    stamps["stepped"] = time.time()
    print(json.dumps(stamps))


if __name__ == "__main__":
    main()
