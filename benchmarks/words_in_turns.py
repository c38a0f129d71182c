"""Words for pictures (captions, tags) by sdtune and by a peer in turns: what blip_bench.py and tagger_bench.py share.

A picture's time is that from the end of the first batch to the end of the last one, divided by the pictures between, so
that start-up and reading the model do not count.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys

PHOTO = (1024, 768)
peaks = {}  # GB that sdtune took at most, by pictures at once


def make_photos(folder, count):
    import numpy
    from PIL import Image

    folder.mkdir()
    generator = numpy.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 256, (24, 32, 3), dtype=numpy.uint8)
        Image.fromarray(coarse).resize(PHOTO, Image.BICUBIC).save(folder / f"{number:03}.jpg", quality=92)


def seconds_each(stamps, batch):
    """From the times at which the words were there."""
    stamps = sorted(stamps)
    return (stamps[-1] - stamps[batch - 1]) / (len(stamps) - batch)


def time_sdtune(command, photos, ending, batch, threads):
    """Seconds a picture and the words, of a command that writes a text file beside each picture."""
    for text in photos.glob(f"*{ending}"):
        text.unlink()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    process = subprocess.Popen([str(word) for word in command], env=environment, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    peaks[batch] = max(peaks.get(batch, 0), usage.ru_maxrss / 1e6)
    made = sorted(photos.glob(f"*{ending}"))
    return seconds_each([path.stat().st_mtime for path in made], batch), [path.read_text().strip() for path in made]


def time_peer(command, batch):
    """The same of a Python command whose last line is JSON of `stamps` and `words`."""
    done = subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    return seconds_each(told["stamps"], batch), told["words"]


def in_turns(legs, rounds, report):
    """Medians of the seconds a picture by leg, and the last round's words. `legs`: two functions by name; `report` is
    given each round's number, seconds and words."""
    seconds = []
    for number in range(rounds):
        names = list(legs) if number % 2 == 0 else list(reversed(legs))
        made = {name: legs[name]() for name in names}
        seconds.append({name: time for name, (time, _) in made.items()})
        words = {name: text for name, (_, text) in made.items()}
        report(number + 1, seconds[-1], words)
    return {name: statistics.median(one[name] for one in seconds) for name in legs}, words


def compare(batches, work, run_batch):
    """run_batch(photos, batch, count) for each batch size, with photos of its own."""
    results = []
    for batch, count in batches.items():
        photos = work / f"photos{batch}"
        make_photos(photos, count)
        results.append(run_batch(photos, batch, count))
        shutil.rmtree(photos)
    return results


def tell(results, peer, title):
    for result in results:
        result["sdtune_peak_gb"] = round(peaks[result["batch"]], 2)
        print(f"batch {result['batch']}: a picture takes sdtune {result['sdtune_s']:.3f} s and {title} "
              f"{result[f'{peer}_s']:.3f} s: {result['times_as_fast']:.2f} times as fast; sdtune's peak "
              f"{result['sdtune_peak_gb']:.2f} GB")
    print(json.dumps(results))
