#!/usr/bin/env python3
"""The work of training with models of SD1.5's full size and random weights: sdtune-bench and its peers in turns.

    step_bench.py [--what step|vae|text] [--size 512] [--precision fp32|bf16|full_bf16] [--legs NAME,NAME]

Each leg of a round is a process of its own, which runs one step that is not timed and then --steps that are; the order
turns around from round to round. A step is forward and backward pass, clipping to the joint norm 1, and AdamW. Ratios
are of one round, so that a busy neighbour slows both sides; their median and their ends are told. Needs the Python
tests' packages and up to 17 GB of memory. Every single time goes to benchmarks/results.

Legs of step: sdtune; sdtune-fused-backward; sdtune-low-memory (full bf16, 8-bit AdamW, checkpointing, fused backward
pass) and sdtune-factored (the same with Adafactor); on a GPU sdtune-graphs; diffusers with AdamW as torch chooses it,
diffusers-fused-adamw, diffusers-compiled; with --sd-scripts DIR (its checkout; needs einops) sd-scripts and
sd-scripts-sdpa. Of vae: sdtune, and diffusers with channels last. Of text: sdtune, transformers.
"""

import argparse
import contextlib
import datetime
import fcntl
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from running import PROCESSOR_FLAGS  # noqa: E402

LEAST = ["--precision=full_bf16", "--checkpointing", "--fused-backward"]
OURS = {"sdtune": [], "sdtune-fused-backward": ["--fused-backward"], "sdtune-graphs": ["--cuda-graphs"],
        "sdtune-low-memory": [*LEAST, "--optimizer=AdamW8bit"], "sdtune-factored": [*LEAST, "--optimizer=AdaFactor"]}
DEFAULT_LEGS = {
    "step": ["sdtune", "diffusers", "diffusers-fused-adamw"],
    "vae": ["sdtune", "diffusers"],
    "text": ["sdtune", "transformers"],
}
PACKAGES = ("torch", "diffusers", "transformers")
PARTS = ("forward", "backward", "clip", "optimizer", "encode")


