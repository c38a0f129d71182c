"""The data tools from outside: what merging, cleaning and resizing leave on disk, entry by entry."""

import json

import numpy
import pytest
from PIL import Image


def done(result):
    assert result.returncode == 0, result.stderr
    return result


def failed(result, code, *words):
    assert result.returncode == code, result.stderr
    assert result.stderr.count("error: ") == 1, result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.fixture
def folder(tmp_path):
    """Pictures of all kinds of names, with captions and tags for most of them."""
    data = tmp_path / "data"
    for name in ["a.png", "b.c.JPG", "größe.Webp", "no text.png", "sub/a.png", "sub/deep/d.bmp"]:
        write(data / name, b"merging opens no picture")
    write(data / "a.caption", "\ufeff a cat \r\n")
    write(data / "b.c.caption", "first line\nsecond line\n\n")
    write(data / "größe.caption", "„schön“ \u3000")
    write(data / "sub/a.caption", "another a")
    write(data / "sub/deep/d.caption", "deep")
    write(data / "a.txt", "1girl, solo\n")
    write(data / "sub/a.txt", "1boy")
    return data


# Merging


@pytest.mark.parametrize("command", ["merge-captions", "merge_captions_to_metadata.py"])
def test_merge_captions_by_stem(sdtune, folder, tmp_path, command):
    out = tmp_path / "meta_cap.json"
    result = done(sdtune(command, folder, out))
    assert read(out) == {
        "a": {"caption": "a cat"},
        "b.c": {"caption": "first line\nsecond line"},
        "größe": {"caption": "„schön“"},
    }
    assert list(read(out)) == ["a", "b.c", "größe"]
    assert "1 of 4 pictures" in result.stderr and "no text.png" in result.stderr


def test_merged_file_is_what_pythons_json_module_writes(sdtune, folder, tmp_path):
    out = tmp_path / "meta.json"
    done(sdtune("merge-captions", folder, out))
    assert out.read_text(encoding="ascii") == json.dumps(read(out), indent=2)


def test_merge_with_full_path(sdtune, folder, tmp_path):
    out = tmp_path / "meta.json"
    done(sdtune("merge-captions", f"{folder}/", out, "--full_path", "--recursive"))
    assert read(out) == {
        f"{folder}/a.png": {"caption": "a cat"},
        f"{folder}/b.c.JPG": {"caption": "first line\nsecond line"},
        f"{folder}/größe.Webp": {"caption": "„schön“"},
        f"{folder}/sub/a.png": {"caption": "another a"},
        f"{folder}/sub/deep/d.bmp": {"caption": "deep"},
    }


def test_full_path_stays_relative_when_given_so(sdtune, folder, tmp_path):
    done(sdtune("merge-tags", "./data/", "meta.json", "--full_path", cwd=tmp_path))
    assert read(tmp_path / "meta.json") == {"data/a.png": {"tags": "1girl, solo"}}


def test_equal_stems_of_two_folders_do_not_collide(sdtune, folder, tmp_path):
    out = tmp_path / "meta.json"
    done(sdtune("merge-captions", folder, out, "--recursive"))
    assert read(out) == {
        "a": {"caption": "a cat"},
        "b.c": {"caption": "first line\nsecond line"},
        "größe": {"caption": "„schön“"},
        "sub/a": {"caption": "another a"},
        "sub/deep/d": {"caption": "deep"},
    }


def test_tags_join_captions_and_nothing_else_changes(sdtune, folder, tmp_path):
    first, second = tmp_path / "meta_cap.json", tmp_path / "meta_cap_dd.json"
    entries = {
        "elsewhere": {"caption": "kept", "score": 123456789012345678901234567890},
        "a": {"caption": "a cat", "tags": "old", "image_size": [3, 4], "x": {"y": [1.5, None]}},
    }
    first.write_text(json.dumps(entries))
    done(sdtune("merge_dd_tags_to_metadata", folder, second, f"--in_json={first}"))
    entries["a"]["tags"] = "1girl, solo"
    assert second.read_text() == json.dumps(entries, indent=2)
    assert json.loads(first.read_text())["a"]["tags"] == "old"


