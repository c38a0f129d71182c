"""Small models and the program that loads and saves them."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests" / "parity")]

import ldm_files  # noqa: E402
import small_models  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SDTUNE_BUILD", ROOT / "build" / "release"))
TOOL = BUILD / "tests" / "sdtune-roundtrip"


class Tool:
    """Runs sdtune-roundtrip."""

    def run(self, source, target, *options):
        command = [str(TOOL), str(source), str(target), *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)

    def __call__(self, source, target, *options):
        done = self.run(source, target, *options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def fails(self, source, target, *options):
        """The message of a run that must fail and leave nothing behind."""
        target = pathlib.Path(target)
        before = sorted(target.parent.iterdir())
        done = self.run(source, target, *options)
        assert done.returncode in (1, 2), (done.returncode, done.stderr)
        assert sorted(target.parent.iterdir()) == before
        return done.stderr


@pytest.fixture(scope="session")
def tool():
    if not TOOL.exists():
        pytest.fail(f"{TOOL} is missing; build it, or set SDTUNE_BUILD")
    return Tool()


class SmallModel:
    """One small pipeline as a folder and as single files."""

    def __init__(self, folder, family, prediction_type):
        self.family = family
        self.flags = ["--v2"] if family == "v2" else []
        if prediction_type == "v_prediction":
            self.flags.append("--v_parameterization")
        self.folder = folder / "diffusers"
        small_models.make_small_pipeline(self.folder, family, 3, prediction_type)
        self.safetensors = folder / "model.safetensors"
        self.ckpt = folder / "model.ckpt"
        self.tensors = ldm_files.make_ldm_file(self.folder, self.safetensors, family)
        ldm_files.make_ldm_file(self.folder, self.ckpt, family)
        self.extra = folder / "extra"
        shutil.copytree(self.folder / "tokenizer", self.extra / "tokenizer")

    def source(self, kind):
        return {"diffusers": self.folder, "safetensors": self.safetensors, "ckpt": self.ckpt}[kind]

    @property
    def options(self):
        return [*self.flags, "--extra", self.extra]


@pytest.fixture(scope="session")
def v1(tmp_path_factory):
    return SmallModel(tmp_path_factory.mktemp("v1"), "v1", "epsilon")


@pytest.fixture(scope="session")
def v2(tmp_path_factory):
    return SmallModel(tmp_path_factory.mktemp("v2"), "v2", "v_prediction")


@pytest.fixture(params=["v1", "v2"])
def model(request):
    return request.getfixturevalue(request.param)
