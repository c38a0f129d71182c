#!/usr/bin/env python3
"""Latents of 2048 x 1536 photographs with a VAE of SD1's full size: `sdtune prepare` against the same job written
with Diffusers (Pillow decodes, area resize, batch 1, channels-last, npz written), in turns.

    caching_bench.py [--build build/release] [--pictures 8] [--rounds 3] [--threads 2]

Needs the Python tests' packages. On either side a picture's time is that from the first entry written to the last
one, divided by the pictures between, so that start-up and reading the model do not count. A third leg gives
`sdtune prepare` the same pictures at a quarter of their sides: what large pictures cost more is decoding that is
not hidden behind the encoder. The last line is JSON.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PHOTO = (2048, 1536)
SIDE = 512  # of the resolution: 4:3 goes to the bucket 576 x 448
BUCKET, RESIZED = (576, 448), (597, 448)


def make_vae(folder):
    import diffusers
    import torch

    torch.manual_seed(0)
    diffusers.AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    ).save_pretrained(folder)


def make_photos(folder, count, size):
    import numpy
    from PIL import Image

    folder.mkdir()
    generator = numpy.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 256, (48, 64, 3), dtype=numpy.uint8)
        photo = numpy.asarray(Image.fromarray(coarse).resize(PHOTO, Image.BICUBIC)).astype(numpy.int16)
        photo = (photo + generator.integers(-9, 10, photo.shape, dtype=numpy.int16)).clip(0, 255)
        image = Image.fromarray(photo.astype(numpy.uint8))
        image.resize(size, Image.BOX).save(folder / f"{number:03}.jpg", quality=92)


def seconds_each(stamps):
    """From the times at which the entries were there."""
    return (max(stamps) - min(stamps)) / (len(stamps) - 1)


def resized(image, size):
    """The mean of the covered area: OpenCV's where Python has it, else Pillow's."""
    import numpy
    from PIL import Image

    try:
        import cv2
    except ImportError:
        return numpy.asarray(image.resize(size, Image.BOX))
    return cv2.resize(numpy.asarray(image), size, interpolation=cv2.INTER_AREA)


def run_peer(vae_folder, photos, output, threads):
    """The loop of the Diffusers side, in a process of its own; prints when each entry was there."""
    import diffusers
    import numpy
    import torch
    from PIL import Image

    torch.set_num_threads(threads)
    vae = diffusers.AutoencoderKL.from_pretrained(vae_folder).eval().to(memory_format=torch.channels_last)
    stamps, reading = [], 0.0
    left = (RESIZED[0] - BUCKET[0]) // 2
    for path in sorted(pathlib.Path(photos).glob("*.jpg")):
        begin = time.time()
        with Image.open(path) as image:
            pixels = resized(image.convert("RGB"), RESIZED)[:, left : left + BUCKET[0]]
        pixels = torch.from_numpy(pixels / numpy.float32(127.5) - 1).permute(2, 0, 1)[None]
        reading += time.time() - begin
        with torch.inference_mode():
            latents = vae.encode(pixels.contiguous(memory_format=torch.channels_last)).latent_dist.sample()[0]
        numpy.savez(pathlib.Path(output) / f"{path.stem}.npz", latents=latents.numpy(),
                    original_size=numpy.array(image.size), crop_ltrb=numpy.zeros(4))
        stamps.append(time.time())
    print(json.dumps({"stamps": stamps, "reading_s": reading / len(stamps)}))


def run_measured(command, environment):
    """Returns the standard output, the peak resident size in bytes and the processor's seconds."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit(f"{' '.join(map(str, command))} ended with status {status}")
        output.seek(0)
        return output.read(), usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime


@dataclasses.dataclass
class Leg:
    seconds: float  # a picture
    peak_bytes: int
    processor_s: float  # of the whole process, start-up included
    reading_s: float = 0.0  # a picture; told by the Diffusers side alone


