"""Hands sd-scripts' command lines over to sdtune: what fine_tune.py, finetune/ and tools/ have in common.

The program is the one that $SDTUNE names, else build/release/sdtune beside the scripts, else the one on the PATH.
"""

import os
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def is_program(path):
    return os.path.isfile(path) and os.access(path, os.X_OK)


def find_program():
    named = os.environ.get("SDTUNE")
    if named:
        if not is_program(named):
            sys.exit(f"error: $SDTUNE names no program: {named}\n  try: set it to the path of sdtune, or unset it")
        return named
    built = ROOT / "build/release/sdtune"
    if is_program(built):
        return str(built)
    found = shutil.which("sdtune")
    if not found:
        sys.exit(f"error: sdtune is not there\n  where: {built}, or the folders of PATH\n"
                 "  try: build it with `make build`, or set SDTUNE to its path")
    return found


def hand_over(command):
    """Becomes `sdtune COMMAND` with this script's arguments; does not return."""
    program = find_program()
    sys.stdout.flush()
    os.execv(program, [program, command, *sys.argv[1:]])
