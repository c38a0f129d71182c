"""Pictures kept out of training, and what is recorded of them."""

import pytest
from running import read_events, train_args


def validations(output):
    return [event for event in read_events(output) if event["event"] == "validation"]


def figures(events):
    return [(event["step"], event["loss"], [band["loss"] for band in event["bands"]]) for event in events]


@pytest.fixture
def validated(sdtune, small_models, pictures, tmp_path):
    def run(name, *more):
        output = tmp_path / name
        result = sdtune(*train_args(small_models(), pictures, output, "--validation_split=0.34", *more))
        assert result.returncode == 0, result.stderr
        return output

    return run


def test_pictures_are_kept_out_and_measured_each_epoch(validated):
    output = validated("out", "--max_train_steps=9")
    events = read_events(output)
    assert next(event for event in events if event["event"] == "start")["pictures"] == 4
    found = validations(output)
    assert [event["step"] for event in found] == [4, 8, 9]
    for event in found:
        assert event["pictures"] == 2
        assert [band["samples"] for band in event["bands"]] == [2] * 5
        mean = sum(band["loss"] for band in event["bands"]) / 5
        assert event["loss"] == pytest.approx(mean)


def test_noise_and_timesteps_are_fixed(validated):
    still = validations(validated("still", "--learning_rate=0", "--validate_every_n_steps=1", "--seed=1"))
    assert len(still) == 4
    assert len({event["loss"] for event in still}) == 1
    # whatever the run's own seed, and with latents that were kept
    other = validations(validated("other", "--learning_rate=0", "--seed=2", "--cache_latents"))
    assert other[0]["bands"] == still[0]["bands"]
    changed = validations(validated("changed", "--learning_rate=0", "--validation_seed=5"))
    assert changed[0]["bands"] != still[0]["bands"]


def test_measuring_does_not_change_the_run(validated):
    often = validated("often", "--validate_every_n_steps=1", "--max_validation_steps=1")
    seldom = validated("seldom", "--validate_every_n_epochs=100")
    assert len(validations(often)) == 4 and len(validations(seldom)) == 1
    assert validations(often)[0]["pictures"] == 1
    assert (often / "mine.safetensors").read_bytes() == (seldom / "mine.safetensors").read_bytes()


def test_learning_shows(validated):
    found = validations(validated("out", "--max_train_steps=40", "--learning_rate=1e-3",
                                  "--validate_every_n_steps=20"))
    assert found[-1]["loss"] < 0.97 * found[0]["loss"]


def test_what_cannot_be_meant_is_refused(sdtune, small_models, pictures, tmp_path):
    result = sdtune(*train_args(small_models(), pictures, tmp_path / "out", "--validate_every_n_steps=1"))
    assert result.returncode == 2 and "--validation_split" in result.stderr
