#!/usr/bin/env python3
"""sd-scripts' finetune/prepare_buckets_latents.py, done by `sdtune prepare`: sorts pictures into buckets, writes latents."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))

from hand_over import hand_over  # noqa: E402

if __name__ == "__main__":
    hand_over("prepare")
