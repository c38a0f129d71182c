#!/usr/bin/env python3
"""sd-scripts' tools/convert_diffusers20_original_sd.py, done by `sdtune convert`: writes a model in another form."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))

from hand_over import hand_over  # noqa: E402

if __name__ == "__main__":
    hand_over("convert")
