"""`sdtune sample`: files, names, PNG texts, seeds, pictures to start from."""

import re
import signal
import subprocess
import sys
import time

import numpy
import pytest
from PIL import Image
from running import COMPUTES_BF16, make_old, start_sdtune


def sample(sdtune, model, folder, *more):
    args = ["sample", f"--ckpt={model}", f"--outdir={folder}", "--W=64", "--H=64", "--steps=3", "--device=cpu", *more]
    result = sdtune(*args)
    assert result.returncode == 0, result.stderr
    return result


def pixels(path):
    return numpy.asarray(Image.open(path).convert("RGB"), dtype=int)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_picture_says_what_it_was_drawn_from(sdtune, small_models, tmp_path):
    sample(sdtune, small_models(), tmp_path, "--prompt=a größe {cat} --n blurry, 猫 --nl 1.5", "--seed=5",
           "--sampler=euler_a", "--scale=6.5")
    (name,) = names(tmp_path)
    assert re.fullmatch(r"im_\d{14}_001_5\.png", name)
    with Image.open(tmp_path / name) as picture:
        picture.load()
        assert picture.size == (64, 64)
        assert picture.text == {
            "prompt": "a größe cat", "seed": "5", "sampler": "euler_a", "steps": "3", "scale": "6.5",
            "negative-prompt": "blurry, 猫", "negative-scale": "1.5",
            "raw-prompt": "a größe {cat} --n blurry, 猫 --nl 1.5",
        }


def test_lines_of_a_file_have_options_of_their_own(sdtune, small_models, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("# two prompts\n\na cat --w 128 --d 3,4 --s 2\na dog --f the dog --ss euler --zz 1\n"
                    "no path --f a/b\n")
    result = sample(sdtune, small_models(), tmp_path / "out", f"--from_file={file}", "--images_per_prompt=2",
                    f"--contact_sheet={tmp_path / 'sheet.png'}")
    assert "--zz" in result.stderr
    found = names(tmp_path / "out")
    assert [re.sub(r"\d{14}", "T", name) for name in found] == [
        "a_b.png", "a_b_002.png", "im_T_001_3.png", "im_T_002_4.png", "the dog.png", "the dog_002.png"]
    assert pixels(tmp_path / "out" / found[2]).shape == (64, 128, 3)
    with Image.open(tmp_path / "out" / "the dog.png") as picture:
        assert picture.text["sampler"] == "euler"
    sheet = pixels(tmp_path / "sheet.png")
    assert sheet.shape[1] > 2 * 128 + 200 and sheet.shape[0] > 2 * 64


def test_a_picture_depends_on_its_seed_and_not_on_its_batch(sdtune, small_models, tmp_path):
    more = ["--prompt=a cat", "--images_per_prompt=4", "--seed=9", "--sequential_file_name", "--sampler=euler_a"]
    sample(sdtune, small_models(), tmp_path / "four", *more, "--batch_size=4")
    sample(sdtune, small_models(), tmp_path / "one", *more)
    assert names(tmp_path / "four") == names(tmp_path / "one") == [f"im_{i:06}.png" for i in (1, 2, 3, 4)]
    pictures = []
    for name in names(tmp_path / "four"):
        pictures.append(pixels(tmp_path / "one" / name))
        assert abs(pictures[-1] - pixels(tmp_path / "four" / name)).max() <= 1
    assert all(abs(pictures[0] - other).max() > 8 for other in pictures[1:])
    # and any of them can be drawn again by its seed
    with Image.open(tmp_path / "one" / "im_000003.png") as picture:
        seed = picture.text["seed"]
    sample(sdtune, small_models(), tmp_path / "again", "--prompt=a cat", f"--seed={seed}", "--sampler=euler_a",
           "--sequential_file_name")
    assert (pixels(tmp_path / "again" / "im_000001.png") == pictures[2]).all()


def test_rounds_seeds_and_choices(sdtune, small_models, tmp_path):
    def texts(*more):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        sample(sdtune, small_models(), folder, "--sequential_file_name", "--seed=1", "--steps=1", *more)
        return [Image.open(folder / name).text for name in names(folder)]

    rounds = texts("--prompt=a", "--n_iter=2", "--images_per_prompt=2", "--iter_same_seed")
    seeds = [text["seed"] for text in rounds]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]
    listed = texts("--prompt={e$$red|blue} cat", "--n_iter=2")
    assert [text["prompt"] for text in listed] == ["red cat", "blue cat"] * 2
    seeds = [text["seed"] for text in listed]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"{letter}\n" for letter in "abcdef"))
    shuffled = [text["prompt"] for text in texts(f"--from_file={prompts}", "--shuffle_prompts")]
    assert shuffled != sorted(shuffled) == list("abcdef")
    drawn = texts("--prompt={a|b|c|d|e|f|g|h}", "--images_per_prompt=8")
    assert len({text["prompt"] for text in drawn}) > 1
    assert [t["prompt"] for t in texts("--prompt={a|b|c|d|e|f|g|h}", "--images_per_prompt=8")] == [
        t["prompt"] for t in drawn]


