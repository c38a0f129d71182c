#!/usr/bin/env python3
"""A 2048x1536 JPEG to its training size: sdtune-bench-image against Pillow, numpy and OpenCV as
sd-scripts calls them. Both run on one core, in turns on the same file; pixels are compared first.

    image_peer.py [--build build/release] [--rounds 40] [--photo FILE]

Without the package cv2 the system's own OpenCV does the resizing, through its C interface.
"""

import argparse
import ctypes
import os
import pathlib
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image, __version__ as pillow_version

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIZES = [(597, 448), (683, 512)]  # cover the buckets 576x448 and 512x512
QUALITIES = [75, 85, 90, 92, 95]  # the higher, the more of the time is entropy decoding, which both leave to libjpeg


class CvMat(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("step", ctypes.c_int),
        ("refcount", ctypes.c_void_p),
        ("header_refcount", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("rows", ctypes.c_int),
        ("cols", ctypes.c_int),
    ]


def matrix_over(pixels):
    three_bytes_continuous = 0x42424010
    return CvMat(three_bytes_continuous, pixels.strides[0], None, 0, pixels.ctypes.data, *pixels.shape[:2])


def area_resizer():
    """A function (pixels, size) -> pixels by OpenCV's INTER_AREA, and the name of who does it."""
    try:
        import cv2
    except ImportError:
        library = ctypes.CDLL("libopencv_imgproc.so.406")

        def resize(pixels, size):
            out = np.empty((size[1], size[0], 3), np.uint8)
            source, target = matrix_over(pixels), matrix_over(out)
            library.cvResize(ctypes.byref(source), ctypes.byref(target), 3)
            return out

        return resize, "the system's OpenCV 4.6"
    cv2.setNumThreads(1)
    return lambda pixels, size: cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), f"cv2 {cv2.__version__}"


def make_photo(path, quality):
    """Noise on all scales, stronger the larger, with a little grain: compresses as photos do."""
    width, height = 2048, 1536
    rng = np.random.default_rng(1)
    pixels = np.zeros((height, width, 3))
    for columns in (2**k for k in range(2, 12)):
        noise = rng.normal(0, 60 / columns**0.4, (max(2, columns * 3 // 4), columns, 3)).astype(np.float32)
        for c in range(3):
            plane = Image.fromarray(noise[..., c]).resize((width, height), Image.Resampling.BICUBIC)
            pixels[..., c] += np.asarray(plane)
    grey = pixels.mean(-1, keepdims=True)
    pixels = 128 + 0.3 * pixels + grey + rng.normal(0, 4, grey.shape)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=quality, subsampling="4:2:0")


def load(path, size, resize):
    with Image.open(path) as image:
        if image.mode != "RGB":
            image = image.convert("RGB")
        pixels = np.array(image, np.uint8)
    return resize(pixels, size)


class Program:
    def __init__(self, build):
        path = pathlib.Path(build) / "sdtune-bench-image"
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()


def compare(program, path, size, resize, folder):
    expected = load(path, size, resize)
    out = pathlib.Path(folder) / "out.raw"
    differences = []
    for how in ("exact", "fast"):
        assert program.ask("write", how, *size, path, out) == "written"
        pixels = np.fromfile(out, np.uint8).reshape(expected.shape)
        differences.append(np.abs(pixels.astype(int) - expected))
    assert not differences[0].any(), f"{np.count_nonzero(differences[0])} values differ"
    return differences[1]


def measure(program, path, size, resize, rounds):
    """Median milliseconds [wall, processor] of the peer, of sdtune and of its fast decoding."""
    times = {"peer": [], "exact": [], "fast": []}
    for _ in range(rounds + 3):
        wall, processor = time.perf_counter(), time.process_time()
        load(path, size, resize)
        times["peer"].append((1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor)))
        for how in ("exact", "fast"):
            times[how].append(tuple(map(float, program.ask("time", how, *size, path).split())))
    return [np.median(values[3:], axis=0) for values in times.values()]


def report(program, path, resize, rounds):
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            difference = compare(program, path, size, resize, folder)
        peer, exact, fast = measure(program, path, size, resize, rounds)
        print(
            f"{size[0]}x{size[1]}: equal pixels; fast decoding off by {difference.mean():.2f} on average, "
            f"{difference.max()} at most"
        )
        for row, clock in enumerate(("wall", "processor")):
            print(
                f"  {clock}: peer {peer[row]:.1f} ms; sdtune {exact[row]:.1f} ms, {peer[row] / exact[row]:.2f} x; "
                f"fast {fast[row]:.1f} ms, {peer[row] / fast[row]:.2f} x"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=ROOT / "build" / "release")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--photo", help="a JPEG instead of the generated ones; no spaces in its name")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    resize, resizer = area_resizer()
    program = Program(arguments.build)
    print(f"Pillow {pillow_version}, {resizer}; {arguments.rounds} rounds, medians")
    with tempfile.TemporaryDirectory() as folder:
        photos = [(arguments.photo, "")]
        if not arguments.photo:
            photos = [(pathlib.Path(folder) / f"{quality}.jpg", f"quality {quality}, ") for quality in QUALITIES]
            for quality, (path, _) in zip(QUALITIES, photos):
                make_photo(path, quality)
        for path, words in photos:
            print(f"{words}{os.path.getsize(path)} bytes")
            report(program, path, resize, arguments.rounds)


if __name__ == "__main__":
    main()
