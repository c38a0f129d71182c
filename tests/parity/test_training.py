"""Training replayed in Python from --trace_dir: the same losses, the same weights, in Diffusers and torch."""

import diffusers
import pytest
import torch
import transformers
from running import train_args
from safetensors.torch import load_file

STEPS = 10


def relative(a, b):
    return float((a.double() - b.double()).norm() / b.double().norm())


def join_states(states, count, chunks):
    if chunks == 1:
        return states
    rows = states.reshape(count, chunks * 77, -1)
    middle = [rows[:, 77 * i + 1 : 77 * i + 76] for i in range(chunks)]
    return torch.cat([rows[:, :1], *middle, rows[:, -1:]], dim=1)


def check_inputs(trace, prediction_type):
    """Noisy latents and target from latents, noise and timesteps, by Diffusers' own scheduler."""
    scheduler = diffusers.DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction_type
    )
    arguments = trace["latents"], trace["noise"], trace["timesteps"]
    assert relative(trace["noisy_latents"], scheduler.add_noise(*arguments)) < 1e-6
    v = prediction_type == "v_prediction"
    target = scheduler.get_velocity(*arguments) if v else trace["noise"]
    assert relative(trace["target"], target) < 1e-6
    assert abs(float(trace["noise"].mean())) < 0.2 and abs(float(trace["noise"].std()) - 1) < 0.2


def encode(text_encoder, ids, count, clip_skip):
    out = text_encoder(ids, output_hidden_states=True)
    states = out.last_hidden_state
    if clip_skip:
        states = text_encoder.text_model.final_layer_norm(out.hidden_states[-clip_skip])
    return join_states(states, count, ids.shape[0] // count)


@pytest.mark.parametrize(
    "family, prediction_type, more",
    [
        ("v1", "epsilon", []),
        ("v2", "v_prediction", ["--v2", "--v_parameterization", "--gradient_checkpointing"]),
        ("v1", "epsilon", ["--train_text_encoder", "--max_token_length=225", "--clip_skip=2",
                           "--learning_rate_te=5e-5", "--gradient_checkpointing", "--lr_scheduler=linear",
                           "--lr_warmup_steps=3"]),
    ],
)
def test_ten_steps(sdtune, small_models, pictures, tmp_path, family, prediction_type, more):
    folder = small_models(family, prediction_type)
    output, trace_dir = tmp_path / "out", tmp_path / "trace"
    result = sdtune(*train_args(folder, pictures, output, f"--max_train_steps={STEPS}", "--train_batch_size=2",
                                f"--trace_dir={trace_dir}", "--save_model_as=diffusers_safetensors", *more))
    assert result.returncode == 0, result.stderr
    trains_text = "--train_text_encoder" in more
    clip_skip = 2 if "--clip_skip=2" in more else 0
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet")
    text_encoder = transformers.CLIPTextModel.from_pretrained(folder / "text_encoder")
    groups = [{"params": list(unet.parameters()), "lr": 1e-4}]
    if trains_text:
        groups.append({"params": list(text_encoder.parameters()), "lr": 5e-5})
    optimizer = torch.optim.AdamW(groups)
    base_rates = [group["lr"] for group in groups]

    for step in range(1, STEPS + 1):
        trace = load_file(trace_dir / f"step-{step:06}.safetensors")
        check_inputs(trace, prediction_type)
        count = trace["latents"].shape[0]
        with torch.set_grad_enabled(trains_text):
            context = encode(text_encoder, trace["input_ids"], count, clip_skip)
        assert relative(trace["encoder_hidden_states"], context) < 1e-5
        prediction = unet(trace["noisy_latents"], trace["timesteps"], context).sample
        loss = torch.nn.functional.mse_loss(prediction, trace["target"])
        assert abs(loss.item() / float(trace["loss"]) - 1) < 1e-5
        loss.backward()
        trained = [p for group in groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_([p for p in trained if p.grad is not None], 1.0)
        assert abs(float(norm) / float(trace["grad_norm"]) - 1) < 1e-4
        factor = float(trace["lr"]) / base_rates[0]
        for group, rate in zip(optimizer.param_groups, base_rates):
            group["lr"] = rate * factor
        optimizer.step()
        optimizer.zero_grad()

    saved = diffusers.UNet2DConditionModel.from_pretrained(output / "mine" / "unet").state_dict()
    parts = [(saved, unet.state_dict())]
    if trains_text:
        saved_text = transformers.CLIPTextModel.from_pretrained(output / "mine" / "text_encoder").state_dict()
        parts.append((saved_text, text_encoder.state_dict()))
    for ours, theirs in parts:
        assert ours.keys() == theirs.keys()
        keys = sorted(ours)
        assert relative(torch.cat([ours[k].flatten() for k in keys]), torch.cat([theirs[k].flatten() for k in keys])) < 1e-4
        start = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    # the run moved the weights by far more than that
    assert relative(torch.cat([saved[k].flatten() for k in sorted(start)]),
                    torch.cat([start[k].flatten() for k in sorted(start)])) > 1e-3


def test_learning_rate_follows_the_schedule(sdtune, small_models, pictures, tmp_path):
    trace_dir = tmp_path / "trace"
    result = sdtune(*train_args(small_models(), pictures, tmp_path / "out", f"--trace_dir={trace_dir}",
                                "--lr_scheduler=linear", "--lr_warmup_steps=2"))
    assert result.returncode == 0, result.stderr
    rates = [float(load_file(trace_dir / f"step-{i:06}.safetensors")["lr"]) for i in range(1, 5)]
    assert rates == pytest.approx([0, 0.5e-4, 1e-4, 0.5e-4])
