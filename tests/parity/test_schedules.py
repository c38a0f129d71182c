"""Learning rates over whole runs against the formulas, and against torch's and Transformers' own classes."""

import math
import subprocess

import numpy
import pytest
import torch
import transformers
from running import BUILD, read_events, train_args
from safetensors.torch import load_file

LR = 2e-3


def tool(*args):
    return subprocess.run([str(BUILD / "tests" / "sdtune-schedule"), *map(str, args)], capture_output=True, text=True)


def rates(steps, *args):
    result = tool(f"--max_train_steps={steps}", f"--learning_rate={LR}", *args)
    assert result.returncode == 0, result.stderr
    return numpy.array([float(line) for line in result.stdout.split()])


def warmed_up(step, total, warmup, after):
    if step < warmup:
        return step / max(1, warmup)
    return after((step - warmup) / max(1, total - warmup))


def restarts(p, cycles):
    return 0 if p >= 1 else 0.5 * (1 + math.cos(math.pi * ((cycles * p) % 1)))


def stable_decay(step, total, warmup, decay, least, warmup_type="linear", decay_type="cosine", cycles=1):
    if step < warmup:
        x = step / max(1, warmup)
        rise = {"linear": x, "cosine": 0.5 * (1 - math.cos(math.pi * x)), "1-sqrt": 1 - math.sqrt(1 - x)}
        return rise[warmup_type] * (1 - least) + least
    if step < total - decay:
        return 1
    if step >= total:
        return least
    x = (step - (total - decay)) / max(1, decay)
    fall = {"linear": 1 - x, "cosine": 0.5 * (1 + math.cos(math.pi * cycles * x)), "1-sqrt": 1 - math.sqrt(x)}
    return max(0, fall[decay_type] * (1 - least) + least)


def min_lr(p, cycles, least):
    return 0.5 * (1 + math.cos(math.pi * cycles * p)) * (1 - least) + least


CASES = {
    "constant": ([], lambda s, t: 1),
    "adafactor": ([], lambda s, t: 1),
    "constant_with_warmup": (["--lr_warmup_steps=30"], lambda s, t: warmed_up(s, t, 30, lambda p: 1)),
    "linear": (["--lr_warmup_steps=0.1"], lambda s, t: warmed_up(s, t, int(0.1 * t), lambda p: max(0, 1 - p))),
    "cosine": (["--lr_warmup_steps=10%", "--lr_scheduler_num_cycles=3"],
               lambda s, t: warmed_up(s, t, int(0.1 * t), lambda p: 0.5 * (1 + math.cos(math.pi * p)))),
    "cosine_with_restarts": (["--lr_warmup_steps=7", "--lr_scheduler_num_cycles=3"],
                             lambda s, t: warmed_up(s, t, 7, lambda p: restarts(p, 3))),
    "polynomial": (["--lr_scheduler_power=1.5", "--lr_warmup_steps=11"],
                   lambda s, t: warmed_up(s, t, 11, lambda p: ((LR - 1e-7) * (1 - p) ** 1.5 + 1e-7) / LR)),
    "inverse_sqrt": (["--lr_warmup_steps=20"],
                     lambda s, t: s / 20 if s < 20 else 1 / math.sqrt((s + 20 - 20) / 20)),
    "inverse_sqrt ": (["--lr_warmup_steps=20", "--lr_scheduler_timescale=50"],
                      lambda s, t: s / 20 if s < 20 else 1 / math.sqrt((s + 50 - 20) / 50)),
    "cosine_with_min_lr": (["--lr_scheduler_min_lr_ratio=0.1", "--lr_warmup_steps=5", "--lr_scheduler_num_cycles=2"],
                           lambda s, t: warmed_up(s, t, 5, lambda p: min_lr(p, 2, 0.1))),
    "warmup_stable_decay": (["--lr_warmup_steps=0.1", "--lr_decay_steps=0.2", "--lr_scheduler_min_lr_ratio=0.05"],
                            lambda s, t: stable_decay(s, t, int(0.1 * t), int(0.2 * t), 0.05)),
    "warmup_stable_decay ": (["--lr_warmup_steps=20", "--lr_decay_steps=40", "--lr_scheduler_args",
                              "decay_type=1-sqrt", "warmup_type='cosine'"],
                             lambda s, t: stable_decay(s, t, 20, 40, 0, "cosine", "1-sqrt")),
    "piecewise_constant": (["--lr_scheduler_args", "step_rules=1:10,0.1:20,0.005"],
                           lambda s, t: 1 if s < 10 else 0.1 if s < 20 else 0.005),
}


