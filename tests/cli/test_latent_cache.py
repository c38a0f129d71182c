"""Latents kept beside pictures: what is made anew and what is used again, through kills, company and old files."""

import json
import os
import random
import re
import shutil
import time

import numpy
import pytest
from running import draw_pictures, kill, start_sdtune, train_args
from parity.small_models import make_small_pipeline
from picture_sets import picture
from safetensors.numpy import load_file

SIZES = ("--min_bucket_reso=64", "--max_bucket_reso=256")
COUNT = 6


@pytest.fixture(autouse=True)
def own_index(tmp_path, monkeypatch):
    """What the program remembers of pictures stays in the test's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path):
    """Six pictures of three shapes and their metadata."""
    folder = draw_pictures(tmp_path / "data", count=COUNT, sizes=((128, 128), (300, 100), (100, 260)))
    write_metadata(tmp_path / "meta.json")
    return folder


def write_metadata(path, last="the last one"):
    entries = {f"{i:02}": {"caption": f"picture {i}"} for i in range(COUNT)}
    entries[f"{COUNT - 1:02}"]["caption"] = last
    path.write_text(json.dumps(entries))


def prepare_args(folder, model, *more):
    meta = folder.parent
    return ["prepare", folder, meta / "meta.json", meta / "lat.json", model, "--max_resolution=128", *SIZES,
            "--device=cpu", *more]


def counts(result):
    """Encoded and reused, and why what was there was made anew."""
    assert result.returncode == 0, result.stderr
    encoded, reused = re.search(r"latents: (\d+) encoded, (\d+) reused\n", result.stderr).groups()
    stale = {reason: int(count) for count, reason in re.findall(r"  (\d+) made anew: (.*)", result.stderr)}
    return int(encoded), int(reused), stale


def entries_of(folder):
    """All arrays of all entries, by the file's name."""
    found = {}
    for path in sorted(folder.rglob("*.npz")):
        with numpy.load(path, allow_pickle=False) as file:
            found[str(path.relative_to(folder))] = {key: file[key] for key in file.files}
    return found


def assert_same_entries(found, expected, bound=0.0):
    assert list(found) == list(expected)
    for name, arrays in expected.items():
        assert list(found[name]) == list(arrays), name
        for key, values in arrays.items():
            if values.dtype.kind == "f" and bound:
                assert numpy.abs(found[name][key] - values).max() <= bound, (name, key)
            else:
                assert (found[name][key] == values).all(), (name, key)


# What is made anew


def test_the_second_time_nothing_is_encoded(sdtune, small_models, data):
    args = prepare_args(data, small_models())
    assert counts(sdtune(*args)) == (COUNT, 0, {})
    stamps = {path: path.stat().st_mtime_ns for path in data.glob("*.npz")}
    assert len(stamps) == COUNT
    assert counts(sdtune(*args)) == (0, COUNT, {})
    assert {path: path.stat().st_mtime_ns for path in data.glob("*.npz")} == stamps


def test_a_caption_makes_nothing_anew(sdtune, small_models, data):
    args = prepare_args(data, small_models())
    counts(sdtune(*args))
    write_metadata(data.parent / "meta.json", last="another caption")
    assert counts(sdtune(*args)) == (0, COUNT, {})
    assert json.loads((data.parent / "lat.json").read_text())["05"]["caption"] == "another caption"


def test_one_changed_picture_is_made_anew(sdtune, small_models, data):
    args = prepare_args(data, small_models())
    counts(sdtune(*args))
    before = entries_of(data)
    picture(300, 100, 99).save(data / "01.png")
    assert counts(sdtune(*args)) == (1, COUNT - 1, {"the picture has changed": 1})
    after = entries_of(data)
    changed = [name for name in after if not numpy.array_equal(after[name]["latents"], before[name]["latents"])]
    assert changed == ["01_0300x0100_sd.npz"]


def test_a_picture_that_was_only_touched_or_renamed_back_is_used_again(sdtune, small_models, data):
    args = prepare_args(data, small_models())
    counts(sdtune(*args))
    os.utime(data / "02.png")
    shutil.copy(data / "03.png", data / "copy")
    os.replace(data / "copy", data / "03.png")
    assert counts(sdtune(*args)) == (0, COUNT, {})


