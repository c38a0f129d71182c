#!/usr/bin/env python3
"""sd-scripts' finetune/clean_captions_and_tags.py, done by `sdtune clean`: cleans captions and tags of metadata."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))

from hand_over import hand_over  # noqa: E402

if __name__ == "__main__":
    hand_over("clean")
