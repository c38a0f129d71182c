"""Noise, targets, losses and weights of real steps against a NumPy transcription of the formulas."""

import json

import numpy
import pytest
from PIL import Image
from running import read_events, train_args
from safetensors.numpy import load_file

STEPS = 5


def alphas_cumprod(zero_terminal_snr=False):
    betas = numpy.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    a = numpy.cumprod(1 - betas)
    if zero_terminal_snr:
        s = numpy.sqrt(a)
        a = ((s - s[-1]) * s[0] / (s[0] - s[-1])) ** 2
    return a


def per_sample(values):
    return values[:, None, None, None]


def loss_of(step, v=False, loss_type="l2", huber_schedule="snr", huber_c=0.1, huber_scale=1.0, gamma=None, scale_v=False,
            v_like=None, debiased=False, zero_terminal_snr=False, normalize=False):
    """The loss of a step from its traced prediction and target, in double precision."""
    t = step["timesteps"]
    a = alphas_cumprod(zero_terminal_snr)[t]
    s = a / (1 - a)
    d = step["model_pred"].astype(float) - step["target"]
    with numpy.errstate(divide="ignore"):
        sigma = numpy.sqrt((1 - a) / a)
    c = per_sample({
        "constant": numpy.full(t.shape, huber_c * huber_scale),
        "exponential": numpy.exp(t * numpy.log(huber_c) / 1000) * huber_scale,
        "snr": (1 - huber_c) / (1 + sigma) ** 2 + huber_c,
    }[huber_schedule])
    root = numpy.sqrt(d**2 + c**2) - c
    loss = {"l2": d**2, "l1": abs(d), "huber": 2 * c * root, "smooth_l1": 2 * root}[loss_type]
    if "loss_mask" in step:
        loss = loss * step["loss_mask"]
    loss = loss.mean(axis=(1, 2, 3))
    if normalize:
        loss = loss / step["loss_mask"].mean(axis=(1, 2, 3))
    m = numpy.minimum(s, 1000)
    if gamma is not None:
        loss = loss * numpy.minimum(s, gamma) / (s + 1 if v else s)
    if scale_v:
        loss = loss * m / (m + 1)
    if v_like is not None:
        loss = loss + v_like * loss / (m / (m + 1))
    if debiased:
        loss = loss * (1 / (m + 1) if v else 1 / numpy.sqrt(m))
    return loss.mean()


class Run:
    def __init__(self, sdtune, folder, pictures, output, more):
        self.output, trace_dir = output, output / "trace"
        result = sdtune(*train_args(folder, pictures, output, f"--max_train_steps={STEPS}", "--train_batch_size=2",
                                    f"--trace_dir={trace_dir}", *more))
        assert result.returncode == 0, result.stderr
        self.log = result.stderr
        self.steps = [load_file(trace_dir / f"step-{i:06}.safetensors") for i in range(1, STEPS + 1)]


@pytest.fixture
def run(sdtune, small_models, pictures, tmp_path):
    made = []

    def start(*more, v=False, data=pictures):
        folder = small_models(*(("v2", "v_prediction") if v else ("v1", "epsilon")))
        made.append(tmp_path / f"run{len(made)}")
        flags = ["--v2", "--v_parameterization"] if v else []
        return Run(sdtune, folder, data, made[-1], [*flags, *more])

    return start


LOSSES = [
    ([], {}),
    (["--loss_type=l1"], {"loss_type": "l1"}),
    (["--loss_type=huber"], {"loss_type": "huber"}),
    (["--loss_type=smooth_l1", "--huber_c=0.3"], {"loss_type": "smooth_l1", "huber_c": 0.3}),
    (["--loss_type=huber", "--huber_schedule=constant", "--huber_scale=1.5"],
     {"loss_type": "huber", "huber_schedule": "constant", "huber_scale": 1.5}),
    (["--loss_type=smooth_l1", "--huber_schedule=exponential", "--huber_c=0.2", "--huber_scale=0.5"],
     {"loss_type": "smooth_l1", "huber_schedule": "exponential", "huber_c": 0.2, "huber_scale": 0.5}),
    (["--loss_type=huber", "--huber_schedule=snr", "--huber_scale=3"], {"loss_type": "huber", "huber_scale": 3}),
    (["--min_snr_gamma=5"], {"gamma": 5}),
    (["--debiased_estimation_loss"], {"debiased": True}),
    (["--v_pred_like_loss=0.5"], {"v_like": 0.5}),
    (["--min_snr_gamma=1", "--v_pred_like_loss=0.5", "--debiased_estimation_loss", "--loss_type=l1"],
     {"gamma": 1, "v_like": 0.5, "debiased": True, "loss_type": "l1"}),
]
V_LOSSES = [
    (["--min_snr_gamma=5"], {"gamma": 5}),
    (["--scale_v_pred_loss_like_noise_pred"], {"scale_v": True}),
    (["--debiased_estimation_loss"], {"debiased": True}),
    (["--min_snr_gamma=5", "--zero_terminal_snr"], {"gamma": 5, "zero_terminal_snr": True}),
    (["--scale_v_pred_loss_like_noise_pred", "--debiased_estimation_loss", "--zero_terminal_snr"],
     {"scale_v": True, "debiased": True, "zero_terminal_snr": True}),
]


