#!/usr/bin/env python3
"""How the time and the memory of a training step grow: with the batch, the side of the pictures and the tokens of a
caption (random weights of SD1.5's full size, by sdtune-bench), and with the number of pictures (`sdtune train` of a
small model).

    growth_bench.py [--build build/release] [--axes batch,side,tokens,pictures] [--rounds 3] [--steps 3]

Every value of every axis is a process of its own; one round runs all of them, the next one in reverse. Ratios to an
axis's first value are of one round, so that a busy neighbour slows both; their median and their ends are told. Needs
the Python tests' packages and up to 18 GB of memory. Every single time goes to benchmarks/results, plots to
docs/images.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

from loader_bench import SETTLED_S, make_data
from step_bench import ROOT, machine, now, quiet, run_lines, whole

BATCHES, SIDES, TOKENS, PICTURES = (1, 2, 4), (256, 384, 512), (75, 150, 225), (100, 1000, 10_000, 100_000)
TINY = {"batch": (1, 2), "side": (64, 128), "tokens": (75, 225), "pictures": (20, 60)}
AXES = {"batch": BATCHES, "side": SIDES, "tokens": TOKENS, "pictures": PICTURES}
BATCH_SIDE, TOKEN_SIDE, TINY_SIDE = 256, 512, 64  # four pictures of 512² would want more memory
LABELS = {"batch": "pictures in a batch", "side": "side of the pictures", "tokens": "tokens of a caption",
          "pictures": "pictures of the dataset, as a power of ten"}
MARKS = 2  # the first and the last token, beside those of the caption
UNTIMED = 5  # steps of a run of `sdtune train`
TRAIN_STEPS = 60


def bench_words(axis, value, tiny):
    words = {"batch": 1, "side": TINY_SIDE if tiny else {"batch": BATCH_SIDE}.get(axis, TOKEN_SIDE), "tokens": 75}
    words[axis] = value
    return [f"--batch={words['batch']}", f"--width={words['side']}", f"--height={words['side']}",
            f"--tokens={words['tokens'] + MARKS}", *(["--tiny"] if tiny else [])]


def run_bench(axis, value, arguments):
    command = [pathlib.Path(arguments.build) / "sdtune-bench", "step", f"--steps={arguments.steps}",
               *bench_words(axis, value, arguments.tiny)]
    *steps, run = run_lines(command, arguments.lock)
    return {"seconds": [whole(step) for step in steps], "peak_bytes": run["peak_bytes"]}


def prepare_training(work, counts):
    """A small model and a dataset of each size."""
    from parity.small_models import make_small_pipeline

    make_small_pipeline(work / "model")
    for count in counts:
        make_data(work / str(count) / "data", count)
    time.sleep(SETTLED_S)


def run_training(work, count, arguments):
    folder = work / str(count)
    steps = UNTIMED + (arguments.steps if arguments.tiny else TRAIN_STEPS)
    command = [pathlib.Path(arguments.build) / "sdtune", "train", f"--train_data_dir={folder / 'data'}",
               f"--in_json={folder / 'meta.json'}", f"--pretrained_model_name_or_path={work / 'model'}",
               f"--output_dir={folder / 'out'}", "--output_name=mine", "--resolution=64", "--train_batch_size=2",
               f"--max_train_steps={steps}", "--seed=1", "--device=cpu", "--save_model_as=safetensors"]
    with quiet(arguments.lock):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              env={**os.environ, "XDG_CACHE_HOME": str(work / "cache")})
    if done.returncode != 0:
        raise SystemExit(f"sdtune ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    run_folder = folder / "out/mine-run"
    events = [json.loads(line) for line in (run_folder / "events.jsonl").read_text().splitlines()]
    subprocess.run(["rm", "-rf", str(folder / "out")], check=True)
    seconds = [event["data_s"] + event["step_s"] for event in events if event["event"] == "step"]
    return {"seconds": seconds[UNTIMED:], "peak_bytes": events[-1]["peak_resident_bytes"]}


def run_round(number, axes, work, arguments):
    machine_now = now(arguments)
    cases = [(axis, value) for axis, values in axes.items() for value in values]
    runs = []
    for axis, value in cases if number % 2 == 0 else reversed(cases):
        made = run_training(work, value, arguments) if axis == "pictures" else run_bench(axis, value, arguments)
        runs.append({"axis": axis, "value": value, **made})
        print(f"round {number + 1}: {axis} {value}: {statistics.median(made['seconds']):.3f} s", flush=True)
    return {**machine_now, "runs": runs}


def runs_of(rounds, axis, value):
    return [run for one in rounds for run in one["runs"] if (run["axis"], run["value"]) == (axis, value)]


def summary(rounds, axes):
    """By axis: what each value takes, and the times of the first value that this is."""
    result = {}
    for axis, values in axes.items():
        first = [statistics.median(run["seconds"]) for run in runs_of(rounds, axis, values[0])]
        first_peak = max(run["peak_bytes"] for run in runs_of(rounds, axis, values[0]))
        result[axis] = []
        for value in values:
            runs = runs_of(rounds, axis, value)
            ratios = [statistics.median(run["seconds"]) / base for run, base in zip(runs, first)]
            peak = max(run["peak_bytes"] for run in runs)
            result[axis].append({"value": value,
                                 "seconds": statistics.median(s for run in runs for s in run["seconds"]),
                                 "ratio": statistics.median(ratios), "ratio_least": min(ratios),
                                 "ratio_most": max(ratios), "peak_bytes": peak, "peak_ratio": peak / first_peak})
    return result


def print_table(result):
    here = result["machine"]
    print(f"{here['processor']}, {here['threads']} threads, load {max(here['load']):.1f}; products "
          f"{here['product_fp32_gflops']:.0f} GFLOP/s in fp32, copies {here['copy_gb_s']:.1f} GB/s")
    print("| grows | value | a step | times the first | peak | times the first |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for axis, rows in result["summary"].items():
        for row in rows:
            print(f"| {axis} | {row['value']:,} | {row['seconds']:.3f} s | {row['ratio']:.3f} "
                  f"({row['ratio_least']:.3f}–{row['ratio_most']:.3f}) | {row['peak_bytes'] / 1e9:.2f} GB | "
                  f"{row['peak_ratio']:.3f} |")


def plot(axis, rows, arguments):
    xs = [math.log10(row["value"]) if axis == "pictures" else row["value"] for row in rows]
    description = {
        "title": f"A training step by {LABELS[axis]}", "x_label": LABELS[axis], "y_label": "times the first",
        "y_from_zero": True,
        "series": [{"label": "time", "x": xs, "y": [row["ratio"] for row in rows]},
                   {"label": "peak memory", "x": xs, "y": [row["peak_ratio"] for row in rows]}]}
    path = arguments.images / f"growth-{axis}.png"
    subprocess.run([pathlib.Path(arguments.build) / "sdtune-bench-plot", path], input=json.dumps(description),
                   text=True, check=True)
    print(path)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build/release")
    parser.add_argument("--axes", default=",".join(AXES), help="with commas between")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="timed in each process of sdtune-bench")
    parser.add_argument("--tiny", action="store_true", help="tiny models and datasets, to try the bench out")
    parser.add_argument("--lock", metavar="FILE", help="hold this file's lock while a process is timed")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "benchmarks/results/growth.json")
    parser.add_argument("--images", type=pathlib.Path, default=ROOT / "docs/images")
    arguments = parser.parse_args()
    arguments.axes = arguments.axes.split(",")
    if not set(arguments.axes) <= set(AXES):
        parser.error(f"--axes are among {', '.join(AXES)}")
    return arguments


def main():
    arguments = parse_arguments()
    axes = {axis: (TINY if arguments.tiny else AXES)[axis] for axis in arguments.axes}
    with tempfile.TemporaryDirectory(prefix="sdtune-growth-") as folder:
        work = pathlib.Path(folder)
        if "pictures" in axes:
            prepare_training(work, axes["pictures"])
        rounds = [run_round(number, axes, work, arguments) for number in range(arguments.rounds)]
    result = {"tiny": arguments.tiny, "machine": machine(rounds), "summary": summary(rounds, axes), "rounds": rounds}
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print_table(result)
    print(arguments.output)
    for axis, rows in result["summary"].items():
        plot(axis, rows, arguments)


if __name__ == "__main__":
    main()
