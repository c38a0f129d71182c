"""Running sdtune, and what a run needs and leaves: what tests import by name."""

import json
import os
import pathlib
import signal
import subprocess
import time

import numpy
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("SDTUNE_BUILD", ROOT / "build/release"))
PROCESSOR_FLAGS = set(pathlib.Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split())
COMPUTES_BF16 = "avx512_bf16" in PROCESSOR_FLAGS  # elsewhere what is asked for in bf16 computes in fp32


def run_sdtune(*args, timeout=600, **kwargs):
    """Runs the program to its end; returns the finished process with text in stdout and stderr."""
    return subprocess.run(
        [str(BUILD / "sdtune"), *map(str, args)], capture_output=True, text=True, timeout=timeout, **kwargs
    )


def draw_pictures(folder, count=6, sizes=((64, 64), (96, 64), (64, 128))):
    """Random pictures with .caption and .txt files beside them."""
    folder.mkdir(parents=True)
    generator = numpy.random.default_rng(0)
    for i in range(count):
        width, height = sizes[i % len(sizes)]
        small = generator.integers(0, 255, (4, 4, 3), dtype=numpy.uint8)
        Image.fromarray(small).resize((width, height), Image.BICUBIC).save(folder / f"{i:02}.png")
        (folder / f"{i:02}.caption").write_text(f"a picture with number {i}\n")
        (folder / f"{i:02}.txt").write_text(f"tag{i}, other tag\n")
    return folder


def train_args(model, data, output, *more):
    """The options of a run that takes a second a step at most; `more` comes last and wins."""
    return [
        "train",
        f"--pretrained_model_name_or_path={model}",
        f"--train_data_dir={data}",
        f"--output_dir={output}",
        "--output_name=mine",
        "--resolution=64",
        "--enable_bucket",
        "--min_bucket_reso=64",
        "--max_bucket_reso=128",
        "--train_batch_size=1",
        "--learning_rate=1e-4",
        "--max_train_steps=4",
        "--seed=7",
        "--device=cpu",
        "--save_model_as=safetensors",
        *more,
    ]


def read_events(output, name="mine"):
    lines = (output / f"{name}-run" / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def start_sdtune(*args, **environment):
    return subprocess.Popen([str(BUILD / "sdtune"), *map(str, args)], stderr=subprocess.PIPE, text=True,
                            env={**os.environ, **environment})


def wait_until(is_time, process, timeout=60, every=0.002):
    """Returns when is_time() holds, when the process has ended, or after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while process.poll() is None and not is_time() and time.monotonic() < deadline:
        time.sleep(every)


def wait_for_step(output, step, process, name="mine", timeout=120):
    """Returns when the run has recorded this step, or has ended."""
    events = output / f"{name}-run" / "events.jsonl"

    def is_recorded():
        return events.exists() and f'"step":{step},' in events.read_text().split('"event":"start"')[-1]

    wait_until(is_recorded, process, timeout, every=0.01)


def make_old(path):
    """As if written more than an hour ago, when leftovers of other machines go too."""
    os.utime(path, (time.time() - 4000,) * 2)


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