def test_starting_from_a_picture(sdtune, small_models, tmp_path):
    start = tmp_path / "start.png"
    numbers = numpy.random.default_rng(0).integers(0, 255, (3, 4, 3), dtype=numpy.uint8)
    Image.fromarray(numbers).resize((108, 70), Image.BICUBIC).save(start)
    mask = tmp_path / "mask.png"
    Image.new("L", (108, 70), 0).save(mask)
    model = small_models()
    out = tmp_path / "out"
    plain = ["sample", f"--ckpt={model}", f"--outdir={out}", "--steps=4", "--device=cpu", "--seed=1",
             f"--image_path={start}", "--prompt=a cat"]
    # nothing is done, something is done, all is kept by the mask
    for more in (["--strength=0"], ["--strength=0.6"], ["--strength=0.6", f"--mask_path={mask}"]):
        result = sdtune(*plain, *more, "--use_original_file_name")
        assert result.returncode == 0, result.stderr
        (out / "start.png").rename(out / f"{len(list(out.iterdir()))}.png")
    kept, done, masked = (pixels(path) for path in sorted(out.iterdir()))
    assert kept.shape == (64, 96, 3)  # down to multiples of 32
    assert abs(kept - done).max() > 8
    assert abs(kept - masked).max() <= 1


def test_the_prompt_in_a_picture_is_used_again(sdtune, small_models, tmp_path):
    sample(sdtune, small_models(), tmp_path / "a", "--prompt=a cat --n bad --f first", "--seed=3")
    sample(sdtune, small_models(), tmp_path / "b", f"--image_path={tmp_path / 'a'}", "--sequential_file_name")
    with Image.open(tmp_path / "b" / "im_000001.png") as picture:
        assert picture.text["prompt"] == "a cat" and picture.text["negative-prompt"] == "bad"


def test_braces_in_a_pictures_prompt_stay_text(sdtune, small_models, tmp_path):
    prompt = r"a \{red|blue\} {cat} --n \{e$$bad|worse\}"
    for folder, given in (("a", f"--prompt={prompt}"), ("b", f"--image_path={tmp_path / 'a'}"),
                          ("c", f"--image_path={tmp_path / 'b'}")):
        sample(sdtune, small_models(), tmp_path / folder, given, "--sequential_file_name", "--seed=3", "--steps=1")
        assert names(tmp_path / folder) == ["im_000001.png"]
        with Image.open(tmp_path / folder / "im_000001.png") as picture:
            assert picture.text["prompt"] == "a {red|blue} cat"
            assert picture.text["negative-prompt"] == "{e$$bad|worse}"