def test_another_vae_makes_all_anew_and_back(sdtune, small_models, data, tmp_path):
    make_small_pipeline(tmp_path / "other", seed=5)
    counts(sdtune(*prepare_args(data, small_models())))
    first = entries_of(data)
    assert counts(sdtune(*prepare_args(data, tmp_path / "other"))) == (COUNT, 0, {"another VAE made it": COUNT})
    assert counts(sdtune(*prepare_args(data, small_models()))) == (COUNT, 0, {"another VAE made it": COUNT})
    assert_same_entries(entries_of(data), first)


def test_the_same_vae_in_another_file_is_the_same(sdtune, small_models, data, tmp_path):
    counts(sdtune(*prepare_args(data, small_models())))
    shutil.copytree(small_models(), tmp_path / "copy")
    assert counts(sdtune(*prepare_args(data, tmp_path / "copy"))) == (0, COUNT, {})


def test_another_resolution_makes_all_anew(sdtune, small_models, data):
    counts(sdtune(*prepare_args(data, small_models())))
    again = sdtune(*prepare_args(data, small_models(), "--max_resolution=192"))
    assert counts(again) == (COUNT, 0, {"it was made for another size": COUNT})
    assert {arrays["latents"].shape for arrays in entries_of(data).values()} >= {(4, 24, 24)}


def test_another_interpolation_makes_only_resized_pictures_anew(sdtune, small_models, data):
    counts(sdtune(*prepare_args(data, small_models())))
    again = sdtune(*prepare_args(data, small_models(), "--resize_interpolation=bicubic"))
    # those of 128 x 128 are not resized
    assert counts(again) == (4, 2, {"the picture was resized in another way": 4})


@pytest.mark.parametrize("option, reason", [
    ("--flip_aug", "it has no mirrored latents"),
    ("--alpha_mask", "it has no alpha mask"),
    ("--cache_posterior", "it has no mean and log-variance"),
])
def test_more_arrays_that_are_asked_for(sdtune, small_models, data, option, reason):
    plain, more = prepare_args(data, small_models()), prepare_args(data, small_models(), option)
    counts(sdtune(*plain))
    first = entries_of(data)
    assert counts(sdtune(*more)) == (COUNT, 0, {reason: COUNT})
    assert counts(sdtune(*more)) == (0, COUNT, {})
    # what more there is does not matter where it is not asked for
    assert counts(sdtune(*plain)) == (0, COUNT, {})
    for name, arrays in entries_of(data).items():
        assert (arrays["latents"] == first[name]["latents"]).all()


def test_a_new_picture_alone_is_encoded(sdtune, small_models, data):
    args = prepare_args(data, small_models())
    counts(sdtune(*args))
    picture(140, 140, 3).save(data / "new.webp")
    assert counts(sdtune(*args)) == (1, COUNT, {})


@pytest.mark.parametrize("command", ["prepare", "cache-latents"])
def test_a_picture_that_cannot_be_read_is_told_by_the_exit_code(sdtune, small_models, data, tmp_path, command):
    (data / "02.png").write_bytes((data / "02.png").read_bytes()[:-500])
    args = prepare_args(data, small_models()) if command == "prepare" else [
        command, f"--pretrained_model_name_or_path={small_models()}", f"--train_data_dir={data}", "--resolution=128",
        "--device=cpu"]
    result = sdtune(*args)
    assert result.returncode == 1 and "02.png" in result.stderr, result.stderr
    assert f"{COUNT - 1} encoded, 0 reused, 1 pictures failed" in result.stderr
    assert len(entries_of(data)) == COUNT - 1 and (tmp_path / "lat.json").exists() == (command == "prepare")


def test_of_two_pictures_of_one_name_the_first_is_prepared(sdtune, small_models, data, tmp_path):
    picture(300, 100, 1).save(data / "00.bmp")
    result = sdtune(*prepare_args(data, small_models()))
    assert counts(result) == (COUNT, 0, {})
    assert "share the name" in result.stderr and "00.png" in result.stderr
    prepared = json.loads((tmp_path / "lat.json").read_text())
    assert prepared["00"]["train_resolution"] == prepared["01"]["train_resolution"]


