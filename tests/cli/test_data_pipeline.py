"""From a folder of pictures to a training run: the data commands one after the other, dataset files, captions."""

import json
import math
import pathlib

import pytest
from running import draw_pictures, read_events, train_args
from picture_sets import make_picture_set, picture
from PIL import Image
from safetensors.numpy import load_file


@pytest.fixture(autouse=True)
def own_index(tmp_path, monkeypatch):
    """What the program remembers of pictures stays in the test's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def done(result):
    assert result.returncode == 0, result.stderr
    return result


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


# Buckets, written down a second time from the rules of sd-scripts


def bucket_list(width, height, shortest, longest, step):
    area = width * height
    side = int(math.sqrt(area) // step) * step
    buckets = {(side, side)}
    for w in range(shortest, longest + 1, step):
        h = min(longest, (area // w) // step * step)
        if h >= shortest:
            buckets |= {(w, h), (h, w)}
    return sorted(buckets)


def nearest_bucket(size, buckets):
    if size in buckets:
        return size
    ratio = size[0] / size[1]
    return min(buckets, key=lambda bucket: abs(bucket[0] / bucket[1] - ratio))


def bucket_without_upscaling(size, area, step):
    width, height = size
    ratio = width / height

    def rounded(x):
        return int(x + 0.5) // step * step

    if width * height > area:
        ideal_width = math.sqrt(area * ratio)
        by_width = rounded(ideal_width), rounded(rounded(ideal_width) / ratio)
        by_height = rounded(rounded(area / ideal_width) * ratio), rounded(area / ideal_width)
        if abs(by_width[0] / by_width[1] - ratio) < abs(by_height[0] / by_height[1] - ratio):
            width, height = by_width[0], int(by_width[0] / ratio + 0.5)
        else:
            width, height = int(by_height[1] * ratio + 0.5), by_height[1]
    return width // step * step, height // step * step


def test_the_second_writing_of_the_rules_gives_the_known_values():
    assert len(bucket_list(512, 512, 256, 1024, 64)) == 17
    assert len(bucket_list(768, 768, 256, 1024, 64)) == 19
    known = {(700, 700): (512, 512), (1920, 1080): (640, 384), (300, 200): (640, 384), (4000, 500): (1024, 256)}
    for size, bucket in known.items():
        assert nearest_bucket(size, bucket_list(512, 512, 256, 1024, 64)) == bucket
    known = {(1080, 1920): (384, 640), (300, 200): (256, 192), (4000, 500): (1024, 128)}
    for size, bucket in known.items():
        assert bucket_without_upscaling(size, 512 * 512, 64) == bucket


# The whole way


@pytest.fixture(scope="module")
def picture_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole way") / "data"
    return folder, make_picture_set(folder)


def key_of(made, folder, style):
    path = pathlib.PurePosixPath(made.path)
    return f"{folder}/{path}" if style == "paths" else str(path.with_suffix(""))


def golden(made, cleaned):
    """An entry before the buckets are known, or {}."""
    texts = (("caption", made.caption), ("tags", made.tags))
    return {field: text[cleaned] for field, text in texts if text}


def golden_metadata(pictures, folder, style, cleaned, fields=("caption", "tags")):
    entries = {}
    for made in pictures:
        entry = {field: text for field, text in golden(made, cleaned).items() if field in fields}
        if entry:
            entries[key_of(made, folder, style)] = entry
    return entries


@pytest.mark.parametrize("style", ["names", "paths"])
def test_five_commands_end_in_a_training_run(sdtune, small_models, picture_set, tmp_path, style):
    folder, pictures = picture_set
    assert len(pictures) >= 200
    words = ["--recursive"] + (["--full_path"] if style == "paths" else [])
    files = [tmp_path / f"meta_{name}.json" for name in ("cap", "cap_dd", "clean", "lat")]
    cap, cap_dd, clean, lat = files

    done(sdtune("merge-captions", folder, cap, *words))
    assert read(cap) == golden_metadata(pictures, folder, style, False, ("caption",))
    done(sdtune("merge-tags", folder, cap_dd, f"--in_json={cap}", *words))
    assert read(cap_dd) == golden_metadata(pictures, folder, style, False)
    done(sdtune("clean", cap_dd, clean))
    assert read(clean) == golden_metadata(pictures, folder, style, True)

    sizes = ["--max_resolution=128,128", "--min_bucket_reso=64", "--max_bucket_reso=256"]
    prepared = done(sdtune("prepare", folder, clean, lat, small_models(), *words, *sizes, "--device=cpu"))
    buckets = bucket_list(128, 128, 64, 256, 64)
    expected = {}
    for made in pictures:
        bucket = nearest_bucket(made.size, buckets)
        expected[key_of(made, folder, style)] = golden(made, True) | {"train_resolution": list(bucket)}
    assert read(lat) == expected
    # Whichever of the two ways comes first encodes; the keys make no difference to the latents.
    counts = [f"latents: {len(pictures)} encoded, 0 reused\n", f"latents: 0 encoded, {len(pictures)} reused\n"]
    assert any(count in prepared.stderr for count in counts)

    trained = done(sdtune(*run_from_metadata(small_models(), folder, lat, tmp_path / "out")))
    assert "all pictures have latents beside them" in trained.stderr
    events = read_events(tmp_path / "out")
    assert events[0]["pictures"] == len(pictures) and events[0]["skipped_pictures"] == 0
    assert events[-1]["event"] == "end" and (tmp_path / "out" / "mine.safetensors").exists()


def run_from_metadata(model, folder, metadata, output, *more):
    """A run that is told nothing of sizes: the metadata has them."""
    own = ("--resolution", "--enable_bucket", "--min_bucket", "--max_bucket")
    args = train_args(model, folder, output, f"--in_json={metadata}", "--max_train_steps=2", *more)
    return [arg for arg in args if not arg.startswith(own)]


def test_buckets_without_upscaling(sdtune, small_models, tmp_path):
    sizes = [(64, 64), (100, 64), (70, 130), (300, 200), (128, 128), (191, 255), (333, 77), (64, 300), (420, 419)]
    for i, size in enumerate(sizes):
        (tmp_path / "data").mkdir(exist_ok=True)
        picture(*size, i).save(tmp_path / "data" / f"{i}.png")
    empty, lat = tmp_path / "empty.json", tmp_path / "lat.json"
    empty.write_text("{}")
    options = ["--max_resolution=192,128", "--bucket_no_upscale", "--device=cpu"]
    done(sdtune("prepare", tmp_path / "data", empty, lat, small_models(), *options))
    assert read(lat) == {
        str(i): {"train_resolution": list(bucket_without_upscaling(size, 192 * 128, 64))}
        for i, size in enumerate(sizes)
    }


def test_resized_pictures_go_the_same_way(sdtune, small_models, tmp_path):
    originals, data = tmp_path / "originals", tmp_path / "data"
    draw_pictures(originals, count=6, sizes=((400, 300), (640, 200), (120, 90)))
    done(sdtune("resize", originals, data, "--max_resolution=256x256", "--copy_associated_files", "--divisible_by=2"))
    # sqrt(256 * 256 / (w * h)) of each side, cut to even numbers
    sizes = {"00": (294, 220), "01": (456, 142), "02": (120, 90)}
    for stem, size in sizes.items():
        with Image.open(data / f"{stem}+256x256.jpg") as resized:
            assert resized.size == size
    meta, lat = tmp_path / "meta.json", tmp_path / "lat.json"
    done(sdtune("merge-captions", data, meta))
    done(sdtune("merge-tags", data, meta))
    done(sdtune("clean", meta, meta))
    done(sdtune("prepare", data, meta, lat, small_models(), "--max_resolution=128", "--min_bucket_reso=64",
                "--max_bucket_reso=256", "--device=cpu"))
    expected = {
        f"{i:02}+256x256": {
            "caption": f"a picture with number {i}",
            "tags": f"tag{i}, other tag",
            "train_resolution": list(nearest_bucket(list(sizes.values())[i % 3], bucket_list(128, 128, 64, 256, 64))),
        }
        for i in range(6)
    }
    assert read(lat) == expected
    done(sdtune(*run_from_metadata(small_models(), data, lat, tmp_path / "out")))


# Dataset files


def write_config(path, text):
    path.write_text(text, encoding="utf-8")
    return f"--dataset_config={path}"


def dataset_run(model, output, config, *more):
    own = ("--train_data_dir", "--resolution", "--enable_bucket", "--train_batch_size")
    return [arg for arg in train_args(model, "", output, config, *more) if not arg.startswith(own)]


def trace_of(folder):
    return [load_file(path) for path in sorted(pathlib.Path(folder).glob("step-*.safetensors"))]


def test_two_datasets_with_repeats_and_captions(sdtune, small_models, tmp_path):
    first = draw_pictures(tmp_path / "first", count=3, sizes=((64, 64),))
    second = draw_pictures(tmp_path / "second", count=2, sizes=((128, 128),))
    (tmp_path / "meta.json").write_text(json.dumps({"00": {"caption": "by metadata"}}))
    config = write_config(tmp_path / "sets.toml", f"""
        [general]
        caption_dropout_rate = 1.0

        [[datasets]]
        resolution = 64
        batch_size = 2
        [[datasets.subsets]]
        image_dir = "{first}"
        num_repeats = 2

        [[datasets]]
        resolution = [128, 128]
        caption_dropout_rate = 0
        [[datasets.subsets]]
        image_dir = "{second}"
        [[datasets.subsets]]
        image_dir = "{second}"
        metadata_file = "{tmp_path / "meta.json"}"
        num_repeats = 3
    """)
    # 3 pictures twice in batches of two, then 2 alone, then 1 three times: 3 + 2 + 3 batches.
    result = done(sdtune(*dataset_run(small_models(), tmp_path / "out", config, "--max_train_epochs=1",
                                      f"--trace_dir={tmp_path / 'trace'}")))
    assert "num examples: 11" in result.stderr and "num batches per epoch: 8" in result.stderr
    assert [event["step"] for event in read_events(tmp_path / "out") if event["event"] == "step"] == list(range(1, 9))
    empty, captions = 0, []
    for step in trace_of(tmp_path / "trace"):
        ids = step["input_ids"]
        if step["latents"].shape[1:] == (4, 8, 8):
            assert ids.shape[0] == 2 and (ids[:, 1:] == 49407).all()
            empty += ids.shape[0]
        else:
            assert step["latents"].shape == (1, 4, 16, 16)
            captions.append(tuple(ids[0]))
    assert empty == 6
    assert all(caption[1] != 49407 for caption in captions)
    assert sorted(captions.count(caption) for caption in set(captions)) == [1, 1, 3]


@pytest.mark.parametrize("where, key, meant", [
    ("general", "shufle_caption", "shuffle_caption"),
    ("datasets", "resolutoin", "resolution"),
    ("datasets.subsets", "num_repeat", "num_repeats"),
])
def test_an_unknown_key_is_refused_with_its_line(sdtune, small_models, pictures, tmp_path, where, key, meant):
    lines = {
        "general": ["[general]", "flip_aug = false"],
        "datasets": ["[[datasets]]", "resolution = 64"],
        "datasets.subsets": ["[[datasets.subsets]]", f'image_dir = "{pictures}"'],
    }
    lines[where].append(f"{key} = 1")
    text = [line for table in lines.values() for line in table]
    config = write_config(tmp_path / "sets.toml", "\n".join(text))
    result = sdtune(*dataset_run(small_models(), tmp_path / "out", config))
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("error: ") == 1
    assert key in result.stderr and f"did you mean {meant} " in result.stderr
    assert f"sets.toml:{text.index(f'{key} = 1') + 1}" in result.stderr
    assert not list((tmp_path / "out").glob("*"))


# Captions

TAGS = "red green blue dog cat bird"
PICTURES = 8


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """Pictures of one size with eight tags each, the second of which tells the picture; every tag is one token."""
    folder = draw_pictures(tmp_path_factory.mktemp("tagged") / "data", count=PICTURES, sizes=((64, 64),))
    for i in range(PICTURES):
        (folder / f"{i:02}.caption").write_text(", ".join(["first", str(i), *TAGS.split()]))
        (folder / f"{i:02}.txt").unlink()
    return folder


@pytest.fixture
def captions_of(sdtune, small_models, tagged, tmp_path):
    """Token ids of one sample each, in the order in which a run of two epochs sees them."""

    def run(*more, name="out"):
        trace = tmp_path / name / "trace"
        done(sdtune(*train_args(small_models(), tagged, tmp_path / name, "--max_train_epochs=2",
                                f"--trace_dir={trace}", "--trace_steps=100", *more)))
        ids = [tuple(int(i) for i in row) for step in trace_of(trace) for row in step["input_ids"]]
        assert len(ids) == 2 * PICTURES
        return ids

    return run


EMPTY = (49406, *[49407] * 76)


def test_plain_captions_stay(captions_of):
    ids = captions_of()
    assert all(ids.count(row) == 2 for row in ids) and EMPTY not in ids


def test_shuffled_captions_hold_the_same_tags_in_other_orders(captions_of):
    ids = captions_of("--shuffle_caption")
    tags = [tuple(sorted(row)) for row in ids]
    assert all(tags.count(row) == 2 for row in tags)
    assert len(set(ids)) == len(ids)
    assert len({row[:4] for row in ids}) > PICTURES
    assert set(captions_of("--shuffle_caption", "--seed=8", name="other")) != set(ids)


def test_kept_tags_stay_in_front(captions_of):
    ids = captions_of("--shuffle_caption", "--keep_tokens=2")
    assert len(set(ids)) == len(ids)
    # the start, "first", a comma, the picture's number
    assert len({row[:4] for row in ids}) == PICTURES


def test_dropped_captions_are_empty(captions_of):
    assert set(captions_of("--caption_dropout_rate=1")) == {EMPTY}


def test_captions_left_empty_in_every_second_epoch(captions_of):
    ids = captions_of("--caption_dropout_every_n_epochs=2")
    epochs = [{row == EMPTY for row in ids[:PICTURES]}, {row == EMPTY for row in ids[PICTURES:]}]
    assert {True} in epochs and {False} in epochs


def test_a_caption_is_a_function_of_seed_epoch_picture_and_repeat(captions_of):
    drawn = ("--shuffle_caption", "--caption_tag_dropout_rate=0.2", "--caption_dropout_rate=0.1", "--keep_tokens=2")
    one = captions_of(*drawn, "--max_data_loader_n_workers=1")
    assert captions_of(*drawn, "--max_data_loader_n_workers=8", name="threads") == one
    pairs = captions_of(*drawn, "--train_batch_size=2", name="batches")
    for epoch in (slice(0, PICTURES), slice(PICTURES, None)):
        assert sorted(pairs[epoch]) == sorted(one[epoch])
    assert sorted(one[:PICTURES]) != sorted(one[PICTURES:])
