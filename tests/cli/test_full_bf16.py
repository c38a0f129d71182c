"""Weights of bf16 learn as fp32 ones do, because their updates are rounded by chance; to nearest most would be lost."""

import pytest
from running import draw_pictures, read_events, train_args

STEPS, JUDGED = 60, 20
BF16 = ["--mixed_precision=bf16", "--full_bf16"]


@pytest.fixture(scope="module")
def losses(sdtune, small_models, tmp_path_factory):
    """Mean loss of the last steps; noise and timesteps are the same in each run, so that they are comparable."""
    base = tmp_path_factory.mktemp("bf16")
    data = draw_pictures(base / "pictures", count=8, sizes=((64, 64),))

    def after(name, *more):
        output = base / name
        result = sdtune(*train_args(small_models(), data, output, f"--max_train_steps={STEPS}", "--cache_latents",
                                    "--train_batch_size=2", "--learning_rate=3e-5", *more))
        assert result.returncode == 0, result.stderr
        steps = [event["loss"] for event in read_events(output) if event["event"] == "step"]
        assert len(steps) == STEPS
        return sum(steps[-JUDGED:]) / JUDGED, sum(steps[:5]) / 5

    return {
        "fp32": after("fp32"),
        "stochastic": after("stochastic", *BF16),
        "nearest": after("nearest", *BF16, "--optimizer_args", "stochastic_rounding=False"),
    }


def test_stochastic_rounding_learns_as_fp32(losses):
    (fp32, before), (stochastic, _) = losses["fp32"], losses["stochastic"]
    assert fp32 < 0.9 * before  # there was something to learn
    assert stochastic == pytest.approx(fp32, rel=0.02)


def test_rounding_to_nearest_does_not(losses):
    assert losses["nearest"][0] > 1.02 * losses["fp32"][0]