def test_a_name_that_is_not_utf8_is_left_out(sdtune, small_models, data, tmp_path):
    shutil.copy(data / "00.png", os.fsencode(data) + b"/caf\xe9.png")
    result = sdtune(*prepare_args(data, small_models()), errors="replace")
    assert counts(result) == (COUNT, 0, {})
    assert "not UTF-8" in result.stderr and "caf\ufffd.png" in result.stderr
    assert len(json.loads((tmp_path / "lat.json").read_text())) == COUNT


def test_damaged_entries_are_made_anew(sdtune, small_models, data):
    args = prepare_args(data, small_models())
    counts(sdtune(*args))
    expected, files = entries_of(data), sorted(data.glob("*.npz"))
    files[0].write_bytes(files[0].read_bytes()[:-100])
    files[1].write_bytes(b"")
    files[2].write_bytes(b"\0" * files[2].stat().st_size)
    assert counts(sdtune(*args)) == (3, COUNT - 3, {"it is damaged": 3})
    assert_same_entries(entries_of(data), expected)


def test_a_single_wrong_byte_is_never_trained_on(sdtune, small_models, data, tmp_path):
    run = sized(small_models(), data, tmp_path / "out", "--cache_latents_to_disk", "--max_train_epochs=1",
                f"--trace_dir={tmp_path / 'trace'}", "--trace_steps=100")
    counts(sdtune(*prepare_args(data, small_models())))
    file = data / "00_0128x0128_sd.npz"
    with numpy.load(file) as entry:
        values = entry["latents"]
    content = bytearray(file.read_bytes())
    content[content.find(values.tobytes()) + 1003] ^= 64
    file.write_bytes(content)
    result = sdtune(*run)
    assert result.returncode == 0, result.stderr
    encoded, reused, stale = counts(result)
    if encoded == 0:  # not noticed before it was read
        assert "00.png" in result.stderr, result.stderr
    expected = values * numpy.float32(0.18215)
    seen = [load_file(path)["latents"][0] for path in (tmp_path / "trace").glob("*.safetensors")]
    square = [latents for latents in seen if latents.shape == expected.shape]
    assert len(square) == (2 if encoded else 1)
    assert sum(numpy.allclose(latents, expected, atol=1e-5) for latents in square) == (1 if encoded else 0)


# Kills and company


def test_killed_again_and_again(sdtune, small_models, tmp_path):
    generator, folders = random.Random(7), [tmp_path / "calm" / "data", tmp_path / "killed" / "data"]
    for folder in folders:
        draw_pictures(folder, count=30, sizes=((200, 150), (256, 256), (100, 250)))
        (folder.parent / "meta.json").write_text("{}")
    calm, args = (prepare_args(f, small_models(), "--flip_aug") for f in folders)
    begin = time.monotonic()
    assert counts(sdtune(*calm)) == (30, 0, {})
    whole = time.monotonic() - begin
    kills, seen = 0, set()
    while kills < 8:
        process = start_sdtune(*args)
        time.sleep(generator.uniform(0.2, 0.7) * whole)
        if process.poll() is not None:
            break
        kill(process)
        kills += 1
        entries = entries_of(folders[1])  # each one that is there can be read
        seen.add(len(entries))
    last = sdtune(*args)
    encoded, reused, stale = counts(last)
    assert encoded + reused == 30 and stale == {}
    assert kills >= 2 and len(seen) >= 2 and reused > 0
    assert_same_entries(entries_of(folders[1]), entries_of(folders[0]))


def test_a_signal_ends_it_after_what_was_begun(sdtune, small_models, tmp_path):
    data = draw_pictures(tmp_path / "data", count=30, sizes=((128, 128),))
    (tmp_path / "meta.json").write_text("{}")
    args = prepare_args(data, small_models())
    process = start_sdtune(*args)
    while process.poll() is None and not list(data.glob("*.npz")):
        time.sleep(0.02)
    process.terminate()
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 128 + 15, messages
    assert "the same command goes on" in messages and not (tmp_path / "lat.json").exists()
    there = len(list(data.glob("*.npz")))
    assert 0 < there < 30
    assert counts(sdtune(*args)) == (30 - there, there, {})
    assert (tmp_path / "lat.json").exists()


