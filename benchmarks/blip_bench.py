#!/usr/bin/env python3
"""Captions by a BLIP-large of full size with random weights: `sdtune caption` against the same job written with
Transformers (Pillow, BlipImageProcessor, generate), in turns, one picture at a time and eight at once.

    blip_bench.py [--build build/release] [--rounds 7] [--threads 2] [--beams 3] [--length 20] [--precision no|bf16]

Needs the Python tests' packages, 5 GB of disk and 6 GB of memory. Every caption has --length tokens, so that both
sides write as much. A picture's time is that from the end of the first batch to the end of the last one, divided by
the pictures between, so that start-up and reading the model do not count. The last line is JSON.
"""

import argparse
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
PHOTO = (1024, 768)
BATCHES = {1: 4, 8: 16}  # pictures at once: pictures in all
PROMPT = "a picture of "


def make_captioner(folder):
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BlipConfig(
        vision_config=dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16,
                           initializer_range=0.02),
        text_config=dict(num_attention_heads=12, initializer_range=0.02),
    )
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    words = ["[PAD]", *(f"w{i}" for i in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PROMPT.split()]
    words += [f"w{i}" for i in range(len(words), 30522)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    transformers.BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)


def make_photos(folder, count):
    import numpy
    from PIL import Image

    folder.mkdir()
    generator = numpy.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 256, (24, 32, 3), dtype=numpy.uint8)
        Image.fromarray(coarse).resize(PHOTO, Image.BICUBIC).save(folder / f"{number:03}.jpg", quality=92)


def seconds_each(stamps, batch):
    """From the times at which the captions were there."""
    stamps = sorted(stamps)
    return (stamps[-1] - stamps[batch - 1]) / (len(stamps) - batch)


def run_peer(arguments):
    """The Transformers side, in a process of its own; prints when each caption was there."""
    import torch
    import transformers
    from PIL import Image

    captioner, photos, batch = arguments.peer
    torch.set_num_threads(arguments.threads)
    dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
    model = transformers.BlipForConditionalGeneration.from_pretrained(captioner, torch_dtype=dtype).eval()
    tokenizer = transformers.BertTokenizerFast.from_pretrained(captioner)
    processor = transformers.BlipImageProcessor()
    paths = sorted(pathlib.Path(photos).glob("*.jpg"))
    stamps, captions = [], []
    for begin in range(0, len(paths), int(batch)):
        images = [Image.open(path).convert("RGB") for path in paths[begin : begin + int(batch)]]
        pixels = processor(images, return_tensors="pt").pixel_values.to(dtype)
        ids = tokenizer(PROMPT, return_tensors="pt").input_ids.repeat(len(images), 1)
        with torch.inference_mode():
            rows = model.generate(pixel_values=pixels, input_ids=ids, num_beams=arguments.beams, do_sample=False,
                                  max_length=arguments.length, min_length=arguments.length)
        captions += [tokenizer.decode(row, skip_special_tokens=True)[len(PROMPT):] for row in rows]
        stamps += [time.time()] * len(images)
    print(json.dumps({"stamps": stamps, "captions": captions}))


def time_sdtune(arguments, work, photos, batch):
    for caption in photos.glob("*.caption"):
        caption.unlink()
    command = [pathlib.Path(arguments.build) / "sdtune", "caption", photos, f"--caption_weights={work / 'captioner'}",
               "--beam_search", f"--num_beams={arguments.beams}", f"--max_length={arguments.length}",
               f"--min_length={arguments.length}", f"--batch_size={batch}", f"--mixed_precision={arguments.precision}",
               f"--max_data_loader_n_workers={arguments.threads}", "--device=cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    subprocess.run([str(word) for word in command], check=True, env=environment, stderr=subprocess.DEVNULL)
    made = sorted(photos.glob("*.caption"))
    return (seconds_each([path.stat().st_mtime for path in made], batch), [path.read_text().strip() for path in made])


def time_peer(arguments, work, photos, batch):
    command = [sys.executable, __file__, "--peer", work / "captioner", photos, batch, f"--threads={arguments.threads}",
               f"--beams={arguments.beams}", f"--length={arguments.length}", f"--precision={arguments.precision}"]
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    return seconds_each(told["stamps"], batch), told["captions"]


def compare(arguments, work):
    make_captioner(work / "captioner")
    results = []
    for batch, count in BATCHES.items():
        photos = work / f"photos{batch}"
        make_photos(photos, count)
        rounds = []
        for number in range(arguments.rounds):
            legs = {"sdtune": time_sdtune, "transformers": time_peer}
            names = list(legs) if number % 2 == 0 else list(reversed(legs))
            made = {name: legs[name](arguments, work, photos, batch) for name in names}
            same = sum(a == b for a, b in zip(made["sdtune"][1], made["transformers"][1], strict=True))
            rounds.append({name: seconds for name, (seconds, _) in made.items()})
            print(f"batch {batch}, round {number + 1}: sdtune {rounds[-1]['sdtune']:.3f} s a picture, Transformers "
                  f"{rounds[-1]['transformers']:.3f} s; {same} of {count} captions equal", flush=True)
        median = {name: statistics.median(one[name] for one in rounds) for name in legs}
        results.append({"batch": batch, "rounds": arguments.rounds, "beams": arguments.beams,
                        "length": arguments.length, "precision": arguments.precision, "threads": arguments.threads,
                        "sdtune_s": median["sdtune"], "transformers_s": median["transformers"],
                        "times_as_fast": median["transformers"] / median["sdtune"], "captions_equal": same,
                        "captions": count})
        shutil.rmtree(photos)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build/release")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--precision", default="no", choices=["no", "bf16"])
    parser.add_argument("--peer", nargs=3, metavar=("CAPTIONER", "PHOTOS", "BATCH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if arguments.peer:
        run_peer(arguments)
        return
    with tempfile.TemporaryDirectory(prefix="sdtune-blip-") as work:
        results = compare(arguments, pathlib.Path(work))
    for result in results:
        print(f"batch {result['batch']}: a picture takes sdtune {result['sdtune_s']:.3f} s and Transformers "
              f"{result['transformers_s']:.3f} s: {result['times_as_fast']:.2f} times as fast")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
