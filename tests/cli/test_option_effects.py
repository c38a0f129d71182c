"""That an option of the command line reaches what it names. What exactly it does there is asserted beside the code."""

import re

import numpy
import pytest
from PIL import Image
from running import ROOT, draw_pictures, train_args
from safetensors.numpy import load_file, safe_open
from test_options_table import NAMES, REFUSED, WHERE_OPTIONS_COME_FROM, explained

CAPTION = "blue, red ||| green, {one|two} %%% last"


@pytest.fixture(scope="module")
def one_picture(tmp_path_factory):
    folder = draw_pictures(tmp_path_factory.mktemp("one") / "pictures", count=1)
    (folder / "00.caption").write_text(CAPTION)
    (folder / "00.txt").unlink()
    return folder


def captions(sdtune, folder, *more):
    """As --debug_dataset shows them, one for each of ten epochs."""
    result = sdtune(*train_args("/nowhere", folder, "/nowhere/out", "--debug_dataset", "--max_train_epochs=10", *more))
    assert result.returncode == 0, result.stderr
    found = re.findall(r'\): "(.*)"', result.stdout)
    assert len(found) == 10
    return found


def always(text):
    return lambda found: set(found) == {text}


@pytest.mark.parametrize("options, holds", [
    ([], always(CAPTION)),
    (["--caption_prefix=new"], always("new " + CAPTION)),
    (["--caption_suffix=end"], always(CAPTION + " end")),
    (["--enable_wildcard"], lambda found: {word in c for c in found for word in ("one", "two")} == {True, False}),
    (["--shuffle_caption", "--keep_tokens_separator=|||"],
     lambda found: len(set(found)) > 1 and all(re.match("blue, red, ", c) for c in found)),
    (["--shuffle_caption", "--caption_separator=%%%"],
     lambda found: {c.split("%%%")[0].strip() for c in found} == {"last", "blue, red ||| green, {one|two}"}),
    (["--secondary_separator=%%%"], always("blue, red ||| green, {one|two} , last")),
    (["--shuffle_caption", "--token_warmup_min=1", "--token_warmup_step=1000"],
     lambda found: all("," not in c for c in found)),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_captions(sdtune, one_picture, options, holds):
    found = captions(sdtune, one_picture, *options)
    assert holds(found), found


def first_step(sdtune, model, data, tmp_path, *more):
    trace_dir = tmp_path / f"trace{len(list(tmp_path.iterdir()))}"
    args = train_args(model, data, tmp_path / "out", "--max_train_steps=1", f"--trace_dir={trace_dir}", *more)
    args.remove("--enable_bucket")  # faces are not looked for with it
    result = sdtune(*args)
    assert result.returncode == 0, result.stderr
    return load_file(trace_dir / "step-000001.safetensors")


@pytest.mark.parametrize("option, name", [
    ("--color_aug", "latents"), ("--random_crop", "latents"), ("--face_crop_aug_range=0.9,0.9", "latents"),
    ("--weighted_captions", "encoder_hidden_states"),
])
def test_what_the_model_sees(sdtune, small_models, tmp_path, option, name):
    folder = tmp_path / "pictures"
    folder.mkdir()
    # The face's centre and size follow from the name; wider than what is trained, so that there is something to crop.
    pixels = numpy.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=numpy.uint8)
    Image.fromarray(pixels).resize((256, 192)).save(folder / "a_0100_0050_0040_0040.png")
    (folder / "a_0100_0050_0040_0040.txt").write_text("a (heavy:1.4) word")
    # With this seed the first draws change the colours, which they do for one picture in three.
    plain = first_step(sdtune, small_models(), folder, tmp_path, "--seed=3")
    changed = first_step(sdtune, small_models(), folder, tmp_path, "--seed=3", option)
    for key in ("latents", "encoder_hidden_states", "noise", "timesteps"):
        assert numpy.array_equal(plain[key], changed[key]) == (key != name), key


METADATA = ["metadata_title", "metadata_author", "metadata_description", "metadata_license", "metadata_tags",
            "metadata_usage_hint", "metadata_merged_from", "metadata_trigger_phrase", "metadata_preprocessor",
            "metadata_is_negative_embedding"]


def test_metadata_of_the_model(sdtune, small_models, pictures, tmp_path):
    picture = sorted(pictures.glob("*.png"))[0]
    given = [f"--{name}=my {name}" for name in METADATA]
    result = sdtune(*train_args(small_models(), pictures, tmp_path, "--max_train_steps=1", *given,
                                f"--metadata_thumbnail={picture}"))
    assert result.returncode == 0, result.stderr
    with safe_open(tmp_path / "mine.safetensors", "numpy") as file:
        metadata = file.metadata()
    for name in METADATA:
        assert metadata[name.replace("metadata_", "modelspec.")] == f"my {name}"
    assert metadata["modelspec.thumbnail"].startswith("data:image/png;base64,")


def test_messages_by_level_and_into_a_file(sdtune, small_models, pictures, tmp_path):
    args = train_args(small_models(), pictures, tmp_path / "out", "--max_train_steps=1", "--diffusers_xformers")
    quiet = sdtune(*args, "--console_log_level=ERROR")
    assert quiet.returncode == 0 and " I " not in quiet.stderr and " W " not in quiet.stderr
    log = tmp_path / "log.txt"
    kept = sdtune(*args, f"--console_log_file={log}")
    assert kept.returncode == 0 and "batch size" not in kept.stderr
    assert "batch size" in log.read_text()


def test_state_on_train_end(sdtune, small_models, pictures, tmp_path):
    result = sdtune(*train_args(small_models(), pictures, tmp_path, "--max_train_steps=2", "--save_every_n_steps=1",
                                "--save_state_on_train_end"))
    assert result.returncode == 0, result.stderr
    assert [path.name for path in tmp_path.glob("*-state")] == ["mine-state"]


@pytest.mark.parametrize("more, ending", [([], ".bin"), (["--use_safetensors"], ".safetensors")])
def test_folders_of_safetensors(sdtune, small_models, pictures, tmp_path, more, ending):
    result = sdtune(*train_args(small_models(), pictures, tmp_path, "--max_train_steps=1", "--save_model_as=diffusers",
                                *more))
    assert result.returncode == 0, result.stderr
    assert [path.suffix for path in (tmp_path / "mine" / "unet").glob("diffusion_pytorch_model*")] == [ending]


def test_pictures_encoded_at_once(sdtune, small_models, pictures, tmp_path):
    """One at a time or four together: the same latents, up to the order of sums."""
    found = []
    for count in (1, 4):
        args = train_args(small_models(), pictures, tmp_path / "out", "--max_train_steps=1", "--cache_latents_to_disk",
                          f"--vae_batch_size={count}")
        result = sdtune(*args)
        assert result.returncode == 0, result.stderr
        found.append({path.name: numpy.load(path)["latents"] for path in sorted(pictures.glob("*.npz"))})
        for path in pictures.glob("*.npz"):
            path.unlink()
    assert list(found[0]) == list(found[1]) and len(found[0]) == 6
    for name, latents in found[0].items():
        assert numpy.allclose(latents, found[1][name], atol=1e-5)


def test_every_option_with_an_effect_is_used_by_a_test():
    sources = [path for pattern in ("tests/**/*.py", "src/**/*_test.cc") for path in ROOT.glob(pattern)
               if path.name not in ("test_options_table.py",)]
    text = "\n".join(path.read_text() for path in sources)
    without = set(explained()) | set(REFUSED) | WHERE_OPTIONS_COME_FROM
    missing = [name for name in NAMES if name not in without and not re.search(rf"\b{name}\b", text)]
    assert missing == []
