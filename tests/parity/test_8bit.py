"""8-bit optimizer states against bitsandbytes: codes, values, single steps and twenty steps."""

import subprocess

import bitsandbytes
import bitsandbytes.functional
import pytest
import torch
from running import BUILD
from safetensors.torch import load_file, save_file

STEPS = 20
SHAPE = (96, 130)  # 12480 numbers: 48 whole blocks and a short one


def run_tool(folder, mode, inputs, *words):
    save_file(inputs, folder / "inputs.safetensors")
    command = [BUILD / "tests/sdtune-8bit", mode, folder / "inputs.safetensors", folder / "outputs.safetensors", *words]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return load_file(folder / "outputs.safetensors")


@pytest.fixture(scope="module")
def maps():
    return {name: bitsandbytes.functional.create_dynamic_map(name == "signed") for name in ("signed", "unsigned")}


def test_the_codes_are_bitsandbytes_maps(tmp_path, maps):
    ours = run_tool(tmp_path, "codes", maps)
    for name, values in maps.items():
        assert torch.equal(ours[f"codes.{name}"], torch.arange(256, dtype=torch.uint8))
        assert torch.equal(ours[f"values.{name}"], values)


def test_random_tensors_get_bitsandbytes_codes(tmp_path, maps):
    generator = torch.Generator().manual_seed(0)
    inputs = {
        "signed": torch.randn(100_100, generator=generator) ** 3,
        "unsigned": torch.randn(100_100, generator=generator) ** 2,
    }
    ours = run_tool(tmp_path, "codes", inputs)
    for name, x in inputs.items():
        # In fp64 bitsandbytes compares with every value; its fp32 path on a CPU takes a near one.
        codes, absmax = torch.ops.bitsandbytes.quantize_blockwise(x.double(), maps[name], 256)
        assert torch.equal(ours[f"codes.{name}"], codes)
        assert torch.equal(ours[f"absmax.{name}"], absmax)
        values = torch.ops.bitsandbytes.dequantize_blockwise(codes, absmax, maps[name], 256, torch.float32)
        assert torch.equal(ours[f"values.{name}"], values)


# Type and settings here, then bitsandbytes' class with 8-bit and with fp32 states, and its settings.
OPTIMIZERS = {
    "AdamW8bit": ([], bitsandbytes.optim.AdamW8bit, bitsandbytes.optim.AdamW, {}),
    "Adam8bit": (
        ["betas=0.8,0.95", "eps=1e-6", "weight_decay=0.1"],
        bitsandbytes.optim.Adam8bit,
        bitsandbytes.optim.Adam,
        {"betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1},
    ),
    "Lion8bit": (["weight_decay=0.1"], bitsandbytes.optim.Lion8bit, bitsandbytes.optim.Lion, {"weight_decay": 0.1}),
    "SGD8bit": (
        ["momentum=0.9", "weight_decay=0.1"],
        bitsandbytes.optim.SGD8bit,
        bitsandbytes.optim.SGD,
        {"momentum": 0.9, "weight_decay": 0.1},
    ),
    "AdEMAMix8bit": (
        ["t_alpha=10", "t_beta3=10"],
        bitsandbytes.optim.AdEMAMix8bit,
        bitsandbytes.optim.AdEMAMix,
        {"t_alpha": 10, "t_beta3": 10},
    ),
    "PagedAdamW8bit": ([], bitsandbytes.optim.AdamW8bit, bitsandbytes.optim.AdamW, {}),
    "PagedLion8bit": ([], bitsandbytes.optim.Lion8bit, bitsandbytes.optim.Lion, {}),
    "PagedAdamW": ([], None, bitsandbytes.optim.AdamW, {}),
    "PagedAdamW32bit": ([], None, bitsandbytes.optim.AdamW, {}),
}
RATE = 1e-3


def make_problem():
    generator = torch.Generator().manual_seed(1)
    weight = 0.1 * torch.randn(SHAPE, generator=generator)
    return weight, [0.01 * torch.randn(SHAPE, generator=generator) for _ in range(STEPS)]


def run_ours(folder, kind, arguments, weight, gradients):
    inputs = {"weight": weight} | {f"grad.{i}": gradient for i, gradient in enumerate(gradients)}
    return run_tool(folder, "steps", inputs, kind, RATE, *arguments)


def run_theirs(make, settings, weight, gradients):
    """The weights after each step."""
    weight = torch.nn.Parameter(weight.clone())
    optimizer = make([weight], lr=RATE, **settings)
    after = []
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
        after.append(weight.detach().clone())
    return after


def put_state(state, ours, step):
    """Gives bitsandbytes' fp32 state the values that our codes stand for."""
    first = ours.get(f"{step}.exp_avg", ours.get(f"{step}.momentum_buffer"))
    slow = ours.get(f"{step}.exp_avg_slow")
    state["state1"].copy_(first if slow is None else torch.stack([first, slow]))
    if f"{step}.exp_avg_sq" in ours:
        state["state2"].copy_(ours[f"{step}.exp_avg_sq"])


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_each_step_is_bitsandbytes_rule(tmp_path, kind):
    """From our weights and states its fp32 rule comes to our next weights, and to states that our codes are near to."""
    arguments, _, make, settings = OPTIMIZERS[kind]
    start, gradients = make_problem()
    ours = run_ours(tmp_path, kind, arguments, start, gradients)
    weight = torch.nn.Parameter(start.clone())
    optimizer = make([weight], lr=RATE, **settings)
    for step, gradient in enumerate(gradients):
        weight.grad = gradient.clone()
        optimizer.step()
        assert (weight - ours[f"{step}.weight"]).abs().max() < 1e-6
        state = optimizer.state[weight]
        for name, moment in (("exp_avg", state["state1"]), ("exp_avg_sq", state.get("state2"))):
            if f"{step}.{name}_codes" in ours and kind != "AdEMAMix8bit":
                # Half the widest step between two values, 0.07 in the decade's lowest part, of a block's largest one.
                close = (moment - ours[f"{step}.{name}"]).abs() <= 0.0072 * moment.abs().max() + 1e-12
                assert close.all(), name
        weight.data.copy_(ours[f"{step}.weight"])
        put_state(state, ours, step)


@pytest.mark.parametrize("kind", [kind for kind in OPTIMIZERS if kind.endswith("8bit")])
def test_twenty_steps_stay_as_near_to_fp32_states_as_bitsandbytes_does(tmp_path, kind):
    arguments, make_8bit, make, settings = OPTIMIZERS[kind]
    start, gradients = make_problem()
    ours = run_ours(tmp_path, kind, arguments, start, gradients)
    theirs = run_theirs(make_8bit, settings, start, gradients)
    exact = run_theirs(make, settings, start, gradients)
    for step in range(STEPS):
        own_error = (ours[f"{step}.weight"] - exact[step]).abs().mean()
        their_error = (theirs[step] - exact[step]).abs().mean()
        assert own_error <= 1.1 * their_error + 1e-7, step
    assert (exact[-1] - start).abs().mean() > 10 * own_error


def test_nesterov_momentum_is_torchs(tmp_path):
    """bitsandbytes takes nesterov and ignores it."""
    start, gradients = make_problem()
    ours = run_ours(tmp_path, "SGDNesterov8bit", [], start, gradients)
    exact = run_theirs(torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, start, gradients)
    plain = run_theirs(torch.optim.SGD, {"momentum": 0.9}, start, gradients)
    error = (ours[f"{STEPS - 1}.weight"] - exact[-1]).abs().mean()
    assert error < 0.02 * (exact[-1] - start).abs().mean()
    assert error < 0.3 * (plain[-1] - exact[-1]).abs().mean()