def test_two_at_once(sdtune, small_models, tmp_path):
    data = draw_pictures(tmp_path / "data", count=16, sizes=((128, 128), (200, 100)))
    (tmp_path / "meta.json").write_text("{}")
    args = prepare_args(data, small_models())
    together = [start_sdtune(*args) for _ in range(2)]
    for process in together:
        _, messages = process.communicate(timeout=120)
        assert process.returncode == 0, messages
        assert "warning" not in messages.lower()
    found = entries_of(data)
    assert len(found) == 16 and not list(data.glob("*tmp*"))
    assert counts(sdtune(*args)) == (0, 16, {})
    for path in data.glob("*.npz"):
        path.unlink()
    counts(sdtune(*args))
    assert_same_entries(entries_of(data), found)


# Together with training


def without_sizes(args):
    return [arg for arg in args if not str(arg).startswith(("--resolution", "--enable", "--min_b", "--max_b"))]


def sized(model, data, output, *more):
    return train_args(model, data, output, f"--in_json={data.parent / 'meta.json'}", "--resolution=128", *SIZES, *more)


def weights(folder):
    return {name: values.tobytes() for name, values in load_file(folder / "mine.safetensors").items()}


@pytest.mark.parametrize("more", [[], ["--flip_aug"]])
def test_memory_disk_and_prepared_train_the_same(sdtune, small_models, data, tmp_path, more):
    model = small_models()
    kept = sdtune(*sized(model, data, tmp_path / "memory", "--cache_latents", *more))
    assert counts(kept) == (COUNT, 0, {}) and not list(data.glob("*.npz"))
    assert counts(sdtune(*sized(model, data, tmp_path / "disk", "--cache_latents_to_disk", *more))) == (COUNT, 0, {})
    assert counts(sdtune(*prepare_args(data, model, *more))) == (0, COUNT, {})
    run = without_sizes(train_args(model, data, tmp_path / "prepared", f"--in_json={tmp_path / 'lat.json'}", *more))
    result = sdtune(*run)
    assert result.returncode == 0, result.stderr
    assert "all pictures have latents beside them" in result.stderr
    expected = weights(tmp_path / "memory")
    assert weights(tmp_path / "disk") == expected
    assert weights(tmp_path / "prepared") == expected
    models = [(tmp_path / name / "mine.safetensors").read_bytes() for name in ("memory", "disk")]
    assert models[0] == models[1]


def test_posteriors_in_memory_on_disk_and_prepared_train_the_same(sdtune, small_models, data, tmp_path):
    model, more = small_models(), ["--cache_posterior", "--max_train_epochs=2"]
    run = sized(model, data, tmp_path / "memory", "--cache_latents", *more, f"--trace_dir={tmp_path / 'trace'}",
                "--trace_steps=100")
    assert counts(sdtune(*run)) == (COUNT, 0, {})
    assert counts(sdtune(*prepare_args(data, model, "--cache_posterior"))) == (COUNT, 0, {})
    prepared = without_sizes(train_args(model, data, tmp_path / "prepared", f"--in_json={tmp_path / 'lat.json'}",
                                        "--cache_latents_to_disk", *more))
    assert counts(sdtune(*prepared)) == (0, COUNT, {})
    assert weights(tmp_path / "prepared") == weights(tmp_path / "memory")
    seen = {latents.tobytes() for latents in seen_latents(tmp_path / "trace")}
    assert len(seen) == 2 * COUNT  # drawn anew in each epoch


def test_prepared_metadata_without_all_latents_trains_from_pictures(sdtune, small_models, data, tmp_path):
    counts(sdtune(*prepare_args(data, small_models())))
    (data / "00_0128x0128_sd.npz").unlink()
    result = sdtune(*without_sizes(train_args(small_models(), data, tmp_path / "out", f"--in_json={tmp_path / 'lat.json'}")))
    assert result.returncode == 0, result.stderr
    assert "not every picture has latents" in result.stderr


