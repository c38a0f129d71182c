"""A build for machines without the libraries of pictures and archives links nothing that it does not build."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_all_that_is_linked_is_built(tmp_path):
    subprocess.run(['cmake', '-S', ROOT, '-B', tmp_path, '-G', 'Ninja', '-DSDTUNE_CORE_ONLY=ON', '-DSDTUNE_CUDA=OFF'],
                   check=True, capture_output=True)
    rules = (tmp_path / 'build.ninja').read_text()
    assert 'sdtune-parity' in rules and 'optim_test' in rules
    # CMake takes the name of a target that is not there for that of a library of the system.
    assert '-lsdtune' not in rules
