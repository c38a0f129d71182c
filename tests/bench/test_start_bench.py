"""start_bench.py with a small model: both sides in turns, from the start of their process to the end of a step."""

import json
import subprocess
import sys

import pytest
from running import BUILD, ROOT


def test_both_sides_start_in_turns(tmp_path):
    output = tmp_path / "start.json"
    command = [sys.executable, ROOT / "benchmarks/start_bench.py", f"--build={BUILD}", "--tiny", "--size=64",
               "--rounds=2", f"--output={output}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    result = json.loads(output.read_text())
    legs = ["sdtune", "diffusers"]
    assert [[run["leg"] for run in one["runs"]] for one in result["rounds"]] == [legs, legs[::-1]]
    for run in (run for one in result["rounds"] for run in one["runs"]):
        parts = [run[part] for part in ("ready", "read", "step")]
        assert min(parts) > 0
        assert sum(parts) == pytest.approx(run["whole"], rel=0.1)
    assert result["summary"]["sdtune"]["ratio"] == 1
    # What a Python script imports takes seconds before anything is read.
    assert result["summary"]["diffusers"]["ratio_least"] > 1
    assert "| diffusers |" in done.stdout
