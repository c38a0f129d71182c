"""Small taggers in ONNX with the real ones' inputs, outputs and lists of tags."""

import json

import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from running import BUILD

FAMILIES = ("standard", "mapped", "deepdanbooru")
SIDES = {"standard": 448, "mapped": 448, "deepdanbooru": 512}
# Danbooru's categories; each family writes them in its own way.
TAGS = (("general", "Rating"), ("sensitive", "Rating"), ("long_hair", "General"), ("^_^", "General"),
        ("solo", "General"), ("don't_say_\"lazy\",_1", "General"), ("ann_(sea)", "Character"),
        ("bob_(hat)_(sea)", "Character"))
MORE_TAGS = (("best_quality", "Quality"), ("low_quality", "Quality"), ("sea_tales", "Copyright"),
             ("highres", "Meta"), ("some_model", "Model"), ("an_artist", "Artist"))
NUMBERS = {"Rating": 9, "General": 0, "Character": 4}


def tags_of(family):
    return TAGS + MORE_TAGS if family == "mapped" else TAGS


def network(family, count, side, batch, bias):
    """Convolutions with random weights; with a bias the scores are that alone, whatever the picture."""
    generator = numpy.random.default_rng(5)
    is_last = family != "mapped"
    shape = [batch, side, side, 3] if is_last else [batch, 3, side, side]
    scale = {"standard": 1 / 255, "mapped": 1, "deepdanbooru": 1}[family]
    weights = {
        "w1": generator.normal(0, 0.15 * scale, (8, 3, 7, 7)), "b1": generator.normal(0, 0.1, 8),
        "w2": generator.normal(0, 0.2, (16, 8, 3, 3)), "b2": generator.normal(0, 0.1, 16),
        "w3": generator.normal(0, 0.2, (16, count)) * (bias is None),
        "b3": generator.normal(0, 0.2, count) if bias is None else numpy.asarray(bias),
    }
    node = helper.make_node
    nodes = [node("Transpose", ["input"], ["x"], perm=[0, 3, 1, 2])] if is_last else [node("Identity", ["input"], ["x"])]
    nodes += [
        node("Conv", ["x", "w1", "b1"], ["c1"], strides=[4, 4], pads=[3, 3, 3, 3], kernel_shape=[7, 7]),
        node("Relu", ["c1"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "w2", "b2"], ["c2"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Relu", ["c2"], ["r2"]),
        node("GlobalAveragePool", ["r2"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "w3", "b3"], ["logits"]),
        node("Sigmoid" if is_last else "Identity", ["logits"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes, "tagger", [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, count])],
        [numpy_helper.from_array(value.astype(numpy.float32), name) for name, value in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def write_list(folder, family):
    if family == "mapped":
        entries = {str(i): {"tag": tag, "category": kind} for i, (tag, kind) in enumerate(tags_of(family))}
        (folder / "tag_mapping.json").write_text(json.dumps(entries))
    elif family == "deepdanbooru":
        names = [f"rating:{tag}" if kind == "Rating" else tag for tag, kind in tags_of(family)]
        (folder / "tags.txt").write_text("\n".join(names) + "\n")
    else:
        lines = ["tag_id,name,category,count"]
        for i, (tag, kind) in enumerate(tags_of(family)):
            name = '"' + tag.replace('"', '""') + '"' if '"' in tag else tag
            lines.append(f"{i},{name},{NUMBERS[kind]},{100 - i}")
        (folder / "selected_tags.csv").write_text("\n".join(lines) + "\n")


def make_tagger(folder, family="standard", scores=None, side=None, batch="batch"):
    """`scores`: what it says of every picture, instead of what it sees. Skips the test where nothing can compute it."""
    if not (BUILD / "libsdtune_onnx.so").exists():
        pytest.skip("built with SDTUNE_OPENVINO=OFF")
    folder.mkdir(parents=True, exist_ok=True)
    bias = None
    if scores is not None:
        scores = numpy.asarray(scores, numpy.float64)
        bias = numpy.log(scores / (1 - scores))
    model = network(family, len(tags_of(family)), side or SIDES[family], batch, bias)
    onnx.save(model, folder / ("model_optimized.onnx" if family == "mapped" else "model.onnx"))
    write_list(folder, family)
    return folder