def test_output_that_is_there_is_the_input(sdtune, folder, tmp_path):
    out = tmp_path / "meta.json"
    done(sdtune("merge-captions", folder, out))
    done(sdtune("merge-tags", folder, out))
    assert read(out)["a"] == {"caption": "a cat", "tags": "1girl, solo"}
    assert read(out)["b.c"] == {"caption": "first line\nsecond line"}


def test_extensions_and_their_old_spelling(sdtune, folder, tmp_path):
    for option in ["--caption_extension=.txt", "--caption_extention=txt"]:
        out = tmp_path / f"{option[-3:]}{len(option)}.json"
        done(sdtune("merge-captions", folder, out, option))
        assert read(out) == {"a": {"caption": "1girl, solo"}}


def test_lines_are_written_where_the_name_says_so(sdtune, folder, tmp_path):
    out = tmp_path / "meta.jsonl"
    done(sdtune("merge-tags", folder, out, "--recursive"))
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"image_path": "a", "tags": "1girl, solo"},
        {"image_path": "sub/a", "tags": "1boy"},
    ]


def test_debug_prints_each_entry(sdtune, folder, tmp_path):
    result = done(sdtune("merge-tags", folder, tmp_path / "meta.json", "--debug"))
    assert "a: 1girl, solo" in result.stderr


def test_texts_that_cannot_be_used_are_named(sdtune, folder, tmp_path):
    write(folder / "a.caption", b"caf\xe9")
    write(folder / "a.jpg", b"a second picture of the stem")
    out = tmp_path / "meta.json"
    result = done(sdtune("merge-captions", folder, out))
    assert list(read(out)) == ["b.c", "größe"]
    assert "a.caption" in result.stderr and "UTF-8" in result.stderr
    assert "share the name" in result.stderr and "a.png" in result.stderr


def test_merge_mistakes(sdtune, folder, tmp_path):
    out = tmp_path / "meta.json"
    failed(sdtune("merge-captions", tmp_path / "nowhere", out), 1, "nowhere")
    failed(sdtune("merge-captions", folder), 2, "out_json")
    failed(sdtune("merge-captions", folder, out, "--in_json=gone.json"), 1, "gone.json")
    failed(sdtune("merge-captions", folder, out, "--caption_extension="), 2, "--caption_extension")
    (tmp_path / "empty").mkdir()
    failed(sdtune("merge-captions", tmp_path / "empty", out), 1, "empty", "--recursive")
    assert not out.exists()
    out.write_text("{\"a\": ")
    failed(sdtune("merge-captions", folder, out), 1, "meta.json")
    assert out.read_text() == "{\"a\": "


# Cleaning


CLEAN_IN = {
    "both": {
        "caption": "a young woman with a cat",
        "tags": "1girl, long_hair, solo, rating:safe",
        "train_resolution": [512, 640],
        "x": None,
    },
    "face": {"caption": "anime anime girl", "tags": "^_^, looking_at_viewer"},
    "no tags": {"caption": "a lady"},
    "no caption": {"tags": "blue_sky"},
}
CLEAN_OUT = {
    "both": {
        "caption": "a girl with a cat",
        "tags": "1girl, long hair, solo",
        "train_resolution": [512, 640],
        "x": None,
    },
    "face": {"caption": "girl", "tags": "^_^, looking at viewer"},
    "no tags": {"caption": "a girl"},
    "no caption": {"tags": "blue sky"},
}


@pytest.mark.parametrize("words", [[], ["a picture folder"]])
def test_clean(sdtune, tmp_path, words):
    before, after = tmp_path / "in.json", tmp_path / "out.json"
    before.write_text(json.dumps(CLEAN_IN))
    result = done(sdtune("clean", *words, before, after))
    assert after.read_text() == json.dumps(CLEAN_OUT, indent=2)
    assert json.loads(before.read_text()) == CLEAN_IN
    assert "1 of 4 entries have no tags" in result.stderr and "no tags" in result.stderr
    assert "1 of 4 entries have no caption" in result.stderr
    assert ("a picture folder" in result.stderr) == bool(words)


