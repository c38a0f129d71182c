"""Pictures that a run draws while it trains."""

import re
import signal
import time

import numpy
import pytest
from PIL import Image
from running import read_events, start_sdtune, train_args

PROMPTS = "a cat --w 64 --h 64 --s 3 --d 5\nn dogs --w 96 --h 64 --s 3 --n bad --ss euler_a\n"


@pytest.fixture()
def prompts(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text(PROMPTS)
    return file


def pixels(path):
    return numpy.asarray(Image.open(path), dtype=int)


def drawn(output):
    return sorted(re.sub(r"\d{14}", "T", path.name) for path in (output / "sample").iterdir())


def test_a_run_with_previews_ends_in_the_same_bytes(sdtune, small_models, pictures, prompts, tmp_path):
    plain, with_previews = tmp_path / "plain", tmp_path / "previews"
    assert sdtune(*train_args(small_models(), pictures, plain, "--cache_latents")).returncode == 0
    result = sdtune(*train_args(small_models(), pictures, with_previews, "--cache_latents", f"--sample_prompts={prompts}",
                                "--sample_every_n_steps=2", "--sample_at_first"))
    assert result.returncode == 0, result.stderr
    assert (plain / "mine.safetensors").read_bytes() == (with_previews / "mine.safetensors").read_bytes()
    assert drawn(with_previews) == [
        "contact-sheet.png", "mine_000002_00_T_5.png", "mine_000002_01_T.png", "mine_000004_00_T_5.png",
        "mine_000004_01_T.png", "mine_e000000_00_T_5.png", "mine_e000000_01_T.png"]
    events = [event for event in read_events(with_previews) if event["event"] == "sample"]
    assert [(e["step"], e["index"], e["prompt"]) for e in events] == [
        (step, index, prompt) for step in (0, 2, 4) for index, prompt in enumerate(["a cat", "n dogs"])]
    # a prompt without a seed begins with the same noise each time
    assert len({e["seed"] for e in events}) == 2
    sheet = Image.open(with_previews / "sample" / "contact-sheet.png")
    assert sheet.width > 3 * 96 + 200 and sheet.height > 2 * 64


def test_a_preview_is_what_sample_draws(sdtune, small_models, pictures, prompts, tmp_path):
    run = tmp_path / "run"
    result = sdtune(*train_args(small_models(), pictures, run, f"--sample_prompts={prompts}",
                                "--sample_every_n_epochs=1", "--sample_every_n_steps=1", "--max_train_epochs=1"))
    assert result.returncode == 0, result.stderr
    assert drawn(run) == ["contact-sheet.png", "mine_e000001_00_T_5.png", "mine_e000001_01_T.png"]
    seed = [event for event in read_events(run) if event["event"] == "sample"][1]["seed"]
    result = sdtune("sample", f"--ckpt={run / 'mine.safetensors'}", f"--outdir={tmp_path / 'out'}", "--device=cpu",
                    "--prompt=n dogs --w 96 --h 64 --s 3 --n bad --ss euler_a --f again", f"--seed={seed}")
    assert result.returncode == 0, result.stderr
    (preview,) = (run / "sample").glob("mine_e000001_01_*.png")
    ours, again = (pixels(path) for path in (preview, tmp_path / "out" / "again.png"))
    assert abs(ours - again).max() <= 1


def test_a_preview_has_the_runs_settings(sdtune, small_models, pictures, tmp_path):
    """Family, prediction, schedule, layer, length of prompts, and what a prompt does not say."""
    prompt = "a cat " + "with a hat " * 30 + "--w 64 --h 64 --d 5"
    (tmp_path / "prompts.txt").write_text(prompt)
    model = ["--v2", "--v_parameterization", "--zero_terminal_snr", "--clip_skip=2"]
    run = tmp_path / "run"
    result = sdtune(*train_args(small_models("v2", "v_prediction"), pictures, run, "--max_train_steps=1", *model,
                                f"--sample_prompts={tmp_path / 'prompts.txt'}", "--sample_every_n_steps=1",
                                "--sample_sampler=euler"))
    assert result.returncode == 0, result.stderr
    (preview,) = (run / "sample").glob("mine_000001_00_*_5.png")
    with Image.open(preview) as picture:
        assert (picture.text["steps"], picture.text["sampler"], picture.text["scale"]) == ("30", "euler", "7.5")
    result = sdtune("sample", f"--ckpt={run / 'mine.safetensors'}", f"--outdir={tmp_path / 'out'}", "--device=cpu",
                    f"--prompt={prompt} --f again", "--steps=30", "--sampler=euler", "--max_embeddings_multiples=3",
                    *model)
    assert result.returncode == 0, result.stderr
    assert abs(pixels(preview) - pixels(tmp_path / "out" / "again.png")).max() <= 1


def test_a_resumed_run_does_not_begin_again(sdtune, small_models, pictures, prompts, tmp_path):
    run = tmp_path / "run"
    for steps in (1, 2):
        result = sdtune(*train_args(small_models(), pictures, run, f"--sample_prompts={prompts}", "--sample_at_first",
                                    f"--max_train_steps={steps}", "--save_state", "--resume=auto"))
        assert result.returncode == 0, result.stderr
    assert drawn(run) == ["contact-sheet.png", "mine_e000000_00_T_5.png", "mine_e000000_01_T.png"]


def test_a_signal_ends_a_preview(small_models, pictures, tmp_path):
    run = tmp_path / "run"
    (tmp_path / "prompts.txt").write_text("a --w 64 --h 64 --s 1000\n" * 100)
    process = start_sdtune(*train_args(small_models(), pictures, run, f"--sample_prompts={tmp_path / 'prompts.txt'}",
                                       "--sample_at_first"))
    deadline = time.monotonic() + 60
    while not (run / "sample").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert (run / "mine-step00000000-state").exists()


def test_averages_draw_where_they_are_kept(sdtune, small_models, pictures, prompts, tmp_path):
    def preview(output, *more):
        args = [f"--sample_prompts={prompts}", "--sample_every_n_steps=4", "--learning_rate=1e-3", *more]
        result = sdtune(*train_args(small_models(), pictures, output, *args))
        assert result.returncode == 0, result.stderr
        (path,) = (output / "sample").glob("mine_000004_00_*.png")
        return pixels(path)

    plain = preview(tmp_path / "plain")
    averaged = preview(tmp_path / "ema", "--ema", "--ema_decay=0.999")
    assert abs(plain - averaged).max() > 4
    result = sdtune("sample", f"--ckpt={tmp_path / 'ema' / 'mine-ema.safetensors'}", f"--outdir={tmp_path / 'out'}",
                    "--device=cpu", "--prompt=a cat --w 64 --h 64 --s 3 --f again", "--seed=5")
    assert result.returncode == 0, result.stderr
    again = pixels(tmp_path / "out" / "again.png")
    assert abs(averaged - again).max() <= 1


def test_weights_of_a_schedule_free_optimizer_are_averaged(sdtune, small_models, pictures, prompts, tmp_path):
    result = sdtune(*train_args(small_models(), pictures, tmp_path / "run", f"--sample_prompts={prompts}",
                                "--sample_every_n_steps=4", "--learning_rate=1e-3",
                                "--optimizer_type=AdamWScheduleFree"))
    assert result.returncode == 0, result.stderr
    result = sdtune("sample", f"--ckpt={tmp_path / 'run' / 'mine.safetensors'}", f"--outdir={tmp_path / 'out'}",
                    "--device=cpu", "--prompt=a cat --w 64 --h 64 --s 3 --f again", "--seed=5")
    assert result.returncode == 0, result.stderr
    (path,) = (tmp_path / "run" / "sample").glob("mine_000004_00_*.png")
    preview, again = (pixels(p) for p in (path, tmp_path / "out" / "again.png"))
    assert abs(preview - again).max() <= 1


@pytest.mark.parametrize("more, shown, other", [
    (["--hypernetwork_dropout=0.5", "--hypernetwork_layer_structure=1,2,2,1"], "mine.pt", None),
    (["--ema", "--ema_decay=0.999"], "mine-ema.pt", "mine.pt"),
])
def test_a_hypernetwork_draws_as_it_has_been_trained(sdtune, small_models, pictures, prompts, tmp_path, more, shown,
                                                     other):
    run = tmp_path / "run"
    result = sdtune(*train_args(small_models(), pictures, run, f"--sample_prompts={prompts}", "--sample_every_n_steps=4",
                                "--hypernetwork_module=hypernetwork_nai", "--learning_rate=0.05",
                                "--save_model_as=ckpt", *more))
    assert result.returncode == 0, result.stderr

    def drawn_with(file):
        weights = [f"--hypernetwork_weights={run / file}"] if file else []
        result = sdtune("sample", f"--ckpt={small_models()}", f"--outdir={tmp_path / 'out'}", "--device=cpu",
                        f"--prompt=a cat --w 64 --h 64 --s 3 --f {file}", "--seed=5", *weights)
        assert result.returncode == 0, result.stderr
        return pixels(tmp_path / "out" / f"{file}.png")

    (preview,) = (run / "sample").glob("mine_000004_00_*.png")
    assert abs(pixels(preview) - drawn_with(shown)).max() <= 1
    assert abs(pixels(preview) - drawn_with(other)).max() > 4


def test_what_is_passed_over_in_prompts_is_told_once(sdtune, small_models, pictures, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("a cat --w 64 --h 64 --s 1 --zz 1\n")
    result = sdtune(*train_args(small_models(), pictures, tmp_path / "run", f"--sample_prompts={file}",
                                "--sample_at_first", "--max_train_steps=1"))
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("there is no option --zz") == 1


def test_an_error_in_a_preview_does_not_end_the_run(sdtune, small_models, pictures, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("a cat --w 64 --h 64 --s 2 --ss pndm\n")  # which takes four steps at least
    output = tmp_path / "run"
    result = sdtune(*train_args(small_models(), pictures, output, f"--sample_prompts={file}", "--sample_every_n_steps=2"))
    assert result.returncode == 0, result.stderr
    assert "were not drawn" in result.stderr
    failed = [event for event in read_events(output) if event["event"] == "sample_failed"]
    assert [event["step"] for event in failed] == [2, 4] and "steps" in failed[0]["reason"]
    assert (output / "mine.safetensors").exists()


@pytest.mark.parametrize("name, text, words", [
    ("p.txt", "a --w 5\n", "p.txt:1"),
    ("p.toml", "[prompt]\n[[prompt.subset]]\npromt = 'a'\n", "did you mean prompt"),
    ("p.json", "{", "JSON"),
    ("p.txt", "", "no prompts"),
])
def test_mistakes_in_prompts_are_told_before_the_model_is_read(sdtune, pictures, tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    result = sdtune(*train_args("no such model", pictures, tmp_path / "run", f"--sample_prompts={tmp_path / name}",
                                "--sample_every_n_steps=2"))
    assert result.returncode == 2 and words in result.stderr


def test_a_time_to_draw_needs_prompts(sdtune, small_models, pictures, tmp_path):
    result = sdtune(*train_args(small_models(), pictures, tmp_path / "run", "--sample_at_first"))
    assert result.returncode == 2 and "--sample_prompts" in result.stderr


def test_prompts_without_a_time_are_told(sdtune, pictures, tmp_path):
    result = sdtune(*train_args("no such model", pictures, tmp_path / "run", f"--sample_prompts={tmp_path / 'p.txt'}"))
    assert result.returncode != 0 and "--sample_prompts has no effect" in result.stderr
