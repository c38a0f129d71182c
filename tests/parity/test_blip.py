"""BLIP against Transformers' BlipForConditionalGeneration: pixels, logits, and whole captions by the program.

SDTUNE_BUILD names the build folder (build/release when unset).
"""

import collections
import copy
import os
import pathlib
import subprocess

import numpy
import pytest
import safetensors.torch
import torch
import transformers
from PIL import Image

import small_blip

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("SDTUNE_BUILD", "build/release")
TOLERANCE = 1e-4
CLEAR = 1e-3  # a picture counts when what is second best is this much worse: rounding could turn round the others
COUNTED = 50  # pictures at least
MEAN = torch.tensor(transformers.image_utils.OPENAI_CLIP_MEAN)[:, None, None]
DEVIATION = torch.tensor(transformers.image_utils.OPENAI_CLIP_STD)[:, None, None]


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """(shape, sharp) -> (model, tokenizer, the places of its two forms on disk); made when first asked for."""
    made = {}

    def get(shape, sharp=True):
        if (shape, sharp) not in made:
            folder = tmp_path_factory.mktemp(shape)
            model = small_blip.make_blip(shape, sharp=sharp)
            tokenizer = small_blip.save_blip(model, folder / "transformers")
            original = folder / "original" / "model_caption.pth"
            small_blip.save_original(model, original)
            made[shape, sharp] = (model, tokenizer, {"transformers": folder / "transformers", "original": original})
        return made[shape, sharp]

    return get


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Pictures of many sizes, with edges and noise."""
    folder = tmp_path_factory.mktemp("blip") / "pictures"
    folder.mkdir()
    generator = numpy.random.default_rng(5)
    for number in range(COUNTED + 8):
        small = generator.integers(0, 256, (3, 4, 3), dtype=numpy.uint8)
        size = tuple(int(side) for side in generator.integers(20, 160, 2))
        pixels = numpy.asarray(Image.fromarray(small).resize(size, Image.NEAREST)).astype(int)
        pixels = (pixels + generator.integers(-20, 21, pixels.shape)).clip(0, 255)
        Image.fromarray(pixels.astype(numpy.uint8)).save(folder / f"{number:02}.png")
    return folder


def run(program, *words):
    done = subprocess.run([BUILD / program, *map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def tool(*words, output):
    run("tests/sdtune-blip", *words)
    return safetensors.torch.load_file(output)


def processor():
    side = small_blip.SIDE
    return transformers.BlipImageProcessor(size={"height": side, "width": side})


def pixels_of(folder):
    images = [Image.open(path).convert("RGB") for path in sorted(folder.glob("*.png"))]
    return processor()(images, return_tensors="pt").pixel_values


@pytest.mark.parametrize("size", [(384, 384), (640, 480), (90, 300), (48, 48), (1000, 30), (7, 5)], ids=str)
def test_pixels(tmp_path, size):
    generator = numpy.random.default_rng(1)
    picture = Image.fromarray(generator.integers(0, 256, (size[1], size[0], 3), dtype=numpy.uint8))
    picture.save(tmp_path / "a.png")
    output = tmp_path / "out.safetensors"
    ours = tool("pixels", tmp_path / "a.png", small_blip.SIDE, output, output=output)["pixel_values"]
    theirs = processor()(picture, return_tensors="pt").pixel_values[0]
    levels = (ours - theirs) * DEVIATION * 255
    assert levels.abs().max() < 1
    assert (theirs * DEVIATION + MEAN).std() > 0.02


@pytest.mark.parametrize("form", ["transformers", "original"])
@pytest.mark.parametrize("shape", small_blip.SHAPES)
def test_logits(models, tmp_path, shape, form):
    model, _, places = models(shape, sharp=False)
    generator = torch.Generator().manual_seed(2)
    inputs = {"pixel_values": torch.randn(3, 3, small_blip.SIDE, small_blip.SIDE, generator=generator),
              "input_ids": torch.randint(0, model.config.text_config.vocab_size, (3, 20), generator=generator)}
    safetensors.torch.save_file(inputs, tmp_path / "in.safetensors")
    words = ["logits", places[form], tmp_path / "in.safetensors", tmp_path / "out.safetensors"]
    ours = tool(*words, output=tmp_path / "out.safetensors")
    with torch.inference_mode():  # in fp64, so that what is measured is this program's error alone
        theirs = copy.deepcopy(model).double()(inputs["pixel_values"].double(), inputs["input_ids"])
    assert theirs.logits.std() > 1
    assert (ours["states"] - theirs.last_hidden_state).abs().max() < TOLERANCE
    assert (ours["logits"] - theirs.logits).abs().max() < TOLERANCE
    if form == "transformers":
        half = tool(*words, "--bf16", output=tmp_path / "out.safetensors")["logits"]
        error = (half - theirs.logits).norm() / theirs.logits.norm()
        assert 1e-4 < error < 0.05


def test_the_other_name_of_the_last_bias(models, tmp_path):
    """Files hold it under one of two names; the other one is the same tensor to Transformers."""
    model, _, places = models("base", sharp=False)
    tensors = safetensors.torch.load_file(places["transformers"] / "model.safetensors")
    bias = tensors.pop("text_decoder.cls.predictions.bias")
    tensors["text_decoder.cls.predictions.decoder.bias"] = bias
    (tmp_path / "config.json").write_text((places["transformers"] / "config.json").read_text())
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors")
    inputs = {"pixel_values": torch.zeros(1, 3, small_blip.SIDE, small_blip.SIDE), "input_ids": torch.tensor([[5, 6]])}
    safetensors.torch.save_file(inputs, tmp_path / "in.safetensors")
    ours = tool("logits", tmp_path, tmp_path / "in.safetensors", tmp_path / "out.safetensors",
                output=tmp_path / "out.safetensors")
    with torch.inference_mode():
        assert (ours["logits"] - model(**inputs).logits).abs().max() < TOLERANCE
    assert bias.abs().max() > 0.01


def captions_by_program(pictures, place, workspace, *options, search="--beam_search"):
    for path in pictures.glob("*.png"):
        (workspace / path.name).write_bytes(path.read_bytes())
    run("sdtune", "caption", workspace, f"--caption_weights={place}", search, "--device=cpu", *options)
    return [path.read_text() for path in sorted(workspace.glob("*.caption"))]


def captions_by_transformers(model, tokenizer, pictures, prompt, **settings):
    """Each caption, and how much worse what was nearly written is: another word, or another caption."""
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    pixels = pixels_of(pictures)
    beams = settings.get("num_beams", 1)
    with torch.inference_mode():
        done = model.generate(pixel_values=pixels, input_ids=ids.repeat(len(pixels), 1), do_sample=False,
                              num_return_sequences=min(beams, 2), output_scores=True, return_dict_in_generate=True,
                              **settings)
    if beams > 1:
        scores = done.sequences_scores.view(-1, 2)
        gaps = scores[:, 0] - scores[:, 1]
        sequences = done.sequences[::2]
    else:
        sequences = done.sequences
        start = ids.shape[1] - 1
        steps = [step.topk(2).values.diff().abs()[:, 0] for step in done.scores]
        written = sequences[:, start : start + len(steps)] != 0
        gaps = torch.where(written, torch.stack(steps, 1), torch.inf).amin(1)
    texts = [tokenizer.decode(row, skip_special_tokens=True) for row in sequences]
    start = tokenizer.decode(ids[0], skip_special_tokens=True)
    assert all(text.startswith(start) for text in texts)
    return [text.removeprefix(start).strip() + "\n" for text in texts], gaps


def assert_equal_where_clear(ours, theirs, gaps):
    pairs = [(a, b) for a, b, gap in zip(ours, theirs, gaps, strict=True) if gap > CLEAR]
    assert len(pairs) >= COUNTED
    assert len({b for _, b in pairs}) > 10, "captions must tell pictures apart"
    assert len({len(b.split()) for _, b in pairs}) > 3
    assert not [pair for pair in pairs if pair[0] != pair[1]]


@pytest.mark.parametrize("prompt", [small_blip.PROMPT, "", "A photo of the dog,"], ids=["usual", "none", "own"])
@pytest.mark.parametrize("beams", [1, 3, 5])
@pytest.mark.parametrize("shape", small_blip.SHAPES)
def test_captions(models, pictures, tmp_path, shape, beams, prompt):
    model, tokenizer, places = models(shape)
    settings = dict(num_beams=beams, max_length=24, min_length=5)
    theirs, gaps = captions_by_transformers(model, tokenizer, pictures, prompt, **settings)
    ours = captions_by_program(pictures, places["transformers"], tmp_path, f"--prompt={prompt}", "--batch_size=8",
                               *[f"--{name}={value}" for name, value in settings.items()])
    assert_equal_where_clear(ours, theirs, gaps)


@pytest.mark.parametrize("shape", small_blip.SHAPES)
def test_captions_of_an_original_checkpoint(models, pictures, tmp_path, shape):
    model, _, places = models(shape)
    tokenizer = transformers.BertTokenizer(str(places["original"].parent / "vocab.txt"))  # as make_captions.py has it
    theirs, gaps = captions_by_transformers(model, tokenizer, pictures, small_blip.PROMPT, max_length=24, min_length=5)
    ours = captions_by_program(pictures, places["original"], tmp_path, "--max_length=24")
    assert_equal_where_clear(ours, theirs, gaps)


def test_words_that_are_there_are_less_likely_to_be_drawn(models, pictures, tmp_path):
    """One likely word leaves no choice: what is drawn then are the likeliest words, with make_captions.py's penalty."""
    model, tokenizer, places = models("base")
    theirs, gaps = captions_by_transformers(model, tokenizer, pictures, small_blip.PROMPT, max_length=24, min_length=5,
                                            repetition_penalty=1.1)
    ours = captions_by_program(pictures, places["transformers"], tmp_path, "--max_length=24", search="--top_k=1")
    assert_equal_where_clear(ours, theirs, gaps)