@pytest.mark.parametrize("steps", [100, 777])
@pytest.mark.parametrize("name", CASES)
def test_follows_the_formula_over_a_whole_run(name, steps):
    args, factor = CASES[name]
    expected = [LR * factor(step, steps) for step in range(steps)]
    assert rates(steps, f"--lr_scheduler={name.strip()}", *args) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def theirs(make, steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    schedule = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("name, warmup_rate", [("cosine_warmup_with_min_lr", None), ("cosine_warmup_with_min_lr", 0.3)])
def test_equals_transformers(name, warmup_rate):
    make = transformers.optimization.get_cosine_with_min_lr_schedule_with_warmup_lr_rate
    expected = theirs(lambda o: make(o, num_warmup_steps=20, num_training_steps=200, num_cycles=0.5, min_lr_rate=0.1,
                                     warmup_lr_rate=warmup_rate), 200)
    more = ["--lr_scheduler_args", f"warmup_lr_rate={warmup_rate}"] if warmup_rate else []
    found = rates(200, f"--lr_scheduler={name}", "--lr_warmup_steps=20", "--lr_scheduler_min_lr_ratio=0.1", *more)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("ConstantLR", {}),
        ("ConstantLR", {"factor": 0.25, "total_iters": 30}),
        ("LinearLR", {"start_factor": 0.1, "end_factor": 0.5, "total_iters": 40}),
        ("StepLR", {"step_size": 30, "gamma": 0.5}),
        ("MultiStepLR", {"milestones": [10, 40, 41]}),
        ("ExponentialLR", {"gamma": 0.97}),
        ("PolynomialLR", {"total_iters": 60, "power": 2.0}),
        ("CosineAnnealingLR", {"T_max": 40, "eta_min": 1e-4}),
        ("CosineAnnealingWarmRestarts", {"T_0": 13, "T_mult": 2, "eta_min": 1e-4}),
        ("CosineAnnealingWarmRestarts", {"T_0": 13}),
        ("OneCycleLR", {"max_lr": 5e-3, "total_steps": 101, "cycle_momentum": False}),
        ("OneCycleLR", {"max_lr": 5e-3, "total_steps": 101, "cycle_momentum": False, "three_phase": True,
                        "anneal_strategy": "linear", "pct_start": 0.4, "div_factor": 10.0}),
    ],
)
def test_equals_torchs_class(name, arguments):
    expected = theirs(lambda o: getattr(torch.optim.lr_scheduler, name)(o, **arguments), 100)
    words = [f"{key}={value!r}" for key, value in arguments.items()]
    found = rates(100, f"--lr_scheduler_type={name}", *(["--lr_scheduler_args", *words] if words else []))
    assert found == pytest.approx(expected, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize(
    "args, named",
    [
        (["--lr_warmup_steps=1"], "constant_with_warmup"),
        (["--lr_scheduler=cosine_with_min_lr"], "--lr_scheduler_min_lr_ratio"),
        (["--lr_scheduler=polynomial", "--learning_rate=1e-7"], "1e-07"),
        (["--lr_scheduler=cosin"], "cosine"),
        (["--lr_scheduler_type=LambdaLR"], "CosineAnnealingLR"),
        (["--lr_scheduler_type=StepLR", "--lr_warmup_steps=5", "--lr_scheduler_args", "step_size=1"], "no warm-up"),
        (["--lr_scheduler_args", "T_max=__import__('os')"], "T_max"),
    ],
)
def test_refuses_with_a_reason(args, named):
    result = tool(*args)
    assert result.returncode == 2 and named in result.stderr, result.stderr


def test_a_run_follows_its_schedule(sdtune, small_models, pictures, tmp_path):
    trace_dir = tmp_path / "trace"
    args = ["--lr_scheduler=warmup_stable_decay", "--lr_warmup_steps=0.25", "--lr_decay_steps=3"]
    result = sdtune(*train_args(small_models(), pictures, tmp_path / "out", f"--trace_dir={trace_dir}",
                                "--max_train_steps=8", *args))
    assert result.returncode == 0, result.stderr
    found = [float(load_file(trace_dir / f"step-{i:06}.safetensors")["lr"]) for i in range(1, 9)]
    assert found == pytest.approx([1e-4 * stable_decay(s, 8, 2, 3, 0) for s in range(8)])
    logged = [event["lr"] for event in read_events(tmp_path / "out") if event["event"] == "step"]
    assert logged == pytest.approx(found)


def test_plateau_lowers_the_rate_and_resumes(sdtune, small_models, pictures, tmp_path):
    """At so low a rate noise alone moves the loss; the rule is replayed from the losses recorded."""
    output = tmp_path / "out"
    epochs, batches = 5, 6
    args = train_args(small_models(), pictures, output, "--lr_scheduler=reduce_lr_on_plateau", "--save_state",
                      "--learning_rate=1e-6", f"--max_train_steps={epochs * batches}",
                      "--lr_scheduler_args", "patience=0", "factor=0.5")
    assert sdtune(*args).returncode == 0
    steps = [event for event in read_events(output) if event["event"] == "step"]
    best, rate, expected = math.inf, 1e-6, []
    for epoch in range(epochs):
        losses = [event["loss"] for event in steps[epoch * batches : (epoch + 1) * batches]]
        expected += [rate] * batches
        mean = sum(losses) / batches
        if mean < best * (1 - 1e-4):
            best = mean
        elif rate - rate / 2 > 1e-8:
            rate /= 2
    assert [event["lr"] for event in steps] == pytest.approx(expected)
    assert len(set(expected)) > 1

    resumed = tmp_path / "resumed"
    first = [a.replace(str(output), str(resumed)) for a in args]
    first = [a if "max_train_steps" not in a else "--max_train_steps=16" for a in first]
    assert sdtune(*first).returncode == 0
    second = [a.replace(str(output), str(resumed)) for a in args]
    assert sdtune(*second, f"--resume={resumed / 'mine-state'}").returncode == 0
    again = [event["lr"] for event in read_events(resumed) if event["event"] == "step"]
    assert again == pytest.approx(expected)
    assert (resumed / "mine.safetensors").read_bytes() == (output / "mine.safetensors").read_bytes()


def test_plot_is_drawn_without_reading_a_model(sdtune, pictures, tmp_path):
    picture = tmp_path / "lr.png"
    result = sdtune(*train_args(tmp_path / "no model", pictures, tmp_path / "out", "--max_train_steps=1000",
                                "--lr_scheduler=cosine_with_restarts", "--lr_scheduler_num_cycles=3",
                                "--lr_warmup_steps=100", "--learning_rate_te=5e-5", "--train_text_encoder",
                                f"--plot_lr={picture}"))
    assert result.returncode == 0, result.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "out").exists()
