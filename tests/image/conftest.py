"""The program sdtune-image as functions, and a picture to put through it.

SDTUNE_BUILD names the build folder (build/release without it).
"""

import os
import pathlib
import subprocess

import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = pathlib.Path(os.environ.get("SDTUNE_BUILD", ROOT / "build" / "release")) / "tests" / "sdtune-image"


@pytest.fixture
def tool(tmp_path):
    """tool("hue", 20, path) -> pixels [height, width, 3]; [height, width] for alpha, None without."""

    def call(*words):
        out = tmp_path / "out.raw"
        result = subprocess.run([TOOL, *map(str, words), out], capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        head, data = out.read_bytes().split(b"\n", 1)
        width, height = map(int, head.split())
        values = np.frombuffer(data, np.uint8)
        if words[0] == "alpha":
            return values.reshape(height, width) if len(values) else None
        return values.reshape(height, width, 3)

    return call


@pytest.fixture
def say():
    """say("hash", path) -> the line that it prints."""

    def call(*words):
        result = subprocess.run([TOOL, *map(str, words)], capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    return call


@pytest.fixture
def picture():
    """Gradients with noise and hard edges, 97 x 61."""
    width, height = 97, 61
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 / width, y * 255 / height, (x + y) * 127 / (width + height)], -1)
    pixels = pixels + rng.normal(0, 20, pixels.shape)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = [250, 5, 120]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
