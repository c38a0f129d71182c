#!/usr/bin/env python3
"""sd-scripts' finetune/tag_images_by_wd14_tagger.py, done by `sdtune tag`: tags pictures with a tagger in ONNX."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))

from hand_over import hand_over  # noqa: E402

if __name__ == "__main__":
    hand_over("tag")
