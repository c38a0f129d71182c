"""The demo's model draws what its prompts say, and the demo teaches it mushrooms: judged by pictures, in every form."""

import pytest
from PIL import Image

from demo.drawing import draw_with_diffusers, share_drawn
from demo.judge import mushroom_prompts, shape_prompts, share_shown
from running import ROOT, read_events, run_sdtune

MODEL = ROOT / "assets/demo-model.safetensors"
BEFORE, AFTER, LOST = 0.15, 0.80, 0.10  # mushrooms drawn before and after, shapes lost at most
MUSHROOMS = mushroom_prompts(40)
SHAPES = shape_prompts(64)


@pytest.fixture(scope="module")
def shapes_before(tmp_path_factory):
    return share_drawn(MODEL, SHAPES, tmp_path_factory.mktemp("before") / "shapes")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    done = run_sdtune("demo", f"--output_dir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_model_is_small_and_draws_what_its_prompts_say(shapes_before):
    assert MODEL.stat().st_size <= 25_000_000
    assert shapes_before >= 0.85


def test_it_cannot_draw_mushrooms(tmp_path):
    assert share_drawn(MODEL, MUSHROOMS, tmp_path / "drawn") < BEFORE


def test_the_demo_teaches_it_mushrooms_and_it_keeps_its_shapes(demo, shapes_before, tmp_path):
    model = demo / "output/demo.safetensors"
    assert share_drawn(model, MUSHROOMS, tmp_path / "mushrooms") >= AFTER
    assert share_drawn(model, SHAPES, tmp_path / "shapes") > shapes_before - LOST


def test_a_checkpoint_draws_the_same(demo, tmp_path):
    checkpoint = tmp_path / "demo.ckpt"
    done = run_sdtune("convert", demo / "output/demo.safetensors", checkpoint)
    assert done.returncode == 0, done.stderr
    assert share_drawn(checkpoint, MUSHROOMS, tmp_path / "drawn") >= AFTER


def test_the_folder_draws_the_same_and_diffusers_draws_from_it(demo, tmp_path):
    folder = demo / "output/demo-diffusers"
    assert share_drawn(folder, MUSHROOMS, tmp_path / "drawn") >= AFTER
    pictures = draw_with_diffusers(folder, [prompt.caption for prompt in MUSHROOMS])
    assert share_shown(pictures, MUSHROOMS) >= AFTER


def test_the_demo_leaves_what_it_says(demo):
    with Image.open(demo / "before-after.png") as sheet:
        assert min(sheet.size) > 400
    for name in ("sample/contact-sheet.png", "demo-run/loss.png", "demo.safetensors", "demo-diffusers/model_index.json"):
        assert (demo / "output" / name).is_file()
    drawn = [event for event in read_events(demo / "output", "demo") if event["event"] == "sample"]
    assert {event["step"] for event in drawn} == {0, 100, 200, 300, 400}