def test_clean_prints_texts_when_asked(sdtune, tmp_path):
    metadata = tmp_path / "meta.json"
    metadata.write_text(json.dumps({"key": {"caption": "a lady", "tags": "a_b"}}))
    result = done(sdtune("clean_captions_and_tags", metadata, metadata, "--debug"))
    for words in ["key caption before: a lady", "key caption after:  a girl", "key tags after:  a b"]:
        assert words in result.stderr
    assert read(metadata) == {"key": {"caption": "a girl", "tags": "a b"}}


def test_clean_mistakes(sdtune, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"key": {"caption": ["no", "text"]}}))
    failed(sdtune("clean", bad, tmp_path / "out.json"), 1, "bad.json", "key", "caption")
    failed(sdtune("clean", tmp_path / "gone.json", tmp_path / "out.json"), 1, "gone.json")
    assert not (tmp_path / "out.json").exists()


# Resizing


def gradient(width, height):
    """Red grows with x, green with y, so that a resized picture says which part it shows."""
    pixels = numpy.zeros((height, width, 3), dtype=numpy.uint8)
    pixels[..., 0] = numpy.linspace(0, 255, width).round()[None, :]
    pixels[..., 1] = numpy.linspace(0, 255, height).round()[:, None]
    return Image.fromarray(pixels)


@pytest.fixture
def originals(tmp_path):
    source = tmp_path / "originals"
    source.mkdir()
    gradient(800, 400).save(source / "wide.PNG")
    gradient(100, 60).save(source / "small.Jpg", quality=100)
    (source / "wide.caption").write_text("a wide picture")
    (source / "notes.md").write_text("kept")
    (source / ".hidden").write_text("left")
    return source


def test_resize_keeps_proportions_and_small_pictures(sdtune, originals, tmp_path):
    out = tmp_path / "out"
    done(sdtune("resize", originals, out, "--max_resolution=512x512,256x256", "--save_as_png"))
    sizes = {path.name: Image.open(path).size for path in out.glob("*.png")}
    # sqrt(512 * 512 / (800 * 400)) = 0.9051: 724 x 362; 256 * 256: 362 x 181.
    assert sizes == {
        "wide+512x512.png": (724, 362),
        "wide+256x256.png": (362, 181),
        "small+512x512.png": (100, 60),
        "small+256x256.png": (100, 60),
    }
    assert (out / "notes.md").read_text() == "kept"
    assert (out / "wide.caption").read_text() == "a wide picture"
    assert not (out / ".hidden").exists()


def test_resize_shows_the_whole_picture(sdtune, originals, tmp_path):
    out = tmp_path / "out"
    done(sdtune("resize", originals, out, "--max_resolution=256x256", "--save_as_png"))
    found = numpy.asarray(Image.open(out / "wide+256x256.png")).astype(int)
    expected = numpy.asarray(gradient(362, 181)).astype(int)
    assert numpy.abs(found - expected).max() <= 2


def test_each_size_is_made_from_the_original(sdtune, originals, tmp_path):
    several, one = tmp_path / "several", tmp_path / "one"
    done(sdtune("resize", originals, several, "--max_resolution=512x512,128x128", "--save_as_png"))
    done(sdtune("resize", originals, one, "--max_resolution=128x128", "--save_as_png"))
    name = "wide+128x128.png"
    assert (several / name).read_bytes() == (one / name).read_bytes()


