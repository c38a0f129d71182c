"""8-bit and host-memory states in whole runs: exact resume, what the state holds, refusals."""

import filecmp

import pytest
import safetensors.torch
import torch
from running import train_args


def run(sdtune, small_models, pictures, output, *more):
    return sdtune(*train_args(small_models(), pictures, output, "--save_state", "--save_every_n_steps=2", *more))


@pytest.mark.parametrize(
    "options",
    [["--use_8bit_adam"], ["--optimizer_type=PagedLion8bit", "--mixed_precision=bf16"],
     ["--optimizer_type=AdamW", "--offload_optimizer"]],
)
def test_a_resumed_run_ends_with_the_same_bytes(sdtune, small_models, pictures, tmp_path, options):
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    result = run(sdtune, small_models, pictures, straight, *options)
    assert result.returncode == 0, result.stderr
    result = run(sdtune, small_models, pictures, resumed, *options, f"--resume={straight}/mine-step00000002-state")
    assert result.returncode == 0, result.stderr
    assert filecmp.cmp(straight / "mine.safetensors", resumed / "mine.safetensors", shallow=False)
    for name in ("unet.safetensors", "optimizer.safetensors"):
        assert filecmp.cmp(straight / "mine-state" / name, resumed / "mine-state" / name, shallow=False)


def test_large_tensors_are_saved_as_bytes_and_scales(sdtune, small_models, pictures, tmp_path):
    assert run(sdtune, small_models, pictures, tmp_path, "--use_8bit_adam").returncode == 0
    unet = safetensors.torch.load_file(tmp_path / "mine-state/unet.safetensors")
    state = safetensors.torch.load_file(tmp_path / "mine-state/optimizer.safetensors")
    sizes = set()
    for name, weight in unet.items():
        large = weight.numel() >= 4096
        sizes.add(large)
        for moment in ("exp_avg", "exp_avg_sq"):
            kept = state[f"unet.{name}.{moment}" + ("_codes" if large else "")]
            assert kept.dtype == (torch.uint8 if large else torch.float32)
            assert kept.shape == weight.shape
            if large:
                assert state[f"unet.{name}.{moment}_absmax"].numel() == -(-weight.numel() // 256)
    assert sizes == {True, False}


def test_a_state_of_fp32_moments_is_refused(sdtune, small_models, pictures, tmp_path):
    assert run(sdtune, small_models, pictures, tmp_path / "a").returncode == 0
    result = run(sdtune, small_models, pictures, tmp_path / "b", "--use_8bit_adam", f"--resume={tmp_path}/a/mine-state")
    assert result.returncode == 1
    assert "exp_avg" in result.stderr


def test_rules_that_need_all_tensors_cannot_leave_their_state_on_the_host(sdtune, small_models, pictures, tmp_path):
    result = run(sdtune, small_models, pictures, tmp_path, "--optimizer_type=Prodigy", "--offload_optimizer")
    assert result.returncode == 2
    assert "--offload_optimizer" in result.stderr
    assert not (tmp_path / "mine-run").exists()
