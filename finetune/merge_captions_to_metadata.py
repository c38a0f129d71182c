#!/usr/bin/env python3
"""sd-scripts' finetune/merge_captions_to_metadata.py, done by `sdtune merge-captions`: gathers caption files into metadata."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))

from hand_over import hand_over  # noqa: E402

if __name__ == "__main__":
    hand_over("merge-captions")
