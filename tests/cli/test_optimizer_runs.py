"""Optimizers in whole runs: exact resume, rates of blocks, averaged weights, refusals."""

import filecmp

import pytest
import safetensors.torch
import torch
from running import read_events, train_args

RATES = {"Prodigy": 1.0, "DAdaptSGD": 1.0, "SGDScheduleFree": 0.1}
KINDS = ["AdaFactor", "AdamWScheduleFree", "CAME", "DAdaptSGD", "Lion", "Prodigy", "SGDNesterov", "SGDScheduleFree"]


def unet_of(path):
    return safetensors.torch.load_file(path / "unet.safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_ends_with_the_same_bytes(sdtune, small_models, pictures, tmp_path, kind):
    def args(output, *more):
        return train_args(small_models(), pictures, output, "--max_train_steps=4", f"--optimizer_type={kind.lower()}",
                          f"--learning_rate={RATES.get(kind, 1e-4)}", "--save_state", "--save_every_n_steps=2", *more)

    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    result = sdtune(*args(straight))
    assert result.returncode == 0, result.stderr
    result = sdtune(*args(resumed, f"--resume={straight}/mine-step00000002-state"))
    assert result.returncode == 0, result.stderr
    assert "resumed from" in result.stderr
    assert filecmp.cmp(straight / "mine.safetensors", resumed / "mine.safetensors", shallow=False)
    before = unet_of(straight / "mine-step00000002-state")
    after = unet_of(straight / "mine-state")
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_schedule_free_saves_the_averaged_weights(sdtune, small_models, pictures, tmp_path):
    output = tmp_path / "out"
    result = sdtune(*train_args(small_models(), pictures, output, "--optimizer_type=AdamWScheduleFree",
                                "--save_state", "--learning_rate=1e-3", "--save_model_as=diffusers_safetensors"))
    assert result.returncode == 0, result.stderr
    trained = unet_of(output / "mine-state")
    saved = safetensors.torch.load_file(output / "mine/unet/diffusion_pytorch_model.safetensors")
    state = safetensors.torch.load_file(output / "mine-state/optimizer.safetensors")
    name = "mid_block.resnets.0.conv1.weight"
    averaged = torch.lerp(trained[name], state[f"unet.{name}.z"], 1 - 1 / 0.9)
    assert torch.allclose(saved[name], averaged, atol=1e-6)
    assert not torch.equal(saved[name], trained[name])


def test_block_rates_freeze_and_move_parts(sdtune, small_models, pictures, tmp_path):
    model, output = small_models(), tmp_path / "out"
    result = sdtune(*train_args(model, pictures, output, "--save_state", "--gradient_checkpointing",
                                "--block_lr=down_blocks=0,mid_block=1e-3,mid_block.attentions=0"))
    assert result.returncode == 0, result.stderr
    before = safetensors.torch.load_file(model / "unet/diffusion_pytorch_model.safetensors")
    after = unet_of(output / "mine-state")

    def change(name):
        return (after[name] - before[name]).abs().max().item()

    for name in before:
        if name.startswith(("down_blocks.", "mid_block.attentions.")):
            assert change(name) == 0, name
    assert change("mid_block.resnets.0.conv1.weight") > 3 * change("up_blocks.0.resnets.0.conv1.weight") > 0
    moments = safetensors.torch.load_file(output / "mine-state/optimizer.safetensors")
    assert not any(name.startswith("unet.down_blocks.") for name in moments)


def test_the_rate_that_was_found_is_recorded(sdtune, small_models, pictures, tmp_path):
    output = tmp_path / "out"
    result = sdtune(*train_args(small_models(), pictures, output, "--optimizer_type=Prodigy", "--learning_rate=1",
                                "--optimizer_args", "d0=1e-4", "d_coef=0.5"))
    assert result.returncode == 0, result.stderr
    rates = [event["lr"] for event in read_events(output) if event["event"] == "step"]
    assert rates[0] == pytest.approx(1e-4)
    assert rates == sorted(rates)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--optimizer_type=AdamV"], "did you mean AdamW?"),
        (["--optimizer_args", "momentum=0.9"], '"momentum" is no setting of AdamW'),
        (["--optimizer_args", "eps=__import__('os').remove('x')"], "no Python literal"),
        (["--optimizer_type=Lion", "--use_lion_optimizer"], "more than one optimizer"),
        (["--block_lr=1e-6,1e-6"], "rates are given"),
        (["--block_lr=middle=1e-6"], 'no part "middle"'),
        (["--block_lr=fast"], "no learning rate"),
    ],
)
def test_what_cannot_be_meant_is_refused(sdtune, small_models, pictures, tmp_path, options, message):
    result = sdtune(*train_args(small_models(), pictures, tmp_path / "out", *options))
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
