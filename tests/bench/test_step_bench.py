"""sdtune-bench and what puts peers beside it, with tiny models: the same work on both sides, and all that is told."""

import json
import subprocess
import sys

import pytest
from running import BUILD, ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
SIDE = 64
ARITHMETIC = {"convolution", "convolution backward", "matrix products", "attention"}


def run_bench(*words):
    return subprocess.run([str(BUILD / "sdtune-bench"), *words], capture_output=True, text=True, timeout=300)


def bench_lines(*words):
    done = run_bench(*words, "--tiny", "--steps=2", f"--width={SIDE}", f"--height={SIDE}")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def peer_flops(model):
    """Of the same step in Diffusers, forward and backward, counted by torch; attention as products, which it counts."""
    import diffusers
    import torch
    from diffusers.models.attention_processor import AttnProcessor
    from step_peers import unet_config
    from torch.utils.flop_counter import FlopCounterMode

    config = unet_config(model, tiny=True)
    unet = diffusers.UNet2DConditionModel(**config)
    unet.set_attn_processor(AttnProcessor())
    latents, context = torch.randn(1, 4, SIDE // 8, SIDE // 8), torch.randn(1, 77, config["cross_attention_dim"])
    counts = []
    with FlopCounterMode(display=False) as counter:
        loss = unet(latents, torch.tensor([5]), context).sample.square().mean()
        counts.append(counter.get_total_flops())
        loss.backward()
        counts.append(counter.get_total_flops() - counts[0])
    return counts


@pytest.mark.parametrize("model", ["sd1", "sd2"])
def test_the_profile_counts_the_arithmetic_of_the_same_model_in_diffusers(model):
    profile = bench_lines("step", "--profile", f"--model={model}")[-2]["profile"]
    for part, expected in zip(("forward", "backward"), peer_flops(model)):
        counted = sum(row["flops"] for row in profile["kinds"] if row["part"] == part)
        assert counted == pytest.approx(expected, rel=1e-6), part
    kinds = {row["kind"] for row in profile["kinds"] if row["flops"] > 0}
    assert kinds == ARITHMETIC


def test_norms_clipping_and_adamw_are_none_of_torchs():
    kinds = {row["kind"] for row in bench_lines("step", "--profile")[-2]["profile"]["kinds"]}
    assert not kinds & {"group norm", "clipping", "optimizer"}


def test_the_profile_counts_no_time_twice():
    *steps, told, _ = bench_lines("step", "--profile")
    for part, seconds in told["profile"]["parts"].items():
        assert seconds == pytest.approx(sum(step[part] for step in steps) / len(steps), rel=0.2, abs=1e-3)
        assert all(row["seconds"] > -1e-6 for row in told["profile"]["kinds"] if row["part"] == part)


def test_ways_of_making_a_step_give_the_same_losses():
    losses = {}
    for words in ((), ("--checkpointing",), ("--fused-backward",)):
        *steps, run = bench_lines("step", *words)
        assert run["peak_bytes"] > 0 and all(step["grad_norm"] > 0 for step in steps)
        losses[words] = [step["loss"] for step in steps]
    assert losses["--checkpointing",] == losses[()]
    # Clipped tensor by tensor: other updates, but the noise and the weights that it began with are the same.
    assert losses["--fused-backward",] == pytest.approx(losses[()], rel=1e-2)


@pytest.mark.parametrize("what, precision, legs, rounds", [
    ("step", "bf16", ["sdtune", "sdtune-low-memory", "diffusers"], 2), ("vae", "fp32", ["sdtune", "diffusers"], 1),
    ("text", "fp32", ["sdtune", "transformers"], 1)])
def test_legs_run_in_turns_and_every_time_is_kept(tmp_path, what, precision, legs, rounds):
    output = tmp_path / "result.json"
    command = [sys.executable, ROOT / "benchmarks/step_bench.py", f"--build={BUILD}", f"--what={what}", "--tiny",
               f"--size={SIDE}", f"--precision={precision}", f"--legs={','.join(legs)}", f"--rounds={rounds}", "--steps=2",
               f"--output={output}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    result = json.loads(output.read_text())
    orders = [[run["leg"] for run in one["runs"]] for one in result["rounds"]]
    assert orders == [legs, legs[::-1]][:rounds]
    assert all(len(run["steps"]) == 2 for one in result["rounds"] for run in one["runs"])
    assert list(result["summary"]) == legs
    first = result["summary"][legs[0]]
    assert first["ratio"] == first["ratio_least"] == first["ratio_most"] == 1 and first["steps"] == 2 * rounds
    for leg in legs:
        assert f"| {leg} |" in done.stdout
        assert result["summary"][leg]["peak_bytes"] > 0
    assert result["machine"]["product_fp32_gflops"] > 0 and result["machine"]["flags"]


@pytest.mark.parametrize("words, told", [(["steps"], "step, text, vae"), (["step", "--wide=3"], "--wide=3"),
                                         (["step", "--steps=none"], "none"), (["vae", "--profile"], "--profile"),
                                         (["step", "--precision=fp64"], "bf16, fp32, full_bf16"), (["step", "--cuda-graphs"], "--device=cuda"),
                                         ([], "sdtune-bench")])
def test_wrong_words_are_named(words, told):
    done = run_bench(*words)
    assert done.returncode == 2
    assert told in done.stderr