def test_what_a_killed_run_left_goes(sdtune, small_models, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    unfinished = tmp_path / f".im_000001.png.tmp-{ended.pid}-0-0"
    unfinished.write_text("half")
    make_old(unfinished)
    sample(sdtune, small_models(), tmp_path, "--prompt=a cat", "--sequential_file_name", "--steps=1")
    assert names(tmp_path) == ["im_000001.png"]


def test_large_pictures_in_two_stages(sdtune, small_models, tmp_path):
    for more in ([], ["--highres_fix_latents_upscaling"]):
        folder = tmp_path / str(len(more))
        sample(sdtune, small_models(), folder, "--prompt=a", "--seed=3", "--W=160", "--H=128", "--sequential_file_name",
               "--highres_fix_scale=0.6", "--highres_fix_steps=2", "--highres_fix_save_1st", *more)
        assert names(folder) == ["im_0000001.png", "im_1000001.png"]
        assert pixels(folder / "im_0000001.png").shape == (64, 96, 3)
        assert pixels(folder / "im_1000001.png").shape == (128, 160, 3)


@pytest.mark.parametrize("family, prediction, more", [
    ("v2", "v_prediction", ["--v2", "--v_parameterization", "--zero_terminal_snr"]),
    ("v1", "epsilon", ["--bf16", "--clip_skip=2", "--max_embeddings_multiples=3", "--emb_normalize_mode=abs",
                       "--negative_scale=2", "--vae_slices=2", "--vae_batch_size=0.5", "--batch_size=2"]),
    ("v1", "epsilon", ["--fp16", "--no_half_vae", "--noise_offset_prob=1", "--pyramid_noise_prob=1",
                       "--noise_offset_range", "0.1", "0.2", "--xformers", "--opt_channels_last"]),
])
def test_options_of_models_and_drawing(sdtune, small_models, tmp_path, family, prediction, more):
    prompt = "a (cat:1.2) " + "with a hat " * 40
    sample(sdtune, small_models(family, prediction), tmp_path, f"--prompt={prompt}", "--seed=3",
           "--sequential_file_name", *more)
    assert pixels(tmp_path / "im_000001.png").std() > 5


OPTIONS_TO_SEE = {
    "v1": ["--clip_skip=2", "--emb_normalize_mode=none", "--force_scheduler_zero_steps_offset", "--noise_offset_prob=1",
           "--pyramid_noise_prob=1", "--vae_slices=2", "--max_embeddings_multiples=2", "--negative_scale=3",
           *(["--bf16"] if COMPUTES_BF16 else [])],
    "v2": ["--zero_terminal_snr"],
}


@pytest.mark.parametrize("family, prediction", [("v1", "epsilon"), ("v2", "v_prediction")])
def test_each_option_is_seen_in_the_picture(sdtune, small_models, tmp_path, family, prediction):
    # A side of over 512 pixels, so that two tiles are possible; weights, and words for two chunks.
    prompt = "a (cat:1.4) " + "with a hat " * 30
    args = [f"--prompt={prompt} --n bad", "--seed=3", "--sequential_file_name", "--W=640", "--steps=2"]
    args += ["--v2", "--v_parameterization"] if family == "v2" else []
    sample(sdtune, small_models(family, prediction), tmp_path, *args)
    plain = pixels(tmp_path / "im_000001.png")
    for option in OPTIONS_TO_SEE[family]:
        sample(sdtune, small_models(family, prediction), tmp_path, *args, option)
        assert (pixels(tmp_path / "im_000001.png") != plain).any(), option


def test_the_strength_of_the_first_stage(sdtune, small_models, tmp_path):
    start = tmp_path / "start.png"
    Image.fromarray(numpy.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=numpy.uint8)).save(start)
    small = []
    for strength in (0, 1):
        folder = tmp_path / str(strength)
        sample(sdtune, small_models(), folder, "--prompt=a", "--seed=3", f"--image_path={start}",
               "--sequential_file_name", "--highres_fix_scale=1", "--highres_fix_steps=2", "--highres_fix_save_1st",
               f"--highres_fix_strength={strength}")
        small.append(pixels(folder / "im_0000001.png"))
    assert abs(small[0] - small[1]).max() > 8


def test_a_signal_ends_it(small_models, tmp_path):
    out = tmp_path / "out"
    process = start_sdtune("sample", f"--ckpt={small_models()}", f"--outdir={out}", "--prompt=a", "--W=64", "--H=64",
                           "--steps=1000", "--n_iter=100", "--device=cpu")
    deadline = time.monotonic() + 60
    while not out.exists() and time.monotonic() < deadline:  # it is made after the handlers are
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert not names(out)


@pytest.mark.parametrize("args, words", [
    (["--prompt=a", "--from_file=b"], "twice"),
    ([], "no prompt"),
    (["--prompt=a", "--mask_path=b.png"], "--image_path"),
    (["--prompt=a", "--fp16", "--bf16"], "two types"),
    (["--prompt=a --w 5"], "--width"),
    (["--prompt=a", "--sampler=eular"], "euler"),
    (["--prompt=a", "--noise_offset_range", "1"], "no range"),
    (["--prompt=a", "--network_weights=x"], "there is no option"),
    (["--prompt=a", "--clip_skip=50"], "layers"),
])
def test_mistakes_are_told(sdtune, small_models, tmp_path, args, words):
    result = sdtune("sample", f"--ckpt={small_models()}", f"--outdir={tmp_path}", "--device=cpu", *args)
    assert result.returncode == 2 and words in result.stderr


def test_the_name_of_sd_scripts_works(sdtune, small_models, tmp_path):
    result = sdtune("gen_img.py", "--ckpt", small_models(), "--outdir", tmp_path, "--prompt", "a", "--W", "64", "--H",
                    "64", "--steps", "1", "--xformers", "--fp16")
    assert result.returncode == 0, result.stderr
    assert len(names(tmp_path)) == 1
