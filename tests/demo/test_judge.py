"""The judge says yes to pictures as the program draws them for training, and no to any other prompt."""

import dataclasses
import json

import numpy
import pytest
from PIL import Image

from demo.judge import COLOURS, GROUNDS, PLACES, SHAPES, Prompt, shape_prompts, share_shown, shows


@pytest.fixture(scope="module")
def drawn(sdtune, tmp_path_factory):
    """Pictures of the demo's data set, what they show and their entries in the metadata, by kind."""
    folder = tmp_path_factory.mktemp("judged")
    done = sdtune("demo", f"--output_dir={folder}", "--pictures=40", "--shapes=120", "--prepare_only")
    assert done.returncode == 0, done.stderr
    pictures = {"shape": [], "mushroom": []}
    for name, words in json.loads((folder / "metadata.json").read_text()).items():
        picture = numpy.asarray(Image.open(folder / "pictures" / f"{name}.png"))
        pictures[name.split("-")[0]].append((picture, read_words(words), words))
    return pictures


def read_words(entry):
    words = f"{entry.get('caption', '')} {entry.get('tags', '')}".replace(",", "").split()

    def one_of(names):
        (name,) = {word for word in words if word in names}
        return name

    shape = one_of((*SHAPES, "mushroom"))
    return Prompt(one_of((*COLOURS, "cyan")), shape, one_of(PLACES), one_of(GROUNDS))


def test_every_drawn_picture_shows_its_words_and_prompts_are_worded_as_captions(drawn):
    for kind, pictures in drawn.items():
        for picture, prompt, words in pictures:
            assert shows(picture, prompt), (kind, prompt)
            assert words.get("caption", prompt.caption) == prompt.caption


@pytest.mark.parametrize(
    "word, others, kinds",
    [
        ("colour", COLOURS, ["shape"]),
        ("place", PLACES, ["shape", "mushroom"]),
        ("ground", GROUNDS, ["shape", "mushroom"]),
    ],
)
def test_no_drawn_picture_shows_another_word(drawn, word, others, kinds):
    for picture, prompt, _ in (drawing for kind in kinds for drawing in drawn[kind]):
        for other in set(others) - {getattr(prompt, word)}:
            assert not shows(picture, dataclasses.replace(prompt, **{word: other})), (prompt, other)


def test_a_shape_is_no_mushroom_and_a_mushroom_no_shape(drawn):
    for picture, prompt, _ in drawn["shape"]:
        assert not shows(picture, dataclasses.replace(prompt, shape="mushroom"))
    for picture, prompt, _ in drawn["mushroom"]:
        for colour in COLOURS:
            assert not shows(picture, dataclasses.replace(prompt, shape="circle", colour=colour))


def test_noise_and_plain_grounds_show_nothing():
    prompts = shape_prompts()
    generator = numpy.random.default_rng(0)
    noise = generator.integers(0, 256, (len(prompts), 128, 128, 3), dtype=numpy.uint8)
    plain = [numpy.full((128, 128, 3), GROUNDS[prompt.ground], dtype=numpy.uint8) for prompt in prompts]
    assert share_shown(noise, prompts) == 0
    assert share_shown(plain, prompts) == 0


def test_the_prompts_differ_and_use_every_word():
    prompts = shape_prompts()
    assert len(set(prompts)) == 64
    for word, names in [("colour", COLOURS), ("shape", SHAPES), ("place", PLACES), ("ground", GROUNDS)]:
        assert {getattr(prompt, word) for prompt in prompts} == set(names)
