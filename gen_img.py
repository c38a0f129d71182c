#!/usr/bin/env python3
"""sd-scripts' gen_img.py, done by `sdtune sample`: draws pictures from prompts."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "scripts"))

from hand_over import hand_over  # noqa: E402

if __name__ == "__main__":
    hand_over("sample")
