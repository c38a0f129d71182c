"""Draws prompts with sdtune or with Diffusers; run by itself, it says how many pictures show their prompts."""

import argparse
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from demo.judge import mushroom_prompts, shape_prompts, share_shown, shows  # noqa: E402
from running import run_sdtune  # noqa: E402

BATCH = 16
SIDE = 128


def make_scheduler():
    """DDIM on Stable Diffusion 1.x's noise schedule."""
    return diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def draw(model, captions, work, *options, steps=15, guidance=4.0):
    """[N, SIDE, SIDE, 3] bytes, drawn by `sdtune sample` from a model of any form; `work` is a folder for its files."""
    work.mkdir(parents=True)
    prompts = work / "prompts.txt"
    prompts.write_text("".join(f"{caption} --d {seed}\n" for seed, caption in enumerate(captions)))
    done = run_sdtune(
        "sample",
        f"--ckpt={model}",
        f"--from_file={prompts}",
        f"--outdir={work}",
        "--sequential_file_name",
        f"--batch_size={BATCH}",
        f"--W={SIDE}",
        f"--H={SIDE}",
        f"--steps={steps}",
        f"--scale={guidance}",
        "--device=cpu",
        *options,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    pictures = [numpy.asarray(Image.open(file)) for file in sorted(work.glob("*.png"))]
    assert len(pictures) == len(captions)
    return numpy.stack(pictures)


def share_drawn(model, prompts, work, *options):
    """Share of the prompts' pictures, drawn by `sdtune sample`, that show them."""
    return share_shown(draw(model, [prompt.caption for prompt in prompts], work, *options), prompts)


def draw_with_diffusers(folder, captions, steps=15, guidance=4.0):
    """[N, SIDE, SIDE, 3] bytes, drawn by Diffusers from a Diffusers folder."""
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
            height=SIDE,
            width=SIDE,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generator,
            output_type="np",
        ).images
        pictures.append(numpy.round(drawn * 255).astype(numpy.uint8))
    return numpy.concatenate(pictures)


def write_sheet(pictures, file, columns=8, gap=2):
    """All pictures in one, in rows."""
    cell = SIDE + gap
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * cell - gap, rows * cell - gap), (90, 0, 90))
    for i, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture), (i % columns * cell, i // columns * cell))
    sheet.save(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=pathlib.Path, help="file or folder; with --diffusers a Diffusers folder")
    parser.add_argument("--diffusers", action="store_true", help="Diffusers draws instead of sdtune")
    parser.add_argument("--mushrooms", action="store_true", help="what the demo learns, not what it knows")
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--sheet", type=pathlib.Path, help="PNG file for the pictures")
    args = parser.parse_args()

    prompts = (mushroom_prompts if args.mushrooms else shape_prompts)(args.count)
    captions = [prompt.caption for prompt in prompts]
    if args.diffusers:
        pictures = draw_with_diffusers(args.model, captions, args.steps, args.guidance)
    else:
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work) / "drawn"
            pictures = draw(args.model, captions, work, steps=args.steps, guidance=args.guidance)
    shown = [shows(picture, prompt) for picture, prompt in zip(pictures, prompts, strict=True)]
    for prompt, good in zip(prompts, shown, strict=True):
        print("yes" if good else "no ", prompt.caption)
    print(f"{sum(shown)} of {len(shown)} pictures show their prompts: {sum(shown) / len(shown):.1%}")
    if args.sheet:
        write_sheet(pictures, args.sheet)


if __name__ == "__main__":
    main()
