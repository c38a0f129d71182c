#!/usr/bin/env python3
"""A data set of 100,000 tiny pictures: how long the first start and the second take, how fast the loader is, and
whether memory stays where it is over three epochs. Runs `sdtune train --debug_dataset`, which needs no model.

    loader_bench.py [--build build/release] [--pictures 100000] [--epochs 3] [--threads 2]

Needs Pillow and numpy. A start lasts from the process's beginning to the first batch printed. The pictures are made
in a temporary folder, which is removed. The last line is JSON.
"""

import argparse
import io
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

import numpy
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
KINDS = 300  # different pictures; files beyond are copies
PER_FOLDER = 1000
SETTLED_S = 2.5  # files that changed a moment ago are not remembered
EPOCH = re.compile(r"epoch (\d+): (\d+) pictures in ([\d.]+) s, ([\d.]+) img/s, ([\d.]+) GB")


def tiny_pngs():
    generator = numpy.random.default_rng(0)
    pictures = []
    for _ in range(KINDS):
        width, height = generator.choice([(64, 64), (96, 64), (64, 96)])
        pixels = numpy.repeat(generator.integers(0, 256, (height, 1, 3), dtype=numpy.uint8), width, axis=1)
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        pictures.append(content.getvalue())
    return pictures


def make_data(folder, count):
    kinds, entries = tiny_pngs(), {}
    for number in range(count):
        name = f"{number // PER_FOLDER:03}/{number:06}.png"
        path = folder / name
        if number % PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(kinds[number % KINDS])
        entries[name] = {"caption": f"picture {number}, of kind {number % KINDS}", "tags": "tiny, made, flat"}
    (folder.parent / "meta.json").write_text(json.dumps(entries))
    return sum(len(kinds[number % KINDS]) for number in range(count)) / count


def start(arguments, work, epochs):
    """Returns the seconds to the first batch and the figures of each epoch: img/s and GB."""
    command = [pathlib.Path(arguments.build) / "sdtune", "train", "--debug_dataset", f"--train_data_dir={work / 'data'}",
               f"--in_json={work / 'meta.json'}", "--pretrained_model_name_or_path=none", "--resolution=64",
               f"--max_train_epochs={epochs}", f"--max_data_loader_n_workers={arguments.threads}",
               "--train_batch_size=4", f"--output_dir={work / 'out'}"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(work / "cache")}
    with open(work / "messages", "w+") as messages:
        begin = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=messages,
                                   env=environment, text=True)
        process.stdout.readline()
        first_batch = time.monotonic() - begin
        for _ in process.stdout:
            pass
        status = process.wait()
        messages.seek(0)
        text = messages.read()
    if status != 0:
        raise SystemExit(f"sdtune ended with status {status}:\n{text[-2000:]}")
    return first_batch, [(float(rate), float(memory)) for _, _, _, rate, memory in EPOCH.findall(text)]


def measure(arguments, work):
    begin = time.monotonic()
    mean_bytes = make_data(work / "data", arguments.pictures)
    print(f"{arguments.pictures} pictures of {mean_bytes:.0f} bytes made in {time.monotonic() - begin:.1f} s", flush=True)
    time.sleep(SETTLED_S)
    first, _ = start(arguments, work, 1)
    second, epochs = start(arguments, work, arguments.epochs)
    print(f"to the first batch: {first:.2f} s the first time, {second:.2f} s the second")
    for number, (rate, memory) in enumerate(epochs, 1):
        print(f"epoch {number}: {rate:.0f} img/s, {memory:.3f} GB")
    growth = epochs[-1][1] - epochs[0][1]
    print(f"memory grew by {growth * 1000:.0f} MB from the first epoch to the last")
    print(json.dumps({"pictures": arguments.pictures, "first_start_s": first, "second_start_s": second,
                      "images_per_s": [rate for rate, _ in epochs], "memory_gb": [memory for _, memory in epochs],
                      "growth_gb": growth}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build/release")
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sdtune-loader-") as work:
        measure(arguments, pathlib.Path(work))


if __name__ == "__main__":
    main()
