"""scripts/bootstrap, with stand-ins for the programs of the system."""

import os
import pathlib
import shutil
import subprocess

import pytest

BOOTSTRAP = pathlib.Path(__file__).resolve().parents[2] / 'scripts' / 'bootstrap'


@pytest.mark.parametrize('user', [0, 1000])
def test_packages_are_installed_without_questions(tmp_path, user):
    programs = {
        'id': f'echo {user}',
        'dpkg-query': 'exit 1',  # nothing is installed
        'sudo': f'[ {user} = 0 ] && exit 1; [ "$1" = -n ] && shift; exec env -i PATH="$PATH" "$@"',
        'apt-get': f'[ "$1" = update ] || {{ echo "$DEBIAN_FRONTEND $*" >{tmp_path}/asked; exit 7; }}',
    }
    (tmp_path / 'bin').mkdir()
    for name, text in programs.items():
        (tmp_path / 'bin' / name).write_text(f'#!/bin/bash\n{text}\n')
        (tmp_path / 'bin' / name).chmod(0o755)
    (tmp_path / 'scripts').mkdir()
    shutil.copy(BOOTSTRAP, tmp_path / 'scripts')
    variables = {k: v for k, v in os.environ.items() if k != 'DEBIAN_FRONTEND'}
    variables['PATH'] = f'{tmp_path}/bin:{variables["PATH"]}'
    done = subprocess.run([tmp_path / 'scripts/bootstrap'], env=variables, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    assert (tmp_path / 'asked').read_text().startswith('noninteractive install -y ')


def test_cuda_libraries_are_pinned_once():
    def pins(path):
        lines = (BOOTSTRAP.parents[1] / path).read_text().splitlines()
        return {line for line in lines if line.startswith('nvidia-')}

    everything = pins('scripts/requirements.txt') | pins('scripts/requirements-cuda.txt')
    assert pins('tests/requirements.txt') <= everything
    assert len({pin.split('==')[0] for pin in everything}) == len(everything)
