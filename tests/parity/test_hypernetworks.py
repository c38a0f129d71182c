"""Hypernetworks against PyTorch: files exchanged both ways, and a U-Net beneath one with its gradients.

The layers here are made as the web UI makes them: a sequence of linear layers, each followed by an
activation (but the last, unless it is activated too; none for "linear"), a norm and a dropout where
they are asked for. References run in fp64.
"""

import copy
import os
import pathlib
import subprocess

import pytest
import safetensors.torch
import small_models
import torch
from test_models import (
    GRADIENT_TOLERANCE,
    OUTPUT_TOLERANCE,
    assert_same_bits,
    gradient_errors,
    unet_inputs,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / os.environ.get("SDTUNE_BUILD", "build/release") / "tests/sdtune-hypernetwork"

ACTIVATIONS = {
    "relu": torch.nn.ReLU,
    "leakyrelu": torch.nn.LeakyReLU,
    "elu": torch.nn.ELU,
    "swish": torch.nn.Hardswish,
    "tanh": torch.nn.Tanh,
    "sigmoid": torch.nn.Sigmoid,
    "celu": torch.nn.CELU,
    "gelu": torch.nn.GELU,
    "hardshrink": torch.nn.Hardshrink,
    "hardsigmoid": torch.nn.Hardsigmoid,
    "hardswish": torch.nn.Hardswish,
    "hardtanh": torch.nn.Hardtanh,
    "logsigmoid": torch.nn.LogSigmoid,
    "mish": torch.nn.Mish,
    "relu6": torch.nn.ReLU6,
    "selu": torch.nn.SELU,
    "silu": torch.nn.SiLU,
    "softplus": torch.nn.Softplus,
    "softshrink": torch.nn.Softshrink,
    "softsign": torch.nn.Softsign,
    "tanhshrink": torch.nn.Tanhshrink,
}


class Module(torch.nn.Module):
    def __init__(self, width, settings):
        super().__init__()
        sizes = [int(width * factor) for factor in settings.get("layer_structure", [1, 2, 1])]
        activation = ACTIVATIONS.get(settings.get("activation_func"))
        dropout = settings.get("dropout_structure") or [0] * len(sizes)
        parts = []
        for i, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
            parts.append(torch.nn.Linear(before, after))
            is_last = i == len(sizes) - 2
            if activation and (not is_last or settings.get("activate_output", True)):
                parts.append(activation())
            if settings.get("is_layer_norm"):
                parts.append(torch.nn.LayerNorm(after))
            if dropout[i + 1] > 0:
                parts.append(torch.nn.Dropout(dropout[i + 1]))
        self.linear = torch.nn.Sequential(*parts)
        self.eval()

    def forward(self, x, multiplier=1.0):
        return x + self.linear(x) * multiplier


def make_pairs(widths, settings, seed=0):
    """{width: [Module, Module]} with every parameter random."""
    generator = torch.Generator().manual_seed(seed)
    pairs = {}
    for width in widths:
        pairs[width] = [Module(width, settings), Module(width, settings)]
        for module in pairs[width]:
            for name, parameter in module.named_parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                scale = parameter.shape[-1] ** -0.5 if name.endswith("weight") else 0.1
                parameter.data.copy_(noise * scale)
    return pairs


def content(pairs, settings, container=tuple):
    return {w: container(m.state_dict() for m in pair) for w, pair in pairs.items()} | settings


def pairs_of(file):
    """The modules of a file that was read, as the web UI takes it."""
    settings = {key: value for key, value in file.items() if isinstance(key, str)}
    pairs = {}
    for width in (key for key in file if isinstance(key, int)):
        pairs[width] = [Module(width, settings), Module(width, settings)]
        for module, state in zip(pairs[width], file[width], strict=True):
            module.load_state_dict(state)
    return pairs


def run_tool(*args):
    done = subprocess.run([str(a) for a in [TOOL, *args]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def outputs(pairs, inputs):
    multiplier = float(inputs["multiplier"])
    return {
        f"{width}.{i}": copy.deepcopy(module).double()(inputs[f"x.{width}"].double(), multiplier)
        for width, pair in pairs.items()
        for i, module in enumerate(pair)
    }


def assert_near(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        assert (ours[name].double() - expected).norm() <= 1e-5 * expected.norm(), name


def exchange(tmp_path, cases, form="pt"):
    """Python writes, sdtune reads, runs and writes. Cases are (pairs, file); returns the paths that sdtune wrote."""
    generator = torch.Generator().manual_seed(1)
    words, expected = [], []
    for i, (pairs, file) in enumerate(cases):
        paths = [tmp_path / f"{i}-{name}" for name in ("theirs.pt", "inputs", "outputs", f"copy.{form}")]
        inputs = {f"x.{w}": torch.randn(2, 5, w, generator=generator) for w in pairs}
        inputs["multiplier"] = torch.tensor(0.75)
        torch.save(file, paths[0])
        safetensors.torch.save_file(inputs, paths[1])
        expected.append((inputs, outputs(pairs, inputs)))
        words.append(paths)
    run_tool("modules", *[path for paths in words for path in paths])
    for paths, (inputs, theirs) in zip(words, expected, strict=True):
        assert_near(safetensors.torch.load_file(paths[2]), theirs)
        if form == "pt":
            assert_near(outputs(pairs_of(load(paths[3])), inputs), theirs)
    return [paths[3] for paths in words]


def load(path):
    return torch.load(path, weights_only=True)


CASES = {
    "plain": {"layer_structure": [1, 2, 1], "activation_func": "linear"},
    "fractions": {"layer_structure": [1, 1.5, 0.7, 1], "activation_func": "relu", "activate_output": False},
    "deep": {"layer_structure": [1, 2, 4, 2, 1], "activation_func": "swish", "activate_output": True},
    "norm": {"layer_structure": [1, 2, 1], "activation_func": "mish", "is_layer_norm": True, "activate_output": False},
    "dropout": {"layer_structure": [1, 2, 2, 1], "activation_func": "tanh", "is_layer_norm": True, "use_dropout": True,
                "dropout_structure": [0, 0.1, 0.2, 0], "activate_output": False, "last_layer_dropout": True},
}


@pytest.mark.parametrize("case", CASES)
def test_the_web_uis_form(tmp_path, case):
    settings = CASES[case]
    pairs = make_pairs([8, 12], settings)
    extra = {"step": 70000, "name": "theirs", "weight_initialization": "Normal", "sd_checkpoint": "81761151",
             "sd_checkpoint_name": None, "optional_info": None}
    ours = load(exchange(tmp_path, [(pairs, content(pairs, settings) | extra)])[0])
    assert [key for key in ours if isinstance(key, int)] == [8, 12]
    for key, value in settings.items():
        assert ours[key] == value and type(ours[key]) is type(value), key
    assert (ours["step"], ours["name"]) == (3, "copy")


def test_every_activation(tmp_path):
    cases = []
    for name in ACTIVATIONS:
        settings = {"layer_structure": [1, 2, 1], "activation_func": name, "activate_output": True}
        pairs = make_pairs([6], settings)
        cases.append((pairs, content(pairs, settings)))
    assert [load(path)["activation_func"] for path in exchange(tmp_path, cases)] == list(ACTIVATIONS)


def test_novelais_form(tmp_path):
    pairs = make_pairs([8], {})
    file = content(pairs, {}, list)
    old = [{k.replace("linear.0", "linear1").replace("linear.1", "linear2"): v for k, v in s.items()} for s in file[8]]
    exchange(tmp_path, [(pairs, file), (pairs, {8: old})])


def test_dropout_of_files_that_give_no_shares(tmp_path):
    shares = {False: [0, 0.3, 0, 0], True: [0, 0.3, 0.3, 0]}
    cases = []
    for last in shares:
        settings = {"layer_structure": [1, 2, 2, 1], "use_dropout": True, "last_layer_dropout": last}
        pairs = make_pairs([8], settings | {"dropout_structure": shares[last]})
        cases.append((pairs, content(pairs, settings)))
    assert [load(path)["dropout_structure"] for path in exchange(tmp_path, cases)] == list(shares.values())


def test_safetensors(tmp_path):
    settings = CASES["norm"]
    pairs = make_pairs([8], settings)
    (path,) = exchange(tmp_path, [(pairs, content(pairs, settings))], "safetensors")
    with safetensors.safe_open(path, "pt") as file:
        facts = file.metadata()
        for i, module in enumerate(pairs[8]):
            for name, value in module.state_dict().items():
                assert torch.equal(file.get_tensor(f"8.{i}.{name}"), value)
    assert facts["layer_structure"] == "1, 2, 1" and facts["activation_func"] == "mish"
    assert facts["is_layer_norm"] == "true" and facts["activate_output"] == "false"


class Processor:
    """Attention in plain steps, keys and values from what the hypernetwork makes of the context."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        for_keys, for_values = self.pairs.get(context.shape[-1], (lambda x: x,) * 2)

        def heads(x):
            return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        q, k, v = heads(attn.to_q(hidden_states)), heads(attn.to_k(for_keys(context))), heads(attn.to_v(for_values(context)))
        shares = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        return attn.to_out[0]((shares @ v).transpose(1, 2).flatten(2))


def unet_reference(unet, pairs, inputs):
    unet = copy.deepcopy(unet).double()
    pairs = {w: [copy.deepcopy(m).double() for m in pair] for w, pair in pairs.items()}
    unet.set_attn_processor(Processor(pairs))
    wide = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
    output = unet(wide["sample"], wide["timesteps"], wide["encoder_hidden_states"]).sample
    (output * wide["cotangent"]).sum().backward()
    gradients = {
        f"{width}.{i}.{name}": p.grad
        for width, pair in pairs.items()
        for i, module in enumerate(pair)
        for name, p in module.named_parameters()
    }
    return output.detach(), gradients


@pytest.mark.parametrize(
    "family, widths, case",
    [("v1", [64, 96, 128], "plain"), ("v2", [64, 128], "norm"), ("v1", [96], "deep")],
)
def test_unet(tmp_path, family, widths, case):
    """All widths at once, two that pixels and text share (SD 2.x), and one alone with identity elsewhere."""
    pipeline = small_models.make_small_pipeline(tmp_path / "model", family, seed=3)
    settings = CASES[case]
    pairs = make_pairs(widths, settings)
    torch.save(content(pairs, settings), tmp_path / "h.pt")
    inputs = unet_inputs(pipeline, 16, 24)
    safetensors.torch.save_file(inputs, tmp_path / "inputs.safetensors")

    def run(*more):
        run_tool("unet", tmp_path / "model", tmp_path / "h.pt", tmp_path / "inputs.safetensors", tmp_path / "out",
                 *(["--v2"] if family == "v2" else []), *more)
        results = safetensors.torch.load_file(tmp_path / "out")
        return results.pop("output"), {k.removeprefix("grad."): v for k, v in results.items()}

    output, gradients = run()
    expected, expected_gradients = unet_reference(pipeline.unet, pairs, inputs)
    plain = pipeline.unet(inputs["sample"], inputs["timesteps"], inputs["encoder_hidden_states"]).sample
    assert (plain - expected).norm() > 0.01 * expected.norm()
    assert (output.double() - expected).norm() <= OUTPUT_TOLERANCE * expected.norm()
    whole = torch.stack([g.norm() for g in expected_gradients.values()]).norm()
    errors = gradient_errors(gradients, expected_gradients, whole)
    assert not {name: float(e) for name, e in errors.items() if not e <= GRADIENT_TOLERANCE}
    again = run("--checkpointing")
    if family == "v1":
        assert_same_bits((output, gradients), again)
    else:  # pixels and text share a network within a block, whose gradients are added up in another order
        assert torch.equal(output, again[0])
        assert max(gradient_errors(again[1], expected_gradients, whole).values()) <= GRADIENT_TOLERANCE