@contextlib.contextmanager
def quiet(lock):
    """Holds a file's lock, where machines are shared by those who agree on one."""
    if not lock:
        yield
        return
    with open(lock, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_lines(command, lock):
    with quiet(lock):
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def command_of(leg, arguments):
    words = [f"--width={arguments.size}", f"--height={arguments.size}", f"--batch={arguments.batch}",
             f"--tokens={arguments.tokens}", f"--steps={arguments.steps}", f"--precision={arguments.precision}"]
    words += [f"--model={arguments.model}", f"--device={arguments.device}"]
    words += ["--checkpointing"] if arguments.checkpointing else []
    words += ["--tiny"] if arguments.tiny else []
    words += [f"--threads={arguments.threads}"] if arguments.threads else []
    if leg in OURS:
        return [pathlib.Path(arguments.build) / "sdtune-bench", arguments.what, *words, *OURS[leg]]
    words += [f"--sd-scripts={arguments.sd_scripts}"] if arguments.sd_scripts else []
    return [sys.executable, ROOT / "benchmarks/step_peers.py", leg, f"--what={arguments.what}", *words]


def whole(step):
    return sum(step.get(part, 0) for part in PARTS)


def run_leg(leg, arguments):
    lines = run_lines(command_of(leg, arguments), arguments.lock)
    return {"leg": leg, "steps": lines[:-1], **lines[-1]}


def now(arguments):
    """What the machine can do at the moment, and how busy it is."""
    device = getattr(arguments, "device", "cpu")  # other benches know the CPU alone
    rates = run_lines([pathlib.Path(arguments.build) / "sdtune-bench", "rates", f"--device={device}",
                       *(["--tiny"] if arguments.tiny else [])], arguments.lock)[0]
    if device == "cuda":
        import torch

        rates["processor"] = torch.cuda.get_device_name()
    return {"rates": rates, "load": os.getloadavg()[0]}


def run_round(number, legs, arguments):
    machine_now = now(arguments)
    runs = [run_leg(leg, arguments) for leg in (legs if number % 2 == 0 else reversed(legs))]
    told = ", ".join(f"{run['leg']} {statistics.median(map(whole, run['steps'])):.2f}" for run in runs)
    print(f"round {number + 1}: {told} s", flush=True)
    return {**machine_now, "runs": runs}


def median_of_leg(one, leg):
    return next(statistics.median(map(whole, run["steps"])) for run in one["runs"] if run["leg"] == leg)


def summary(rounds, legs):
    """By leg: medians of all steps and the times that the first leg is as fast, by rounds."""
    result = {}
    for leg in legs:
        runs = [run for one in rounds for run in one["runs"] if run["leg"] == leg]
        steps = [step for run in runs for step in run["steps"]]
        ratios = [median_of_leg(one, leg) / median_of_leg(one, legs[0]) for one in rounds]
        parts = {part: statistics.median(step[part] for step in steps) for part in PARTS if part in steps[0]}
        result[leg] = {
            **parts,
            "whole": statistics.median(map(whole, steps)),
            "steps": len(steps),
            "peak_bytes": max(run["peak_bytes"] for run in runs),
            "ratio": statistics.median(ratios),
            "ratio_least": min(ratios),
            "ratio_most": max(ratios),
        }
    return result


def machine(rounds):
    def median(name):
        return statistics.median(one["rates"][name] for one in rounds)

    return {
        "date": datetime.date.today().isoformat(),
        "processor": rounds[0]["rates"]["processor"],
        "threads": rounds[0]["rates"]["threads"],
        "product_fp32_gflops": median("product_fp32_flops_s") / 1e9,
        "product_bf16_gflops": median("product_bf16_flops_s") / 1e9,
        "copy_gb_s": median("copy_bytes_s") / 1e9,
        "load": [one["load"] for one in rounds],
        "versions": {"python": platform.python_version(), **{name: importlib.metadata.version(name)
                                                             for name in PACKAGES}},
        "flags": sorted(PROCESSOR_FLAGS),
    }


def peak_and_ratio(row):
    """The ends of a leg's line."""
    return (f"{row['peak_bytes'] / 1e9:.2f} GB | "
            f"{row['ratio']:.2f} × ({row['ratio_least']:.2f}–{row['ratio_most']:.2f})")


def print_table(result):
    here = result["machine"]
    vectors = [flag for flag in here["flags"] if flag.startswith(("avx", "amx", "fma"))]
    print(f"{result['title']}; {here['processor']} ({' '.join(vectors)}), {here['threads']} threads, load "
          f"{max(here['load']):.1f}; products {here['product_fp32_gflops']:.0f} GFLOP/s in fp32, "
          f"{here['product_bf16_gflops']:.0f} in bf16; copies {here['copy_gb_s']:.1f} GB/s")
    parts = [part for part in PARTS if part in next(iter(result["summary"].values()))]
    first = next(iter(result["summary"]))
    print("| leg | " + " | ".join(parts) + f" | whole | peak | {first} is as fast |")
    print("| --- |" + " ---: |" * (len(parts) + 3))
    for leg, row in result["summary"].items():
        times = " | ".join(f"{row[part]:.3f}" for part in (*parts, "whole"))
        print(f"| {leg} | {times} | {peak_and_ratio(row)} |")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build/release")
    parser.add_argument("--what", choices=DEFAULT_LEGS, default="step")
    parser.add_argument("--model", choices=("sd1", "sd2"), default="sd1", help="whose U-Net a step is of")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16", "full_bf16"), default="fp32")
    for name, default in (("size", 512), ("batch", 1), ("tokens", 77), ("rounds", 4), ("steps", 2), ("threads", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--legs", help="with commas between; others are held against the first")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing on all sides")
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the bench out")
    parser.add_argument("--sd-scripts", metavar="DIR", help="a checkout of sd-scripts")
    parser.add_argument("--lock", metavar="FILE", help="hold this file's lock while a process is timed")
    parser.add_argument("--output", type=pathlib.Path, help="instead of a file in benchmarks/results")
    arguments = parser.parse_args()
    arguments.legs = arguments.legs.split(",") if arguments.legs else DEFAULT_LEGS[arguments.what]
    if any(leg.startswith("sd-scripts") for leg in arguments.legs) and not arguments.sd_scripts:
        parser.error("the leg sd-scripts needs --sd-scripts DIR")
    if any(leg.startswith("sd-scripts") for leg in arguments.legs) and arguments.model != "sd1":
        parser.error("the leg sd-scripts is of --model sd1")
    return arguments


def main():
    arguments = parse_arguments()
    rounds = [run_round(number, arguments.legs, arguments) for number in range(arguments.rounds)]
    name = f"{arguments.what}-{arguments.size}-batch{arguments.batch}-{arguments.precision}"
    name += "-checkpointing" if arguments.checkpointing else ""
    name += "" if arguments.model == "sd1" else f"-{arguments.model}"
    name += "" if arguments.device == "cpu" else f"-{arguments.device}"
    job = {key: getattr(arguments, key) for key in ("what", "model", "device", "size", "batch", "tokens", "precision",
                                                    "checkpointing", "tiny")}
    result = {
        "title": f"{arguments.what} of {arguments.model} at {arguments.size}², batch {arguments.batch}, "
                 + arguments.precision
                 + (", checkpointing" if arguments.checkpointing else ""),
        "job": job,
        "machine": machine(rounds),
        "summary": summary(rounds, arguments.legs),
        "rounds": rounds,
    }
    output = arguments.output or ROOT / "benchmarks/results" / f"{name}.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n")
    print_table(result)
    print(output)


if __name__ == "__main__":
    main()
