"""The C++ models in fp32 against Diffusers and Transformers: outputs and every gradient.

The references of U-Net and VAE run in fp64 on the same weights, so that what is measured is this
program's error alone. sdtune-parity loads the same files, runs forward and backward and writes what
came out. SDTUNE_BUILD names the build folder (build/release when unset).
"""

import copy
import os
import pathlib
import subprocess

import pytest
import safetensors.torch
import torch

import small_models

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / os.environ.get("SDTUNE_BUILD", "build/release") / "tests/sdtune-parity"
OUTPUT_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 5e-5
SMALLEST_SHARE = 1e-6  # a gradient below this share of them all is measured against the share
# Shares below this are zero but for fp64's rounding, as a key's bias, which softmax does not see.
ZERO_SHARE = 1e-14


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Family -> (folder, pipeline in fp32, ready for gradients)."""
    made = {}
    for family in small_models.FAMILIES:
        folder = tmp_path_factory.mktemp(family)
        made[family] = (folder, small_models.make_small_pipeline(folder, family, seed=3))
    return made


def run_tool(part, folder, inputs, workspace, options=()):
    """Output, parameters' gradients and inputs' gradients, as the program computes them."""
    safetensors.torch.save_file(inputs, workspace / "inputs.safetensors")
    command = [TOOL, part, folder, workspace / "inputs.safetensors"]
    command += [workspace / "outputs.safetensors", *options]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = safetensors.torch.load_file(workspace / "outputs.safetensors")

    def named(prefix):
        return {k.removeprefix(prefix): v for k, v in results.items() if k.startswith(prefix)}

    return results["output"], named("grad."), named("input_grad.")


def reference(model, inputs, make_forward, dtype=torch.float64):
    """The same three, by autograd in Python. make_forward(model) is a function of the inputs."""
    model = copy.deepcopy(model).to(dtype)
    wide = {k: v.to(dtype, copy=True) if v.is_floating_point() else v for k, v in inputs.items()}
    leaves = {k: v.requires_grad_() for k, v in wide.items() if v.is_floating_point()}
    leaves.pop("cotangent").requires_grad_(False)
    output = make_forward(model)(wide)
    (output * wide["cotangent"]).sum().backward()
    return (
        output.detach(),
        {k: p.grad for k, p in model.named_parameters() if p.grad is not None},
        {k: v.grad for k, v in leaves.items() if v.grad is not None},
    )


def gradient_errors(gradients, expected, whole):
    assert gradients.keys() == expected.keys()
    errors = {}
    for name, gradient in expected.items():
        difference = (gradients[name].double() - gradient).norm()
        if gradient.norm() < ZERO_SHARE * whole:
            # what is left is fp32's rounding of sums that cancel
            errors[name] = GRADIENT_TOLERANCE * difference / (SMALLEST_SHARE * whole)
        else:
            errors[name] = difference / max(gradient.norm(), SMALLEST_SHARE * whole)
    return errors


def assert_close(ours, theirs):
    output, gradients, input_gradients = ours
    expected, expected_gradients, expected_input_gradients = theirs
    assert output.shape == expected.shape
    assert (output.double() - expected).norm() <= OUTPUT_TOLERANCE * expected.norm()
    whole = torch.stack([g.norm() for g in expected_gradients.values()]).norm()
    assert whole > 0
    errors = gradient_errors(gradients, expected_gradients, whole)
    errors |= gradient_errors(input_gradients, expected_input_gradients, whole)
    wrong = {name: float(e) for name, e in errors.items() if not e <= GRADIENT_TOLERANCE}
    assert not wrong


def assert_same_bits(a, b):
    for first, second in zip(a[1:], b[1:], strict=True):
        assert first.keys() == second.keys()
        assert not [name for name in first if not torch.equal(first[name], second[name])]
    assert torch.equal(a[0], b[0])


def unet_inputs(pipeline, height, width, batch=2, tokens=77):
    generator = torch.Generator().manual_seed(height * 100 + width)
    cross = pipeline.unet.config.cross_attention_dim
    return {
        "sample": torch.randn(batch, 4, height, width, generator=generator),
        "timesteps": torch.tensor([3, 987])[:batch],
        "encoder_hidden_states": torch.randn(batch, tokens, cross, generator=generator),
        "cotangent": torch.randn(batch, 4, height, width, generator=generator),
    }


def unet_forward(unet):
    return lambda x: unet(x["sample"], x["timesteps"], x["encoder_hidden_states"]).sample


@pytest.mark.parametrize("size", [(16, 24), (17, 13)], ids=str)
@pytest.mark.parametrize("family", small_models.FAMILIES)
def test_unet(folders, tmp_path, family, size):
    folder, pipeline = folders[family]
    inputs = unet_inputs(pipeline, *size)
    ours = run_tool("unet", folder, inputs, tmp_path)
    assert_close(ours, reference(pipeline.unet, inputs, unet_forward))
    assert ours[1].keys() == pipeline.unet.state_dict().keys()
    assert_same_bits(ours, run_tool("unet", folder, inputs, tmp_path, ["--checkpointing"]))


def test_unet_with_long_prompts_and_batch_of_one(folders, tmp_path):
    folder, pipeline = folders["v1"]
    inputs = unet_inputs(pipeline, 16, 16, batch=1, tokens=227)
    ours = run_tool("unet", folder, inputs, tmp_path)
    assert_close(ours, reference(pipeline.unet, inputs, unet_forward))


def test_unet_in_bf16_is_near(folders, tmp_path):
    folder, pipeline = folders["v2"]
    inputs = unet_inputs(pipeline, 16, 16)
    output, gradients, _ = run_tool("unet", folder, inputs, tmp_path, ["--bf16"])
    expected, expected_gradients, _ = reference(pipeline.unet, inputs, unet_forward)
    assert 1e-4 < (output - expected).norm() / expected.norm() < 0.05
    largest = max(expected_gradients, key=lambda k: expected_gradients[k].norm())
    difference = (gradients[largest] - expected_gradients[largest]).norm()
    assert difference < 0.1 * expected_gradients[largest].norm()


def vae_encode(vae):
    return lambda x: vae.encode(x["images"]).latent_dist.parameters


def vae_decode(vae):
    return lambda x: vae.decode(x["latents"]).sample


@pytest.mark.parametrize("size", [(64, 40), (48, 56)], ids=str)
def test_vae_encode(folders, tmp_path, size):
    folder, pipeline = folders["v1"]
    height, width = size
    generator = torch.Generator().manual_seed(1)
    inputs = {
        "images": torch.rand(2, 3, height, width, generator=generator) * 2 - 1,
        "cotangent": torch.randn(2, 8, height // 8, width // 8, generator=generator),
    }
    ours = run_tool("vae_encode", folder, inputs, tmp_path)
    assert_close(ours, reference(pipeline.vae, inputs, vae_encode))


@pytest.mark.parametrize("size", [(8, 5), (3, 7)], ids=str)
def test_vae_decode(folders, tmp_path, size):
    folder, pipeline = folders["v1"]
    height, width = size
    generator = torch.Generator().manual_seed(2)
    inputs = {
        "latents": torch.randn(2, 4, height, width, generator=generator),
        "cotangent": torch.randn(2, 3, 8 * height, 8 * width, generator=generator),
    }
    ours = run_tool("vae_decode", folder, inputs, tmp_path)
    assert_close(ours, reference(pipeline.vae, inputs, vae_decode))


def test_vae_halves_make_the_whole(folders, tmp_path):
    """Encoder and decoder between them have a gradient for every tensor of the file."""
    folder, pipeline = folders["v1"]
    encode = {"images": torch.zeros(1, 3, 16, 16), "cotangent": torch.ones(1, 8, 2, 2)}
    decode = {"latents": torch.zeros(1, 4, 2, 2), "cotangent": torch.ones(1, 3, 16, 16)}
    names = run_tool("vae_encode", folder, encode, tmp_path)[1].keys()
    names |= run_tool("vae_decode", folder, decode, tmp_path)[1].keys()
    assert names == pipeline.vae.state_dict().keys()


def text_ids(family, chunks, batch=2):
    """[batch * chunks, 77]: BOS, words, EOS or padding, as the chunks of long captions look."""
    generator = torch.Generator().manual_seed(chunks)
    ids = torch.randint(300, 40000, (batch * chunks, 77), generator=generator)
    ids[:, 0] = 49406
    ids[:, 76] = 49407
    ids[-1, 20:] = 0 if family == "v2" else 49407
    return ids


def join_states(states, chunks):
    """The rule, row by row: the first BOS row, rows 1 to 75 of each chunk, the very last row."""
    captions = []
    for caption in states.split(chunks):
        rows = [caption[0, 0]]
        for chunk in caption:
            rows += [chunk[i] for i in range(1, 76)]
        captions.append(torch.stack([*rows, caption[-1, 76]]))
    return torch.stack(captions)


def text_forward(clip_skip, chunks):
    def make_forward(text_encoder):
        def forward(x):
            hidden = text_encoder(x["ids"], output_hidden_states=True).hidden_states
            states = text_encoder.text_model.final_layer_norm(hidden[-max(clip_skip, 1)])
            return join_states(states, chunks) if chunks > 1 else states

        return forward

    return make_forward


@pytest.mark.parametrize("chunks", [1, 2, 3])
@pytest.mark.parametrize("clip_skip", [0, 1, 2, 3])
@pytest.mark.parametrize("family", small_models.FAMILIES)
def test_text(folders, tmp_path, family, clip_skip, chunks):
    folder, pipeline = folders[family]
    rows = 77 if chunks == 1 else 75 * chunks + 2
    generator = torch.Generator().manual_seed(9)
    inputs = {
        "ids": text_ids(family, chunks),
        "cotangent": torch.randn(2, rows, 128, generator=generator),
    }
    options = ["--clip-skip", clip_skip, "--chunks", chunks]
    options += ["--checkpointing"] if chunks == 2 else []
    ours = run_tool("text", folder, inputs, tmp_path, options)
    model = pipeline.text_encoder
    # fp32: Transformers' causal mask cannot be made in fp64
    theirs = reference(model, inputs, text_forward(clip_skip, chunks), torch.float32)
    for name, gradient in theirs[1].items():
        if name.endswith("k_proj.bias"):
            gradient.zero_()  # softmax does not see it; the rest is fp32's rounding
    assert_close(ours, theirs)
    if clip_skip <= 1:
        assert ours[1].keys() == model.state_dict().keys()


def test_text_without_skip_is_the_last_hidden_state(folders, tmp_path):
    folder, pipeline = folders["v1"]
    ids = text_ids("v1", 1)
    inputs = {"ids": ids, "cotangent": torch.ones(2, 77, 128)}
    output = run_tool("text", folder, inputs, tmp_path)[0]
    expected = pipeline.text_encoder(ids).last_hidden_state.detach()
    assert (output - expected).norm() <= OUTPUT_TOLERANCE * expected.norm()
