#!/usr/bin/env python3
"""sd-scripts' tools/resize_images_to_resolution.py, done by `sdtune resize`: writes smaller copies of pictures."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))

from hand_over import hand_over  # noqa: E402

if __name__ == "__main__":
    hand_over("resize")