def test_drawn_words_are_as_likely_as_in_transformers(models, pictures, tmp_path):
    """The first word drawn for many copies of a picture, against nucleus sampling's own probabilities."""
    model, tokenizer, places = models("base", sharp=False)
    picture = sorted(pictures.glob("*.png"))[0]
    ids = tokenizer(small_blip.PROMPT, return_tensors="pt").input_ids[:, :-1]
    ids[:, 0] = model.config.text_config.bos_token_id
    with torch.inference_mode():
        logits = model(pixel_values=pixels_of(pictures)[:1], input_ids=ids).logits[:, -1]
    for step in (transformers.RepetitionPenaltyLogitsProcessor(1.1),
                 transformers.MinLengthLogitsProcessor(5, small_blip.SEP, device="cpu"),
                 transformers.TopKLogitsWarper(50), transformers.TopPLogitsWarper(0.9)):
        logits = step(ids, logits)
    start = tokenizer.decode(ids[0], skip_special_tokens=True)
    expected = collections.Counter()
    for token, share in enumerate(logits.softmax(-1)[0]):
        if share > 0:
            text = tokenizer.decode([*ids[0], token], skip_special_tokens=True)
            expected[text.removeprefix(start).strip()] += float(share)
    # Bytes behind the picture's end make a copy another picture: one run draws for all of them.
    count = 400
    for number in range(count):
        (tmp_path / f"{number:03}.png").write_bytes(picture.read_bytes() + number.to_bytes(2, "little"))
    run("sdtune", "caption", tmp_path, f"--caption_weights={places['transformers']}", "--device=cpu", "--max_length=5",
        "--batch_size=50")
    drawn = [path.read_text().strip() for path in tmp_path.glob("*.caption")]
    assert len(drawn) == count
    assert 1 < len(set(drawn)) <= len(expected) and set(drawn) <= set(expected)
    for word, share in expected.items():
        spread = (share * (1 - share) / count) ** 0.5
        assert abs(drawn.count(word) / count - share) < 4 * spread + 0.005, word
