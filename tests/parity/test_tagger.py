"""What taggers see, against the same steps in NumPy, Pillow and OpenCV, and what they say, against onnxruntime."""

import os
import subprocess

import cv2
import numpy
import pytest
from parity import small_taggers
from PIL import Image
from running import BUILD, HAS_TAGGERS

pytestmark = pytest.mark.skipif(not HAS_TAGGERS, reason="built without OpenVINO")
TOOL = BUILD / "tests" / "sdtune-tagger"
SHAPES = {"square": (600, 600), "wide": (701, 333), "tall": (250, 900), "small": (97, 61), "same": (448, 448),
          "odd": (513, 512), "thin": (900, 3)}


def pixels(width, height, channels=3, seed=0):
    generator = numpy.random.default_rng(seed)
    coarse = generator.integers(0, 256, (9, 11, channels), dtype=numpy.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(int)
    return (smooth + generator.integers(-12, 13, smooth.shape)).clip(0, 255).astype(numpy.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagged")
    for number, (name, (width, height)) in enumerate(SHAPES.items()):
        Image.fromarray(pixels(width, height, seed=number)).save(folder / f"{name}.png")
    Image.fromarray(pixels(300, 500, 4)).save(folder / "alpha.png")
    deep = pixels(500, 400).astype(numpy.uint16) * 256 + pixels(500, 400, seed=9)
    assert cv2.imwrite(str(folder / "deep.png"), deep)
    palette = Image.fromarray(pixels(400, 300)).quantize(32)
    palette.save(folder / "palette.png", transparency=3)
    return sorted(folder.glob("*.png"))


def on_white(path):
    image = Image.open(path).convert("RGBA")
    canvas = Image.new("RGBA", image.size, (255, 255, 255))
    canvas.alpha_composite(image)
    return numpy.asarray(canvas.convert("RGB"))


def white_square(image, side):
    height, width = image.shape[:2]
    longer = max(width, height)
    left, top = (longer - width) // 2, (longer - height) // 2
    square = numpy.pad(image, ((top, longer - height - top), (left, longer - width - left), (0, 0)),
                       constant_values=255)
    if longer >= side:
        return cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    return numpy.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS))


def area_weights(source, target):
    edges = numpy.arange(target + 1) * source / target
    low = numpy.maximum(edges[:-1, None], numpy.arange(source)[None])
    high = numpy.minimum(edges[1:, None], numpy.arange(1, source + 1)[None])
    return numpy.maximum(high - low, 0) * target / source


def shift_weights(source, target):
    """Bilinear places of an axis that is put into the middle, its ends repeated."""
    weights = numpy.zeros((target, source))
    for to in range(target):
        place = to - target / 2 + source / 2
        low = int(numpy.floor(place))
        for at, weight in ((low, low + 1 - place), (low + 1, place - low)):
            weights[to, min(max(at, 0), source - 1)] += weight
    return weights


def edge_square(image, side):
    scale = side / max(image.shape[:2])
    rows, columns = (shift_weights(max(1, round(size * scale)), side) @ area_weights(size, max(1, round(size * scale)))
                     for size in image.shape[:2])
    return numpy.einsum("tyc,sy->tsc", numpy.einsum("ty,yxc->txc", rows, image.astype(float), optimize=True), columns,
                        optimize=True)


def run_tool(family, folder, out, pictures, side):
    name = "deepdanbooru" if family == "deepdanbooru" else "standard"
    done = subprocess.run([TOOL, name, folder, out, *pictures], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "OMP_WAIT_POLICY": "passive"})
    assert done.returncode == 0, done.stderr
    seen = numpy.fromfile(f"{out}.pixels", numpy.uint8).reshape(len(pictures), side, side, 3)
    return seen, numpy.fromfile(f"{out}.scores", numpy.float32).reshape(len(pictures), -1)


def numbers_of(seen, family):
    if family == "deepdanbooru":
        return seen.astype(numpy.float32) / 255
    blue_first = seen[..., ::-1].astype(numpy.float32)
    return numpy.ascontiguousarray((blue_first / 127.5 - 1).transpose(0, 3, 1, 2) if family == "mapped" else blue_first)


@pytest.mark.parametrize("family", small_taggers.FAMILIES)
def test_pixels_and_scores(family, pictures, tmp_path):
    """The mapped one's model says its side; the others take any, and get their family's."""
    import onnxruntime

    side = small_taggers.SIDES[family]
    folder = small_taggers.make_tagger(tmp_path / "tagger", family, side=None if family == "mapped" else "side")
    seen, scores = run_tool(family, folder, tmp_path / "out", pictures, side)
    square = edge_square if family == "deepdanbooru" else white_square
    for path, mine in zip(pictures, seen, strict=True):
        difference = numpy.abs(numpy.rint(square(on_white(path), side)) - mine)
        assert difference.max() <= 1, f"{path.name} differs by {difference.max()}"
    session = onnxruntime.InferenceSession(next(folder.glob("*.onnx")), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"input": numbers_of(seen, family)})[0]
    if family == "mapped":
        expected = 1 / (1 + numpy.exp(-expected.astype(float)))
    assert expected.std(axis=0).max() > 0.01, "the pictures differ"
    assert numpy.abs(scores - expected).max() <= 1e-5


@pytest.mark.parametrize("batch", [1, 4])
def test_a_model_for_a_number_of_pictures(batch, pictures, tmp_path):
    whole = run_tool("standard", small_taggers.make_tagger(tmp_path / "any"), tmp_path / "a", pictures, 448)[1]
    fixed = run_tool("standard", small_taggers.make_tagger(tmp_path / "fixed", batch=batch), tmp_path / "b", pictures,
                     448)[1]
    assert numpy.abs(whole - fixed).max() <= 1e-5


def test_what_is_no_tagger_is_refused(pictures, tmp_path):
    import onnx

    def refused(folder):
        done = subprocess.run([TOOL, "standard", folder, tmp_path / "out", pictures[0]], capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 1 and not (tmp_path / "out.scores").exists()
        return done.stderr

    folder = small_taggers.make_tagger(tmp_path / "broken")
    model = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(model[: len(model) // 2])
    assert "no ONNX model" in refused(folder)
    small_taggers.make_tagger(folder)
    with open(folder / "selected_tags.csv", "a") as lines:
        lines.write("99,one_more,0,1\n")
    assert "8 scores, but its list has 9 tags" in refused(folder)
    (folder / "selected_tags.csv").unlink()
    assert "selected_tags.csv" in refused(folder)
    small_taggers.make_tagger(folder)
    for shape, reason in (([1, 448, 448, 4], "this is no"), ([1, 448, 3], "this is no"),
                          ([1, 448, 400, 3], "no squares"), ([1, 4800, 4800, 3], "unlikely size")):
        proto = onnx.load(folder / "model.onnx")
        value = onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, shape)
        proto.graph.input[0].CopyFrom(value)
        onnx.save(proto, folder / "model.onnx")
        assert reason in refused(folder)