def check_targets(step, v, zero_terminal_snr=False):
    a = per_sample(alphas_cumprod(zero_terminal_snr)[step["timesteps"]])
    noisy = numpy.sqrt(a) * step["latents"] + numpy.sqrt(1 - a) * step["noise"]
    assert numpy.abs(step["noisy_latents"] - noisy).max() < 1e-4
    target = numpy.sqrt(a) * step["noise"] - numpy.sqrt(1 - a) * step["latents"] if v else step["noise"]
    assert numpy.abs(step["target"] - target).max() < 1e-4


@pytest.mark.parametrize("v, args, terms", [(False, *case) for case in LOSSES] + [(True, *case) for case in V_LOSSES])
def test_losses_follow_their_formulas(run, v, args, terms):
    result = run(*args, v=v)
    logged = [event["loss"] for event in read_events(result.output) if event["event"] == "step"]
    for step, in_log in zip(result.steps, logged, strict=True):
        check_targets(step, v, terms.get("zero_terminal_snr", False))
        assert float(step["loss"]) == pytest.approx(loss_of(step, v=v, **terms), rel=2e-5)
        assert in_log == pytest.approx(float(step["loss"]))


def test_terminal_step_of_a_zero_snr_schedule(run):
    result = run("--zero_terminal_snr", "--min_timestep=999", "--max_timestep=999", "--min_snr_gamma=5", v=True)
    for step in result.steps:
        assert set(step["timesteps"]) == {999}
        assert numpy.array_equal(step["noisy_latents"], step["noise"])
        assert float(step["loss"]) == 0


def test_noise_offset(run):
    plain, one, some = run(), run("--noise_offset=1"), run("--noise_offset=0.2")
    random = run("--noise_offset=1", "--noise_offset_random_strength")
    adaptive = run("--noise_offset=0.2", "--adaptive_noise_scale=0.3")
    for steps in zip(plain.steps, one.steps, some.steps, random.steps, adaptive.steps, strict=True):
        base, unit, small, weak, moved = (step["noise"] for step in steps)
        normals = (unit - base).mean(axis=(2, 3), keepdims=True)
        assert numpy.abs(unit - base - normals).max() < 1e-5
        assert numpy.abs(small - base - 0.2 * normals).max() < 1e-5
        strength = ((weak - base) / normals).mean(axis=(1, 2, 3), keepdims=True)
        assert ((strength > 0) & (strength < 1)).all()
        assert numpy.abs(weak - base - strength * normals).max() < 1e-4
        means = numpy.abs(steps[4]["latents"].mean(axis=(2, 3), keepdims=True))
        expected = numpy.maximum(0, 0.2 + 0.3 * means) * normals
        assert numpy.abs(moved - base - expected).max() < 1e-5


def test_multires_noise(run):
    plain, coarse = run(), run("--multires_noise_iterations=6", "--multires_noise_discount=0.9")
    for before, after in zip(plain.steps, coarse.steps, strict=True):
        spread = after["noise"].std(axis=(1, 2, 3), ddof=1)
        assert spread == pytest.approx(numpy.ones_like(spread), abs=1e-5)
        assert numpy.array_equal(before["timesteps"], after["timesteps"])

    def neighbours(result):
        noise = [step["noise"] for step in result.steps]
        return numpy.mean([(n[..., 1:] * n[..., :-1]).mean() / (n**2).mean() for n in noise])

    assert abs(neighbours(plain)) < 0.1 and neighbours(coarse) > 0.3


def test_input_perturbation(run):
    plain, perturbed = run(), run("--ip_noise_gamma=0.2")
    weak = run("--ip_noise_gamma=0.2", "--ip_noise_gamma_random_strength")
    spreads, weak_spreads = [], []
    for before, after, less in zip(plain.steps, perturbed.steps, weak.steps, strict=True):
        assert numpy.array_equal(before["target"], after["target"])
        root = numpy.sqrt(1 - per_sample(alphas_cumprod()[before["timesteps"]]))
        added = (after["noisy_latents"] - before["noisy_latents"]) / root
        spreads += list(added.std(axis=(1, 2, 3)))
        ratio = (less["noisy_latents"] - before["noisy_latents"]) / root / added
        weak_spreads += list(numpy.median(ratio, axis=(1, 2, 3)))
    assert numpy.mean(spreads) == pytest.approx(0.2, rel=0.1)
    assert all(0 < share < 1 for share in weak_spreads) and numpy.std(weak_spreads) > 0.1


def timesteps_of(result):
    return numpy.concatenate([step["timesteps"] for step in result.steps])