def time_sdtune(arguments, work, photos):
    for entry in photos.glob("*.npz"):
        entry.unlink()
    metadata = work / "empty.json"
    metadata.write_text("{}")
    command = [pathlib.Path(arguments.build) / "sdtune", "prepare", photos, metadata, work / "out.json", work / "vae",
               f"--max_resolution={SIDE}", f"--max_data_loader_n_workers={arguments.threads}", "--device=cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads), "XDG_CACHE_HOME": str(work / "cache")}
    _, peak, processor = run_measured([str(word) for word in command], environment)
    return Leg(seconds_each([entry.stat().st_mtime for entry in photos.glob("*.npz")]), peak, processor)


def time_peer(arguments, work, photos):
    output = work / "peer"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    command = [sys.executable, __file__, "--peer", work / "vae", photos, output, f"--threads={arguments.threads}"]
    text, peak, processor = run_measured([str(word) for word in command], dict(os.environ))
    told = json.loads(text.splitlines()[-1])
    return Leg(seconds_each(told["stamps"]), peak, processor, told["reading_s"])


def compare(arguments, work):
    make_vae(work / "vae")
    photos, small = work / "photos", work / "small"
    make_photos(photos, arguments.pictures, PHOTO)
    make_photos(small, arguments.pictures, (PHOTO[0] // 4, PHOTO[1] // 4))
    rounds = []
    for number in range(arguments.rounds):
        legs = {"sdtune": lambda: time_sdtune(arguments, work, photos),
                "diffusers": lambda: time_peer(arguments, work, photos),
                "small": lambda: time_sdtune(arguments, work, small)}
        names = list(legs) if number % 2 == 0 else list(reversed(legs))
        rounds.append({name: legs[name]() for name in names})
        print("round {}: sdtune {:.3f} s, Diffusers {:.3f} s, small pictures {:.3f} s".format(
            number + 1, *(rounds[-1][name].seconds for name in legs)), flush=True)
    return rounds


def report(rounds, arguments):
    def over_rounds(choose, name, field):
        return choose(getattr(one[name], field) for one in rounds)

    median = {name: over_rounds(statistics.median, name, "seconds") for name in rounds[0]}
    peak = {name: over_rounds(max, name, "peak_bytes") for name in rounds[0]}
    processor = {name: over_rounds(statistics.median, name, "processor_s") for name in rounds[0]}
    reading = over_rounds(statistics.median, "diffusers", "reading_s")
    result = {
        "pictures": arguments.pictures,
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "sdtune_s": median["sdtune"],
        "diffusers_s": median["diffusers"],
        "times_as_fast": median["diffusers"] / median["sdtune"],
        "reading_s": reading,
        "not_hidden_s": median["sdtune"] - median["small"],
        "sdtune_processor_s": processor["sdtune"],
        "diffusers_processor_s": processor["diffusers"],
        "sdtune_peak_bytes": peak["sdtune"],
        "diffusers_peak_bytes": peak["diffusers"],
    }
    print(f"a picture: sdtune {median['sdtune']:.3f} s, Diffusers {median['diffusers']:.3f} s: "
          f"{result['times_as_fast']:.2f} times as fast")
    print(f"Diffusers' side reads a picture in {reading:.3f} s; of sdtune's reading {result['not_hidden_s']:.3f} s show")
    print(f"processor time of a whole run: sdtune {processor['sdtune']:.1f} s, Diffusers {processor['diffusers']:.1f} s")
    print(f"peak memory: sdtune {peak['sdtune'] / 1e9:.2f} GB, Diffusers {peak['diffusers'] / 1e9:.2f} GB")
    print(json.dumps(result))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build/release")
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", nargs=3, metavar=("VAE", "PHOTOS", "OUTPUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if arguments.peer:
        run_peer(*arguments.peer, arguments.threads)
        return
    if arguments.pictures < 2:
        parser.error("--pictures must be 2 or more")
    with tempfile.TemporaryDirectory(prefix="sdtune-caching-") as work:
        report(compare(arguments, pathlib.Path(work)), arguments)


if __name__ == "__main__":
    main()
