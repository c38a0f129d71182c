"""What all Python tests share: the program, a small model, pictures. Functions to import stand in running.py."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from running import draw_pictures, run_sdtune  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "large: whole-size models or long series; part of `make test-full` alone")


@pytest.fixture(scope="session")
def sdtune():
    return run_sdtune


@pytest.fixture(scope="session")
def small_models(tmp_path_factory):
    """Diffusers folders of small random models, by (family, prediction type); made when first asked for."""
    from parity.small_models import make_small_pipeline

    made = {}

    def get(family="v1", prediction_type="epsilon"):
        key = (family, prediction_type)
        if key not in made:
            folder = tmp_path_factory.mktemp("models") / f"{family}-{prediction_type}"
            make_small_pipeline(folder, family=family, prediction_type=prediction_type)
            made[key] = folder
        return made[key]

    return get


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    return draw_pictures(tmp_path_factory.mktemp("data") / "pictures")
