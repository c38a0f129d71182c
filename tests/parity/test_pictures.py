"""Pictures from prompts, against Diffusers' pipeline with the same model, noise and sampler."""

import itertools

import diffusers
import numpy
import pytest
import torch
from diffusers.schedulers import scheduling_euler_ancestral_discrete as euler_a
from parity.small_models import make_scheduler  # noqa: F401  (sets what Diffusers reads)
from philox import normals
from PIL import Image

NOISE = 5  # base/philox.h: the purpose of the draw
FIRST_DRAW = (-1_000_000) % 2**64  # generate/draw_pictures.cc: the step of a picture's first noise
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SAMPLERS = {
    "ddim": lambda prediction: diffusers.DDIMScheduler(
        **BETAS, clip_sample=False, steps_offset=1, prediction_type=prediction),
    "euler": lambda prediction: diffusers.EulerDiscreteScheduler(**BETAS, prediction_type=prediction),
    "euler_a": lambda prediction: diffusers.EulerAncestralDiscreteScheduler(**BETAS, prediction_type=prediction),
}
WIDTH, HEIGHT, SEED, STEPS, SCALE = 96, 64, 11, 6, 5.0
PROMPT, NEGATIVE = "a black cat on a mat", "blurry"


def noise(seed, number=0):
    shape = (1, 4, HEIGHT // 8, WIDTH // 8)
    values = normals(seed, int(numpy.prod(shape)), NOISE, FIRST_DRAW - number, 0, 0)
    return torch.from_numpy(values.reshape(shape))


def diffusers_picture(model, sampler, prediction):
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(model, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = SAMPLERS[sampler](prediction)
    return pipeline(prompt=PROMPT, negative_prompt=NEGATIVE, latents=noise(SEED), width=WIDTH, height=HEIGHT,
                    num_inference_steps=STEPS, guidance_scale=SCALE).images[0]


@pytest.mark.parametrize("family, prediction", [("v1", "epsilon"), ("v2", "v_prediction")])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_picture_equals_diffusers(sdtune, small_models, tmp_path, monkeypatch, sampler, family, prediction):
    numbers = itertools.count(1)  # the noise of ancestral steps follows the first
    monkeypatch.setattr(euler_a, "randn_tensor", lambda *_, **__: noise(SEED, next(numbers)))
    model = small_models(family, prediction)
    more = ["--v2", "--v_parameterization"] if family == "v2" else []
    result = sdtune("sample", f"--ckpt={model}", f"--prompt={PROMPT} --n {NEGATIVE} --f one", f"--W={WIDTH}",
                    f"--H={HEIGHT}", f"--steps={STEPS}", f"--scale={SCALE}", f"--seed={SEED}",
                    f"--sampler={sampler}", f"--outdir={tmp_path}", "--device=cpu", *more)
    assert result.returncode == 0, result.stderr
    ours = numpy.asarray(Image.open(tmp_path / "one.png"), dtype=int)
    theirs = numpy.asarray(diffusers_picture(model, sampler, prediction), dtype=int)
    assert ours.shape == theirs.shape == (HEIGHT, WIDTH, 3)
    assert theirs.std() > 10
    assert abs(ours - theirs).max() <= 1
