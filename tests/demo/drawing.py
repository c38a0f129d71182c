"""Draws prompts with Diffusers from a Diffusers folder."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402

BATCH = 16


def make_scheduler():
    """Stable Diffusion 1.x's schedule, drawn with DDIM."""
    return diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def draw(folder, captions, steps=15, guidance=4.0):
    """[N, 128, 128, 3] bytes; the same for the same folder and captions."""
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        folder,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        torch_dtype=torch.float32,
    )
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    pictures = []
    for i in range(0, len(captions), BATCH):
        drawn = pipeline(
            captions[i : i + BATCH],
            height=128,
            width=128,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generator,
            output_type="np",
        ).images
        pictures.append(numpy.round(drawn * 255).astype(numpy.uint8))
    return numpy.concatenate(pictures)
