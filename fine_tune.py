#!/usr/bin/env python3
"""sd-scripts' fine_tune.py, done by `sdtune train`: fine-tunes a Stable Diffusion model."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "scripts"))

from hand_over import hand_over  # noqa: E402

if __name__ == "__main__":
    hand_over("train")
