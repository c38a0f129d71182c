"""Types of weights, updates in the backward pass, averages of the weights, and memory as it is told, from outside."""

import filecmp

import pytest
import torch
from running import read_events, train_args
from safetensors.torch import load_file

BF16 = ["--mixed_precision=bf16", "--full_bf16"]


@pytest.fixture
def train(sdtune, small_models, pictures, tmp_path):
    def run(name, *more, model=None):
        output = tmp_path / name
        result = sdtune(*train_args(model or small_models(), pictures, output, *more))
        assert result.returncode == 0, result.stderr
        return output

    return run


def trained(output, name="mine"):
    """The U-Net's tensors as the file holds them."""
    tensors = load_file(output / f"{name}.safetensors")
    return {key: value for key, value in tensors.items() if key.startswith("model.diffusion_model.")}


def same_bytes(a, b, name="mine.safetensors"):
    return filecmp.cmp(a / name, b / name, shallow=False)


@pytest.mark.parametrize("more, dtype", [([], torch.float32), (["--mixed_precision=bf16"], torch.float32),
                                         (BF16, torch.bfloat16),
                                         (["--mixed_precision=fp16", "--full_fp16"], torch.float16)])
def test_weights_are_kept_and_saved_in_their_type(train, more, dtype):
    output = train("out", *more)
    assert {tensor.dtype for tensor in trained(output).values()} == {dtype}
    steps = [event for event in read_events(output) if event["event"] == "step"]
    assert all(event["updated"] and event["grad_norm"] > 0 for event in steps)


@pytest.mark.parametrize("more, says", [
    (["--full_bf16"], "--mixed_precision=bf16"),
    (["--full_fp16"], "--mixed_precision=fp16"),
    (["--fused_backward_pass"], "--clip_per_tensor"),
    (["--fused_backward_pass", "--max_grad_norm=0", "--gradient_accumulation_steps=2"], "gradient_accumulation_steps"),
    (["--fused_backward_pass", "--max_grad_norm=0", "--mixed_precision=fp16"], "bf16"),
    (["--fused_backward_pass", "--max_grad_norm=0", "--optimizer_type=Prodigy"], "all gradients"),
    (["--offload_optimizer", "--optimizer_type=Prodigy"], "offload_optimizer"),
])
def test_what_does_not_go_together_is_refused(sdtune, small_models, pictures, tmp_path, more, says):
    result = sdtune(*train_args(small_models(), pictures, tmp_path / "out", *more))
    assert result.returncode == 2
    assert says in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("more", [[], ["--gradient_checkpointing", "--train_text_encoder"], BF16,
                                  ["--optimizer_type=AdamW8bit"], ["--optimizer_type=AdaFactor"]])
def test_fused_updates_are_the_same_updates(train, more):
    more = ["--max_grad_norm=0", *more]
    apart, fused = train("apart", *more), train("fused", "--fused_backward_pass", *more)
    assert same_bytes(apart, fused)
    norms = [[event["grad_norm"] for event in read_events(out) if event["event"] == "step"] for out in (apart, fused)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_graphs_have_no_effect_on_a_cpu_and_that_is_said(sdtune, small_models, pictures, tmp_path):
    for name, more in (("plain", []), ("graphs", ["--cuda_graphs"])):
        args = train_args(small_models(), pictures, tmp_path / name, "--device=cpu", *more)
        result = sdtune(*args)
        assert result.returncode == 0, result.stderr
        assert ("--cuda_graphs has no effect: the run computes on a CPU" in result.stderr) == bool(more)
    assert same_bytes(tmp_path / "plain", tmp_path / "graphs")


def test_clipping_by_tensor_is_the_same_fused_and_differs_from_joint_clipping(train):
    more = ["--clip_per_tensor", "--max_grad_norm=0.001", "--optimizer_type=SGD", "--learning_rate=1"]
    apart, fused = train("apart", *more), train("fused", "--fused_backward_pass", *more)
    assert same_bytes(apart, fused)
    assert not same_bytes(apart, train("joint", *more[1:]))


def test_the_average_is_written_beside_the_model_and_kept_in_the_state(train):
    follows = train("follows", "--ema", "--ema_decay=0", "--save_state", "--save_every_n_steps=2")
    for name in ("mine", "mine-step00000002"):
        model, average = trained(follows, name), trained(follows, f"{name}-ema")
        assert model.keys() == average.keys()
        assert all(torch.equal(model[key], average[key]) for key in model)
    assert (follows / "mine-state/ema.safetensors").exists()
    slow = train("slow", "--ema")
    assert same_bytes(follows, slow)
    model, average = trained(slow), trained(slow, "mine-ema")
    assert any(not torch.equal(model[key], average[key]) for key in model)


def test_old_averages_go_with_their_models(train):
    output = train("out", "--ema", "--save_every_n_steps=1", "--save_last_n=1")
    names = sorted(path.name for path in output.glob("*step*"))
    assert names == ["mine-step00000004-ema.safetensors", "mine-step00000004.safetensors"]


def test_the_text_encoder_stops_where_it_is_told_to(train):
    text = {}
    for stop in (0, 2, None):
        more = [] if stop is None else [f"--stop_text_encoder_training={stop}"]
        output = train(f"stop-{stop}", "--train_text_encoder", "--save_state", "--save_every_n_steps=2", *more)
        text[stop] = [load_file(output / f"{name}-state/text_encoder.safetensors")
                      for name in ("mine-step00000002", "mine")]

    def equal(a, b):
        return all(torch.equal(a[key], b[key]) for key in a)

    assert equal(*text[0]) and equal(*text[2]) and not equal(*text[None])
    assert equal(text[2][0], text[None][0]) and not equal(text[0][0], text[2][0])


def test_memory_is_told_before_and_after(sdtune, small_models, pictures, tmp_path):
    result = sdtune(*train_args(small_models(), pictures, tmp_path / "out"))
    assert "memory: about" in result.stderr and "peak memory:" in result.stderr
    events = read_events(tmp_path / "out")
    assert events[0]["expected_peak_bytes"] == events[-1]["expected_peak_bytes"] > 1e8
    steps = [event for event in events if event["event"] == "step"]
    assert events[-1]["peak_bytes"] >= steps[-1]["resident_bytes"] > 1e8
