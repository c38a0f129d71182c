#!/usr/bin/env python3
"""sd-scripts' finetune/make_captions.py, done by `sdtune caption`: writes captions for pictures with BLIP."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))

from hand_over import hand_over  # noqa: E402

if __name__ == "__main__":
    hand_over("caption")