def test_timesteps(run):
    assert set(timesteps_of(run("--min_timestep=300", "--max_timestep=302"))) <= {300, 301}
    weights = "--timestep_weights=" + ",".join(["0"] * 6 + ["1"] + ["0"] * 3)
    custom = timesteps_of(run("--timestep_sampling=custom", weights))
    assert (custom >= 600).all() and (custom < 700).all()
    narrow = timesteps_of(run("--timestep_sampling=logit_normal", "--logit_mean=1", "--logit_std=0.01"))
    assert numpy.abs(narrow - 731).max() < 10  # sigmoid(1) is 0.731
    sigmoid = timesteps_of(run("--timestep_sampling=sigmoid", "--sigmoid_scale=0.01"))
    assert numpy.abs(sigmoid - 500).max() < 12


@pytest.fixture(scope="module")
def masked_pictures(tmp_path_factory):
    """Pictures with an alpha channel, and in another folder masks of the same names."""
    folder, masks = tmp_path_factory.mktemp("alpha"), tmp_path_factory.mktemp("masks")
    generator = numpy.random.default_rng(1)
    for i in range(4):
        pixels = generator.integers(0, 255, (64, 64, 4), dtype=numpy.uint8)
        pixels[..., 3] = 255 * (numpy.arange(64) < 20 + 8 * i)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        (folder / f"{i}.caption").write_text(f"number {i}")
        mask = numpy.zeros((64, 64, 3), dtype=numpy.uint8)
        mask[: 12 + 8 * i] = 255
        Image.fromarray(mask).save(masks / f"{i}.png")
    return folder, masks


@pytest.mark.parametrize("more", [[], ["--cache_latents"], ["--flip_aug"], ["--masked_loss_normalize"]])
def test_masked_loss_by_alpha(run, masked_pictures, more):
    result = run("--masked_loss", "--alpha_mask", "--loss_type=l1", *more, data=masked_pictures[0])
    normalize = "--masked_loss_normalize" in more
    for step in result.steps:
        rows = step["loss_mask"][:, 0]
        assert numpy.array_equal(rows, numpy.repeat(rows[:, :1], 8, axis=1))  # the alpha depends on x alone
        assert all(share * 64 in (20, 28, 36, 44) for share in rows.mean(axis=(1, 2)))
        assert float(step["loss"]) == pytest.approx(loss_of(step, loss_type="l1", normalize=normalize), rel=2e-5)


@pytest.mark.parametrize("more", [[], ["--cache_latents"]])
def test_masked_loss_by_a_folder_of_masks(run, masked_pictures, more):
    folder, masks = masked_pictures
    result = run("--masked_loss", f"--conditioning_data_dir={masks}", *more, data=folder)
    for step in result.steps:
        columns = step["loss_mask"][:, 0]
        assert numpy.array_equal(columns, numpy.repeat(columns[:, :, :1], 8, axis=2))
        assert all(share * 64 in (12, 20, 28, 36) for share in columns.mean(axis=(1, 2)))
        assert float(step["loss"]) == pytest.approx(loss_of(step), rel=2e-5)


def test_masks_must_be_there(sdtune, small_models, masked_pictures, tmp_path):
    folder, masks = masked_pictures
    args = train_args(small_models(), folder, tmp_path / "out", "--masked_loss")
    result = sdtune(*args)
    assert result.returncode == 2 and "--alpha_mask" in result.stderr
    (tmp_path / "few").mkdir()
    result = sdtune(*args, f"--conditioning_data_dir={tmp_path / 'few'}")
    assert result.returncode == 1 and "4 pictures have no mask" in result.stderr


def test_loss_weights_of_pictures(run, pictures, tmp_path):
    heavy = {f"{i:02}": {"caption": "same", "loss_weight": 4.0} for i in range(6)}
    (tmp_path / "heavy.json").write_text(json.dumps(heavy))
    (tmp_path / "plain.json").write_text(json.dumps({key: {"caption": "same"} for key in heavy}))
    plain = run(f"--in_json={tmp_path / 'plain.json'}", "--learning_rate=0")
    weighted = run(f"--in_json={tmp_path / 'heavy.json'}", "--learning_rate=0")
    for before, after in zip(plain.steps, weighted.steps, strict=True):
        assert float(after["loss"]) == pytest.approx(4 * float(before["loss"]), rel=1e-6)


def test_loss_bands_are_recorded(run):
    result = run("--loss_bands_every_n_steps=2", "--min_snr_gamma=5")
    events = [event for event in read_events(result.output) if event["event"] == "loss_bands"]
    assert [event["step"] for event in events] == [2, 4, 5]
    for event, steps in zip(events, [result.steps[0:2], result.steps[2:4], result.steps[4:5]], strict=True):
        t = numpy.concatenate([step["timesteps"] for step in steps])
        plain = numpy.concatenate([((step["model_pred"] - step["target"]) ** 2).mean(axis=(1, 2, 3)) for step in steps])
        for band in event["bands"]:
            inside = (t >= band["from"]) & (t <= band["to"])
            assert band["samples"] == inside.sum()
            if inside.any():
                assert band["loss"] == pytest.approx(plain[inside].mean(), rel=1e-5)
            else:
                assert band["loss"] is None
