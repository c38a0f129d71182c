"""Samplers against Diffusers' scheduler classes, with the settings that sd-scripts gives them.

sdtune-sample runs all cases at once, with a function in the place of the U-Net that is written down
on both sides, or a small random U-Net. Noise is the same on both sides, that of ancestral steps too.
"""

import dataclasses
import math
import os
import subprocess

import pytest
from parity import small_models  # noqa: F401  (sets what Diffusers reads when it is imported)
from running import BUILD

import diffusers
import torch
from diffusers.schedulers import scheduling_euler_ancestral_discrete as euler_a
from diffusers.schedulers import scheduling_k_dpm_2_ancestral_discrete as dpm_2_a
from diffusers.schedulers import scheduling_lcm as lcm
from safetensors.torch import load_file, save_file

# numpy 2 warns of what Diffusers does with it, thousands of times.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CLASSES = {
    "ddim": (diffusers.DDIMScheduler, {}),
    "pndm": (diffusers.PNDMScheduler, {}),
    "lms": (diffusers.LMSDiscreteScheduler, {}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler_a": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "heun": (diffusers.HeunDiscreteScheduler, {}),
    "dpm_2": (diffusers.KDPM2DiscreteScheduler, {}),
    "dpm_2_a": (diffusers.KDPM2AncestralDiscreteScheduler, {}),
    # Diffusers asks for this end where the algorithm follows the noise.
    "dpmsolver": (
        diffusers.DPMSolverMultistepScheduler,
        {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"},
    ),
    "dpmsolver++": (diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "dpmsingle": (diffusers.DPMSolverSinglestepScheduler, {}),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
    "lcm": (diffusers.LCMScheduler, {}),
}
SECOND_NAMES = ("lms", "euler", "euler_a", "dpm_2", "dpm_2_a")  # with k_ before it
WITHOUT_KARRAS = {"ddim", "pndm", "euler_a", "lcm"}
CLIPPING = {"ddim", "heun", "lcm"}
DRAWS = 60


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    steps: int = 20
    v: bool = False
    karras: bool = False
    zero_snr: bool = False
    offset: int = 0
    clip: bool = True
    strength: float = 0
    unet: bool = False

    def line(self):
        return " ".join(str(int(x) if isinstance(x, bool) else x) for x in dataclasses.astuple(self))

    def __str__(self):
        fields = dataclasses.fields(self)[1:]
        given = [f"{f.name}={getattr(self, f.name)}" for f in fields if getattr(self, f.name) != f.default]
        return "-".join([self.name, *given])


def cases_of(name):
    for v in (False, True):
        yield Case(name, v=v)  # as previews
        yield Case(name, v=v, offset=1, clip=False)  # as gen_img
        yield Case(name, v=v, steps=13 if v else 30, clip=False)
        if name not in WITHOUT_KARRAS:
            yield Case(name, v=v, karras=True)
    yield Case(name, steps=5)
    yield Case(name, v=True, zero_snr=True, clip=False)
    # Not clipped: a random U-Net's pictures lie at the bounds, where a millionth becomes a hundredth.
    yield Case(name, v=name not in ("ddim", "euler", "dpmsolver++"), clip=False, unet=True)
    # Diffusers' pndm loses its place when it begins in the middle.
    for strength in (0.33, 0.8, 1) if name != "pndm" else ():
        yield Case(name, v=strength == 0.8, offset=1, clip=False, strength=strength)


CASES = [case for name in CLASSES for case in cases_of(name)]
SECOND_CASES = [Case("k_" + name) for name in SECOND_NAMES]


def toy_model(x, timestep):
    neighbour = torch.roll(x, (1, 1), (1, 3))
    return x - 0.2 * math.cos(float(timestep) / 200) * torch.tanh(2 * neighbour)


def zero_terminal_alphas(dtype=torch.float32, last=2**-24):
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alphas = torch.cumprod(1 - lcm.rescale_zero_terminal_snr(betas), 0).to(dtype)
    alphas[-1] = last
    return alphas


def make_scheduler(case):
    cls, settings = CLASSES[case.name]
    settings = dict(settings, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    settings["prediction_type"] = "v_prediction" if case.v else "epsilon"
    if case.karras:
        settings["use_karras_sigmas"] = True
    if case.name in CLIPPING:
        settings["clip_sample"] = case.clip
    if case.name != "dpmsingle":
        settings["steps_offset"] = case.offset
    if case.zero_snr and case.name in ("ddim", "pndm"):
        settings["timestep_spacing"] = "trailing"
    knows_zero_snr = case.name in ("ddim", "euler", "euler_a", "unipc", "lcm")
    if case.zero_snr and (knows_zero_snr or case.name.startswith("dpmsolver")):
        settings["rescale_betas_zero_snr"] = True
    elif case.zero_snr:
        scheduler = cls(**settings)
        # These classes do not know it. The others count the last alpha as 2^-24; pndm, which divides
        # by its root, needs float64 for its own way of writing the step.
        pndm = case.name == "pndm"
        scheduler.alphas_cumprod = zero_terminal_alphas(*((torch.float64, 1e-15) if pndm else ()))
        return scheduler
    return cls(**settings)


def first_latents(case, scheduler, inputs):
    """Latents and the timesteps left, as Diffusers' image-to-image pipeline begins."""
    if not case.strength:
        return inputs["noise"] * scheduler.init_noise_sigma, scheduler.timesteps
    begin = max(case.steps - min(int(case.steps * case.strength), case.steps), 0) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    timesteps = scheduler.timesteps[begin:]
    return scheduler.add_noise(inputs["picture"], inputs["noise"], timesteps[:1]), timesteps


def reference(case, inputs, unet):
    scheduler = make_scheduler(case)
    scheduler.set_timesteps(case.steps)
    latents, timesteps = first_latents(case, scheduler, inputs)
    if case.name == "pndm" and case.zero_snr:
        latents = latents.double()
    for i, timestep in enumerate(timesteps):
        x = scheduler.scale_model_input(latents, timestep)
        output = unet(x, timestep, inputs["states"]).sample if case.unet else toy_model(x, timestep)
        # Begun in the middle, the class has coefficients for four slopes but fewer slopes.
        more = {"order": min(i + 1, 4)} if case.name == "lms" else {}
        latents = scheduler.step(output, timestep, latents, **more).prev_sample
    return latents.float(), scheduler.timesteps.float()


@pytest.fixture(scope="module")
def inputs():
    generator = torch.Generator().manual_seed(5)

    def draw(*shape):
        return torch.randn(shape, generator=generator)

    tensors = {"noise": draw(2, 4, 8, 8), "picture": draw(2, 4, 8, 8), "states": draw(2, 77, 128)}
    return tensors | {f"draw.{i}": draw(2, 4, 8, 8) for i in range(DRAWS)}


@pytest.fixture(scope="module")
def model_folder(small_models):
    return small_models("v1", "epsilon")


@pytest.fixture(scope="module")
def unet(model_folder):
    return diffusers.UNet2DConditionModel.from_pretrained(model_folder / "unet").eval()


@pytest.fixture(scope="module")
def ours(inputs, model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("samplers")
    (folder / "cases").write_text("".join(case.line() + "\n" for case in CASES + SECOND_CASES))
    save_file(inputs, folder / "in.safetensors")
    subprocess.run(
        [BUILD / "tests/sdtune-sample", folder / "cases", folder / "in.safetensors", folder / "out.safetensors", model_folder],
        check=True,
        env=dict(os.environ, OMP_WAIT_POLICY="passive"),
    )
    return load_file(folder / "out.safetensors")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_as_diffusers(case, ours, inputs, unet, monkeypatch):
    for module in (euler_a, dpm_2_a, lcm):
        draws = iter(range(DRAWS))
        monkeypatch.setattr(module, "randn_tensor", lambda *_, draws=draws, **__: inputs[f"draw.{next(draws)}"])
    with torch.no_grad():
        latents, timesteps = reference(case, inputs, unet)
    line = CASES.index(case)
    # Diffusers finds the timestep of a sigma with logarithms in fp32.
    assert torch.allclose(ours[f"timesteps.{line}"], timesteps, atol=1e-2, rtol=0)
    scale = max(1, float(latents.abs().max()))
    assert float((ours[f"latents.{line}"] - latents).abs().max()) <= 1e-4 * scale


@pytest.mark.parametrize("line", range(len(SECOND_CASES)), ids=lambda i: SECOND_CASES[i].name)
def test_second_names_are_the_same_samplers(line, ours):
    first = CASES.index(Case(SECOND_NAMES[line]))
    assert torch.equal(ours[f"latents.{len(CASES) + line}"], ours[f"latents.{first}"])
