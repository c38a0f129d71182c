"""A local Hub, and programs run against it with a cache of their own."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from fake_hub import FakeHub  # noqa: E402
from running import BUILD  # noqa: E402

CLEARED = ("HF_", "HUGGING", "TRANSFORMERS_OFFLINE", "XDG_CACHE_HOME", "CURL_CA", "REQUESTS_CA")


@pytest.fixture
def hub():
    fake = FakeHub()
    yield fake
    fake.close()


@pytest.fixture
def environment(hub, tmp_path):
    """Variables for a process: the local Hub, an empty cache, no proxy, nobody's token."""
    variables = {n: v for n, v in os.environ.items() if not n.startswith(CLEARED) and not n.lower().endswith("_proxy")}
    return variables | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "HOME": str(tmp_path)}


@pytest.fixture
def fetch(environment):
    """fetch(kind, name, **variables) -> the finished process; its path is in stdout."""

    def run(*args, **variables):
        return subprocess.run([str(BUILD / "sdtune-hub"), *args], capture_output=True, text=True, timeout=60,
                              env=environment | variables, restore_signals=False)

    return run


@pytest.fixture
def start(environment):
    def hear_interrupts():
        """What is started in a shell's background is deaf to SIGINT, and so are its children."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def run(*args, **variables):
        return subprocess.Popen([str(BUILD / "sdtune-hub"), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=environment | variables, preexec_fn=hear_interrupts)

    return run