def test_two_resolutions_of_one_folder(sdtune, small_models, data, tmp_path):
    tables = "".join(f'[[datasets]]\nresolution = {side}\n[[datasets.subsets]]\nimage_dir = "{data}"\n' for side in (64, 128))
    (tmp_path / "sets.toml").write_text(tables)
    common = [f"--dataset_config={tmp_path / 'sets.toml'}", f"--pretrained_model_name_or_path={small_models()}",
              "--device=cpu", "--enable_bucket", *SIZES[1:], "--min_bucket_reso=64"]
    assert counts(sdtune("cache-latents", *common)) == (2 * COUNT, 0, {})
    assert counts(sdtune("cache-latents", *common)) == (0, 2 * COUNT, {})
    arrays = entries_of(data)["00_0128x0128_sd.npz"]
    assert {"latents_8x8", "latents_16x16"} <= set(arrays)
    trained = sdtune("train", *common, f"--output_dir={tmp_path / 'out'}", "--max_train_epochs=1",
                     "--cache_latents_to_disk", "--seed=1", f"--trace_dir={tmp_path / 'trace'}", "--trace_steps=100")
    assert counts(trained) == (0, 2 * COUNT, {})
    steps = [load_file(path) for path in (tmp_path / "trace").glob("*.safetensors")]
    shapes = [step["latents"].shape for step in steps]
    assert len(shapes) == 2 * COUNT and shapes.count((1, 4, 8, 8)) == COUNT


# Files of earlier programs


def foreign_entry(folder, stem, size, form, values):
    """Writes latents as sd-scripts of one age did."""
    name = {"oldest": stem, "stem": stem}.get(form, f"{stem}_{size[0]:04}x{size[1]:04}_{'sdxl' if form == 'sdxl' else 'sd'}")
    if form == "oldest":
        numpy.savez(folder / f"{name}.npz", values[0])
        numpy.savez(folder / f"{name}_flip.npz", values[1])
        return
    suffix = f"_{values[0].shape[1]}x{values[0].shape[2]}" if form == "sized keys" else ""
    numpy.savez(folder / f"{name}.npz", **{
        "latents" + suffix: values[0],
        "latents_flipped" + suffix: values[1],
        "original_size" + suffix: numpy.array(size),
        "crop_ltrb" + suffix: numpy.array([0.0, 0.0, *size]),
    })


def write_foreign(folder, form):
    """An entry for each picture of `data`; returns all latents that a run with --flip_aug may see."""
    generator = numpy.random.default_rng(1)
    shapes = [((128, 128), (16, 16)), ((300, 100), (8, 24)), ((100, 260), (24, 8))]
    written = []
    for i in range(COUNT):
        size, (height, width) = shapes[i % 3]
        values = generator.standard_normal((2, 4, height, width), dtype=numpy.float32)
        foreign_entry(folder, f"{i:02}", size, form, values)
        written.extend(values)
    return written


def seen_latents(trace):
    return [load_file(path)["latents"][0] / numpy.float32(0.18215) for path in trace.glob("*.safetensors")]


@pytest.mark.parametrize("form", ["oldest", "stem", "sd", "sized keys", "sdxl"])
def test_entries_of_other_programs_are_used(sdtune, small_models, data, tmp_path, form):
    written = write_foreign(data, form)
    before = {path.name: path.read_bytes() for path in data.glob("*.npz")}
    more = ["--read_sdxl_npz"] if form == "sdxl" else []
    result = sdtune(*sized(small_models(), data, tmp_path / "out", "--cache_latents_to_disk", "--flip_aug", *more,
                           "--max_train_epochs=2", f"--trace_dir={tmp_path / 'trace'}", "--trace_steps=100"))
    assert counts(result) == (0, COUNT, {})
    assert {path.name: path.read_bytes() for path in data.glob("*.npz")} == before
    seen = seen_latents(tmp_path / "trace")
    assert len(seen) == 2 * COUNT
    for latents in seen:
        assert any(own.shape == latents.shape and numpy.allclose(own, latents, atol=1e-5) for own in written)


def test_sdxl_names_are_not_taken_unasked(sdtune, small_models, data, tmp_path):
    write_foreign(data, "sdxl")
    result = sdtune(*sized(small_models(), data, tmp_path / "out", "--cache_latents_to_disk"))
    assert counts(result) == (COUNT, 0, {})


def test_entries_of_other_programs_of_another_size_are_not_used(sdtune, small_models, data, tmp_path):
    write_foreign(data, "sd")
    result = sdtune(*sized(small_models(), data, tmp_path / "out", "--cache_latents_to_disk", "--resolution=192"))
    encoded, reused, stale = counts(result)
    assert (encoded, reused) == (COUNT, 0) and stale == {"it was made for another size": COUNT}
