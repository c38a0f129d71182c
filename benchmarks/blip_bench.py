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
import tempfile
import time

from words_in_turns import compare, in_turns, tell, time_peer, time_sdtune

ROOT = pathlib.Path(__file__).resolve().parents[1]
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
    print(json.dumps({"stamps": stamps, "words": captions}))


def run_batch(arguments, work, photos, batch, count):
    def sdtune():
        command = [pathlib.Path(arguments.build) / "sdtune", "caption", photos,
                   f"--caption_weights={work / 'captioner'}", "--beam_search", f"--num_beams={arguments.beams}",
                   f"--max_length={arguments.length}", f"--min_length={arguments.length}", f"--batch_size={batch}",
                   f"--mixed_precision={arguments.precision}", f"--max_data_loader_n_workers={arguments.threads}",
                   "--device=cpu"]
        return time_sdtune(command, photos, ".caption", batch, arguments.threads)

    def transformers():
        return time_peer([__file__, "--peer", work / "captioner", photos, batch, f"--threads={arguments.threads}",
                          f"--beams={arguments.beams}", f"--length={arguments.length}",
                          f"--precision={arguments.precision}"], batch)

    def equal(words):
        return sum(a == b for a, b in zip(words["sdtune"], words["transformers"], strict=True))

    def report(number, seconds, words):
        print(f"batch {batch}, round {number}: sdtune {seconds['sdtune']:.3f} s a picture, Transformers "
              f"{seconds['transformers']:.3f} s; {equal(words)} of {count} captions equal", flush=True)

    median, words = in_turns({"sdtune": sdtune, "transformers": transformers}, arguments.rounds, report)
    return {"batch": batch, "rounds": arguments.rounds, "beams": arguments.beams, "length": arguments.length,
            "precision": arguments.precision, "threads": arguments.threads, "sdtune_s": median["sdtune"],
            "transformers_s": median["transformers"], "times_as_fast": median["transformers"] / median["sdtune"],
            "captions_equal": equal(words), "captions": count}


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
    with tempfile.TemporaryDirectory(prefix="sdtune-blip-") as folder:
        work = pathlib.Path(folder)
        make_captioner(work / "captioner")
        results = compare(BATCHES, work, lambda *job: run_batch(arguments, work, *job))
    tell(results, "transformers", "Transformers")


if __name__ == "__main__":
    main()
