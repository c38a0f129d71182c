"""growth_bench.py with tiny models: each value of each axis is run in every round, held against the first, and drawn."""

import json
import subprocess
import sys

from PIL import Image
from running import BUILD, ROOT


def test_every_axis_is_measured_and_drawn(tmp_path):
    output = tmp_path / "growth.json"
    command = [sys.executable, ROOT / "benchmarks/growth_bench.py", f"--build={BUILD}", "--tiny", "--rounds=2",
               "--steps=2", f"--output={output}", f"--images={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    result = json.loads(output.read_text())
    assert {axis: [row["value"] for row in rows] for axis, rows in result["summary"].items()} == {
        "batch": [1, 2], "side": [64, 128], "tokens": [75, 225], "pictures": [20, 60]}
    cases = [(axis, row["value"]) for axis, rows in result["summary"].items() for row in rows]
    orders = [[(run["axis"], run["value"]) for run in one["runs"]] for one in result["rounds"]]
    assert orders == [cases, cases[::-1]]
    assert all(len(run["seconds"]) == 2 and run["peak_bytes"] > 0 for one in result["rounds"] for run in one["runs"])
    for axis, (first, second) in result["summary"].items():
        assert first["ratio"] == first["ratio_least"] == first["ratio_most"] == first["peak_ratio"] == 1
        assert second["ratio_least"] <= second["ratio"] <= second["ratio_most"]
        assert f"| {axis} | {second['value']} |" in done.stdout
        with Image.open(tmp_path / f"growth-{axis}.png") as drawn:
            assert drawn.width > 500


def test_an_axis_that_there_is_not_is_named():
    done = subprocess.run([sys.executable, ROOT / "benchmarks/growth_bench.py", "--axes=batch,weight"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "batch, side, tokens, pictures" in done.stderr
