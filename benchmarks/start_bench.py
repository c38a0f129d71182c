#!/usr/bin/env python3
"""From the start of the process to the end of the first training step, with a random model of SD1.5's full size as a
Diffusers folder: `sdtune train` and a script on Diffusers, Transformers and torch (start_peer.py), in turns.

    start_bench.py [--build build/release] [--size 512] [--rounds 5]

Both read the same folder from the page cache, encode one picture and its caption, and make one step of batch 1 in fp32
with AdamW. Ratios are of one round; their median and their ends are told. Needs the Python tests' packages, 17 GB of
memory and 5 GB of disk for the model, which is removed. Every single time goes to benchmarks/results.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from step_bench import ROOT, machine, now, peak_and_ratio, quiet
from step_peers import TEXT, UNET, VAE

from running import draw_pictures, train_args  # found on the path that step_bench adds

PARTS = ("ready", "read", "step")  # imports or libraries, weights, and the rest
POLL_S = 0.005


def make_model(folder, tiny):
    """In a process of its own, so that its memory is gone when the programs are measured."""
    import diffusers
    import transformers

    from parity.small_models import make_scheduler, make_small_pipeline, write_tokenizer

    if tiny:
        make_small_pipeline(folder)
        return
    diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(**VAE), unet=diffusers.UNet2DConditionModel(**UNET),
        text_encoder=transformers.CLIPTextModel(transformers.CLIPTextConfig(vocab_size=49408, **TEXT)),
        tokenizer=write_tokenizer(folder / "tokenizer", "v1"), scheduler=make_scheduler("epsilon"), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False).save_pretrained(folder)


def events_of(run_folder):
    path = run_folder / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")] \
        if path.exists() else []


def wait_for(process):
    """The highest resident size in bytes, and the exit status."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * 1024, process.returncode


def start_sdtune(work, arguments):
    """Ends the run when its first step is recorded, before it would save."""
    output = work / "out"
    subprocess.run(["rm", "-rf", str(output)], check=True)
    words = train_args(work / "model", work / "pictures", output, f"--resolution={arguments.size}",
                       "--max_bucket_reso=1024", "--max_train_steps=1000000", "--learning_rate=5e-6")
    with open(work / "messages", "w+") as messages:
        begin = time.time()
        process = subprocess.Popen([str(pathlib.Path(arguments.build) / "sdtune"), *map(str, words)], stdout=messages,
                                   stderr=messages, env={**os.environ, "XDG_CACHE_HOME": str(work / "cache")})
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            events = events_of(output / "mine-run")
            if any(event["event"] == "step" for event in events):
                break
            time.sleep(POLL_S)
        else:
            raise SystemExit(f"sdtune ended before its first step:\n{(work / 'messages').read_text()[-2000:]}")
        whole = time.time() - begin
        process.send_signal(signal.SIGKILL)
        peak, _ = wait_for(process)
    start = next(event for event in events if event["event"] == "start")
    ready = start["since_process_start_s"] - start["reading_s"]
    return {"ready": ready, "read": start["reading_s"], "step": whole - start["since_process_start_s"], "whole": whole,
            "peak_bytes": peak}


def start_peer(work, arguments):
    picture = sorted((work / "pictures").glob("*.png"))[0]
    with tempfile.TemporaryFile("w+") as output:
        begin = time.time()
        process = subprocess.Popen([sys.executable, ROOT / "benchmarks/start_peer.py", work / "model", picture,
                                    str(arguments.size)], stdout=output, stderr=subprocess.DEVNULL)
        peak, status = wait_for(process)
        if status != 0:
            raise SystemExit(f"start_peer.py ended with status {status}")
        output.seek(0)
        stamps = json.loads(output.read().splitlines()[-1])
    ends = [begin, stamps["imported"], stamps["read"], stamps["stepped"]]
    parts = dict(zip(PARTS, (after - before for before, after in zip(ends, ends[1:]))))
    return {**parts, "whole": stamps["stepped"] - begin, "peak_bytes": peak}


LEGS = {"sdtune": start_sdtune, "diffusers": start_peer}


def run_round(number, work, arguments):
    machine_now = now(arguments)
    runs = []
    for leg in LEGS if number % 2 == 0 else reversed(LEGS):
        with quiet(arguments.lock):
            runs.append({"leg": leg, **LEGS[leg](work, arguments)})
    print(f"round {number + 1}: " + ", ".join(f"{run['leg']} {run['whole']:.2f}" for run in runs) + " s", flush=True)
    return {**machine_now, "runs": runs}


def summary(rounds):
    def of(leg, field):
        return [next(run[field] for run in one["runs"] if run["leg"] == leg) for one in rounds]

    result = {}
    for leg in LEGS:
        ratios = [theirs / ours for theirs, ours in zip(of(leg, "whole"), of("sdtune", "whole"))]
        result[leg] = {**{part: statistics.median(of(leg, part)) for part in (*PARTS, "whole")},
                       "peak_bytes": max(of(leg, "peak_bytes")), "ratio": statistics.median(ratios),
                       "ratio_least": min(ratios), "ratio_most": max(ratios)}
    return result


def print_table(result):
    here = result["machine"]
    print(f"from the start to the end of the first step at {result['size']}²; {here['processor']}, {here['threads']} "
          f"threads, load {max(here['load']):.1f}; products {here['product_fp32_gflops']:.0f} GFLOP/s in fp32")
    print("| leg | libraries and data | weights | step | whole | peak | sdtune is as fast |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for leg, row in result["summary"].items():
        times = " | ".join(f"{row[part]:.2f} s" for part in (*PARTS, "whole"))
        print(f"| {leg} | {times} | {peak_and_ratio(row)} |")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build/release")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="a small model, to try the bench out")
    parser.add_argument("--lock", metavar="FILE", help="hold this file's lock while a process is timed")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "benchmarks/results/start.json")
    parser.add_argument("--make", type=pathlib.Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if arguments.make:
        make_model(arguments.make, arguments.tiny)
        return
    with tempfile.TemporaryDirectory(prefix="sdtune-start-") as folder:
        work = pathlib.Path(folder)
        subprocess.run([sys.executable, __file__, f"--make={work / 'model'}", *(["--tiny"] if arguments.tiny else [])],
                       check=True)
        draw_pictures(work / "pictures", count=2, sizes=((arguments.size, arguments.size),))
        rounds = [run_round(number, work, arguments) for number in range(arguments.rounds)]
    result = {"size": arguments.size, "tiny": arguments.tiny, "machine": machine(rounds), "summary": summary(rounds),
              "rounds": rounds}
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print_table(result)
    print(arguments.output)


if __name__ == "__main__":
    main()
