#!/usr/bin/env python3
"""Tags by a ViT-B/16 of 448 pixels with random weights: `sdtune tag` against the same job written with onnxruntime
(Pillow, OpenCV, one picture after the other as sd-scripts does it), in turns, one picture at a time and eight at once.

    tagger_bench.py [--build build/release] [--rounds 7] [--threads 2]

Needs the Python tests' packages, 1 GB of disk and 3 GB of memory. A picture's time is that from the end of the first
batch to the end of the last one, divided by the pictures between, so that start-up and reading the model do not count.
The last line is JSON.
"""

import argparse
import json
import pathlib
import tempfile
import time

from words_in_turns import compare, in_turns, tell, time_peer, time_sdtune

ROOT = pathlib.Path(__file__).resolve().parents[1]
BATCHES = {1: 12, 8: 32}  # pictures at once: pictures in all
SIDE, PATCH, WIDTH, HEADS, LAYERS = 448, 16, 768, 12, 12
TOKENS = (SIDE // PATCH) ** 2
RATINGS, TAGS = 4, 9083  # of the WD14 family's second version
THRESHOLD = 0.75


class Graph:
    """Nodes and random weights of an ONNX graph."""

    def __init__(self):
        import numpy
        import onnx

        self.numpy, self.onnx = numpy, onnx
        self.generator = numpy.random.default_rng(0)
        self.nodes, self.weights = [], []

    def constant(self, value, dtype):
        name = f"w{len(self.weights)}"
        self.weights.append(self.onnx.numpy_helper.from_array(self.numpy.asarray(value, dtype), name))
        return name

    def weight(self, *shape, scale=0.02):
        return self.constant(self.generator.standard_normal(shape, self.numpy.float32) * scale, "float32")

    def node(self, kind, *inputs, **attributes):
        name = f"n{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def linear(self, x, width_in, width_out):
        product = self.node("MatMul", x, self.weight(width_in, width_out))
        return self.node("Add", product, self.weight(width_out))

    def norm(self, x):
        ones = self.constant(self.numpy.ones(WIDTH), "float32")
        return self.node("LayerNormalization", x, ones, self.weight(WIDTH), axis=-1, epsilon=1e-6)

    def gelu(self, x):
        root = self.node("Div", x, self.constant(2**0.5, "float32"))
        one = self.node("Add", self.node("Erf", root), self.constant(1, "float32"))
        return self.node("Mul", self.node("Mul", x, one), self.constant(0.5, "float32"))

    def attention(self, x):
        shape = self.constant([0, TOKENS, HEADS, WIDTH // HEADS], "int64")
        query, key, value = (self.node("Reshape", self.linear(x, WIDTH, WIDTH), shape) for _ in range(3))
        query = self.node("Transpose", query, perm=[0, 2, 1, 3])
        key = self.node("Transpose", key, perm=[0, 2, 3, 1])
        value = self.node("Transpose", value, perm=[0, 2, 1, 3])
        scale = self.constant((WIDTH // HEADS) ** -0.5, "float32")
        scores = self.node("Softmax", self.node("Mul", self.node("MatMul", query, key), scale), axis=-1)
        mixed = self.node("Transpose", self.node("MatMul", scores, value), perm=[0, 2, 1, 3])
        return self.linear(self.node("Reshape", mixed, self.constant([0, TOKENS, WIDTH], "int64")), WIDTH, WIDTH)

    def block(self, x):
        x = self.node("Add", x, self.attention(self.norm(x)))
        wide = self.gelu(self.linear(self.norm(x), WIDTH, 4 * WIDTH))
        return self.node("Add", x, self.linear(wide, 4 * WIDTH, WIDTH))


def make_tagger(folder):
    graph = Graph()
    onnx = graph.onnx
    x = graph.node("Transpose", graph.node("Div", "input", graph.constant(127.5, "float32")), perm=[0, 3, 1, 2])
    x = graph.node("Conv", x, graph.weight(WIDTH, 3, PATCH, PATCH), graph.weight(WIDTH), kernel_shape=[PATCH, PATCH],
                   strides=[PATCH, PATCH])
    x = graph.node("Transpose", graph.node("Reshape", x, graph.constant([0, WIDTH, TOKENS], "int64")), perm=[0, 2, 1])
    x = graph.node("Add", x, graph.weight(1, TOKENS, WIDTH))
    for _ in range(LAYERS):
        x = graph.block(x)
    x = graph.node("ReduceMean", graph.norm(x), axes=[1], keepdims=0)
    logits = graph.linear(x, WIDTH, RATINGS + TAGS)
    graph.nodes.append(onnx.helper.make_node("Sigmoid", [logits], ["output"]))
    float32 = onnx.TensorProto.FLOAT
    made = onnx.helper.make_graph(
        graph.nodes, "vit", [onnx.helper.make_tensor_value_info("input", float32, ["batch", SIDE, SIDE, 3])],
        [onnx.helper.make_tensor_value_info("output", float32, ["batch", RATINGS + TAGS])], graph.weights)
    folder.mkdir()
    onnx.save(onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8),
              folder / "model.onnx")
    lines = [f"{i},tag{i},{9 if i < RATINGS else 0},1" for i in range(RATINGS + TAGS)]
    (folder / "selected_tags.csv").write_text("tag_id,name,category,count\n" + "\n".join(lines) + "\n")


def white_square(path):
    import cv2
    import numpy
    from PIL import Image

    image = numpy.asarray(Image.open(path).convert("RGB"))[:, :, ::-1]
    height, width = image.shape[:2]
    longer = max(height, width)
    left, top = (longer - width) // 2, (longer - height) // 2
    square = numpy.pad(image, ((top, longer - height - top), (left, longer - width - left), (0, 0)),
                       constant_values=255)
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(numpy.float32)


def run_peer(arguments):
    """The onnxruntime side, in a process of its own; prints when each picture's tags were there."""
    import numpy
    import onnxruntime

    tagger, photos, batch = arguments.peer
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = arguments.threads
    session = onnxruntime.InferenceSession(pathlib.Path(tagger) / "model.onnx", settings,
                                           providers=["CPUExecutionProvider"])
    paths = sorted(pathlib.Path(photos).glob("*.jpg"))
    stamps, tags = [], []
    for begin in range(0, len(paths), int(batch)):
        pixels = numpy.stack([white_square(path) for path in paths[begin : begin + int(batch)]])
        for scores in session.run(None, {"input": pixels})[0]:
            chosen = numpy.flatnonzero(scores[RATINGS:] >= THRESHOLD) + RATINGS
            tags.append(", ".join(f"tag{i}" for i in chosen))
            stamps.append(time.time())
    print(json.dumps({"stamps": stamps, "words": tags}))


def shared_tags(a, b):
    """How many tags both sides chose, of all that either did."""
    pairs = [(set(one.split(", ")), set(other.split(", "))) for one, other in zip(a, b, strict=True)]
    return sum(len(one & other) for one, other in pairs) / sum(len(one | other) for one, other in pairs)


def run_batch(arguments, work, photos, batch, count):
    def sdtune():
        command = [pathlib.Path(arguments.build) / "sdtune", "tag", photos, f"--repo_id={work / 'tagger'}",
                   f"--batch_size={batch}", f"--thresh={THRESHOLD}", f"--max_data_loader_n_workers={arguments.threads}"]
        return time_sdtune(command, photos, ".txt", batch, arguments.threads)

    def onnxruntime():
        return time_peer([__file__, "--peer", work / "tagger", photos, batch, f"--threads={arguments.threads}"], batch)

    def report(number, seconds, words):
        print(f"batch {batch}, round {number}: sdtune {seconds['sdtune']:.3f} s a picture, onnxruntime "
              f"{seconds['onnxruntime']:.3f} s; {shared_tags(words['sdtune'], words['onnxruntime']):.4f} of the tags "
              "equal", flush=True)

    median, words = in_turns({"sdtune": sdtune, "onnxruntime": onnxruntime}, arguments.rounds, report)
    return {"batch": batch, "rounds": arguments.rounds, "threads": arguments.threads, "pictures": count,
            "sdtune_s": median["sdtune"], "onnxruntime_s": median["onnxruntime"],
            "times_as_fast": median["onnxruntime"] / median["sdtune"],
            "tags_equal": shared_tags(words["sdtune"], words["onnxruntime"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build/release")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", nargs=3, metavar=("TAGGER", "PHOTOS", "BATCH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        run_peer(arguments)
        return
    with tempfile.TemporaryDirectory(prefix="sdtune-tagger-") as folder:
        work = pathlib.Path(folder)
        make_tagger(work / "tagger")
        results = compare(BATCHES, work, lambda *job: run_batch(arguments, work, *job))
    tell(results, "onnxruntime", "onnxruntime")


if __name__ == "__main__":
    main()