def test_resize_area_is_opencvs(sdtune, originals, tmp_path):
    cv2 = pytest.importorskip("cv2")
    noise = numpy.random.default_rng(0).integers(0, 256, (300, 500, 3), dtype=numpy.uint8)
    Image.fromarray(noise).save(originals / "noise.png")
    out = tmp_path / "out"
    done(sdtune("resize", originals, out, "--max_resolution=128x128", "--save_as_png"))
    found = numpy.asarray(Image.open(out / "noise+128x128.png"))
    expected = cv2.resize(noise, (found.shape[1], found.shape[0]), interpolation=cv2.INTER_AREA)
    assert found.shape[:2] == (99, 165)
    assert (found == expected).all()


def test_sides_are_cut_evenly_to_the_divisor(sdtune, originals, tmp_path):
    out = tmp_path / "out"
    done(sdtune("resize", originals, out, "--max_resolution=512x512", "--divisible_by=64", "--save_as_png"))
    with Image.open(out / "wide+512x512.png") as wide:
        assert wide.size == (704, 320)
        expected = gradient(724, 362).crop((10, 21, 714, 341))
        assert numpy.abs(numpy.asarray(wide).astype(int) - numpy.asarray(expected)).max() <= 2
    assert not (out / "small+512x512.png").exists()  # 60 pixels high


def test_resize_writes_jpeg_and_every_default_size(sdtune, originals, tmp_path):
    out = tmp_path / "out"
    done(sdtune("resize_images_to_resolution", originals, out, "--interpolation=lanczos4"))
    for size, expected in [("512x512", (724, 362)), ("384x384", (543, 271)), ("256x256", (362, 181)),
                           ("128x128", (181, 90))]:
        with Image.open(out / f"wide+{size}.jpg") as picture:
            assert picture.format == "JPEG" and picture.size == expected
            difference = numpy.asarray(picture).astype(int) - numpy.asarray(gradient(*expected))
            assert numpy.abs(difference).mean() < 2


@pytest.mark.parametrize("name", ["area", "cubic", "lanczos4", "nearest", "linear", "box"])
def test_every_interpolation_keeps_the_picture(sdtune, originals, tmp_path, name):
    out = tmp_path / "out"
    done(sdtune("resize", originals, out, "--max_resolution=128x128", "--save_as_png", f"--interpolation={name}"))
    found = numpy.asarray(Image.open(out / "wide+128x128.png")).astype(int)
    assert numpy.abs(found - numpy.asarray(gradient(181, 90))).max() <= 5


def test_associated_files_go_with_each_size(sdtune, originals, tmp_path):
    out = tmp_path / "out"
    done(sdtune("resize", originals, out, "--max_resolution=256x256,128x128", "--copy_associated_files"))
    for size in ["256x256", "128x128"]:
        assert (out / f"wide+{size}.caption").read_text() == "a wide picture"
        assert not (out / f"small+{size}.caption").exists()


def test_bad_pictures_are_named_and_the_rest_is_done(sdtune, originals, tmp_path):
    (originals / "broken.png").write_bytes((originals / "wide.PNG").read_bytes()[:500])
    (originals / "wide.webp").write_bytes(b"a second picture of the stem")
    out = tmp_path / "out"
    result = done(sdtune("resize", originals, out, "--max_resolution=64x64"))
    assert "broken.png" in result.stderr and "wide.webp" in result.stderr
    assert sorted(path.name for path in out.glob("*.jpg")) == ["small+64x64.jpg", "wide+64x64.jpg"]


def test_resize_mistakes(sdtune, originals, tmp_path):
    out = tmp_path / "out"
    for size in ["512", "0x5", "ax5", "5x5x5", "64x64,", "70000x1"]:
        failed(sdtune("resize", originals, out, f"--max_resolution={size}"), 2, "--max_resolution")
    failed(sdtune("resize", originals, originals), 2, "dst_img_folder")
    failed(sdtune("resize", tmp_path / "nowhere", out), 1, "nowhere")
    failed(sdtune("resize", originals, out, "--divisible_by=4096"), 1, "originals")
    failed(sdtune("resize", originals, out, "--interpolation=magic"), 2, "interpolation")
