#!/usr/bin/env python3
"""sd-scripts' tools/cache_latents.py, done by `sdtune cache-latents`: writes the latents of a dataset."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))

from hand_over import hand_over  # noqa: E402

if __name__ == "__main__":
    hand_over("cache-latents")
