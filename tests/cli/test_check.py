"""`sdtune check` from outside: what it finds in generated pictures, and its three forms of report."""

import html.parser
import json
import re

import numpy
import pytest
from PIL import Image


def bars(width, height, place=0):
    """Bright and dark bands; another look for each `place`."""
    y, x = numpy.mgrid[0:height, 0:width]
    bright = (x * 9 // width + y * 8 // height * (place + 3)) % 7 < 3
    return Image.fromarray(numpy.where(bright[..., None], 220, 20).astype(numpy.uint8).repeat(3, 2))


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for i in range(3):
        bars(64, 64, i).save(data / f"{i}.png")
        (data / f"{i}.caption").write_text(f"picture number {i}")
    return data


def check(sdtune, *args, code=0):
    result = sdtune("check", *args)
    assert result.returncode == code, result.stderr
    return result


def report(sdtune, *args):
    return json.loads(check(sdtune, "--json=-", *args).stdout)


def found(report):
    """{kind: {name: detail}}"""
    return {
        kind["kind"]: {item["name"]: item["detail"] for item in kind["items"]} for kind in report["findings"]
    }


def test_a_good_dataset_needs_no_hand(sdtune, folder):
    result = check(sdtune, folder, "--resolution=64", "--strict")
    assert result.stdout.endswith("0 errors, 0 warnings, 0 notes\n")
    assert result.stdout.startswith("3 pictures listed, 3 of them can be trained on\n")


# What it finds


def save_cmyk(path):
    bars(64, 64, 3).convert("CMYK").save(path)


def save_turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    bars(64, 64, 3).save(path, exif=exif)


def save_deep(path):
    Image.fromarray(numpy.asarray(bars(64, 64, 3).convert("L")).astype(numpy.uint16) * 257).save(path)


def save_clear(path):
    picture = bars(64, 64, 3).convert("RGBA")
    picture.putalpha(100)
    picture.save(path)


def save_moving(path):
    bars(64, 64, 3).save(path, save_all=True, append_images=[bars(64, 64, 4)])


def save_cut(path):
    bars(640, 640, 3).save(path)
    path.write_bytes(path.read_bytes()[:-5000])


@pytest.mark.parametrize(
    "name, save, kind, severity",
    [
        ("x.jpg", save_cmyk, "cmyk", "note"),
        ("x.jpg", save_turned, "turned_by_exif", "note"),
        ("x.png", save_deep, "sixteen_bit", "note"),
        ("x.png", save_clear, "alpha", "note"),
        ("x.gif", save_moving, "animated", "note"),
        ("x.jpg", save_cut, "unreadable_picture", "error"),
        ("x.png", lambda path: path.write_bytes(b""), "unreadable_picture", "error"),
        ("x.jpg", lambda path: bars(64, 64, 3).save(path, "PNG"), "wrong_extension", "note"),
        ("x.png", lambda path: bars(20, 20, 3).save(path), "tiny_picture", "warning"),
        ("x.png", lambda path: bars(50, 50, 3).save(path), "enlarged_picture", "note"),
        ("x.png", lambda path: bars(6000, 5000, 3).save(path), "huge_picture", "note"),
        ("x.png", lambda path: bars(300, 100, 3).save(path), "heavy_crop", "warning"),
        ("x.png", lambda path: bars(4000, 8, 3).save(path), "unplaceable_picture", "error"),
    ],
)
def test_each_kind_of_picture(sdtune, folder, name, save, kind, severity):
    save(folder / name)
    (folder / "x.caption").write_text("another picture")
    result = report(sdtune, folder, "--resolution=64")
    assert list(found(result)[kind]) == [name]
    assert {entry["kind"]: entry["severity"] for entry in result["findings"]}[kind] == severity
    code = 1 if severity == "error" else 0
    check(sdtune, folder, "--resolution=64", "--strict", code=code)
    check(sdtune, folder, "--resolution=64")


def test_copies_and_near_copies(sdtune, folder):
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    bars(128, 128, 1).save(folder / "near.jpg", quality=70)
    kinds = found(report(sdtune, folder, "--resolution=64"))
    assert kinds["copies"] == {"0.png": "the same as copy.png"}
    assert kinds["near_copies"] == {"1.png": "looks like near.jpg"}
    kinds = found(report(sdtune, folder, "--resolution=64", "--no_near_duplicates"))
    assert "copies" in kinds and "near_copies" not in kinds


def test_captions(sdtune, folder):
    (folder / "0.caption").unlink()
    (folder / "1.caption").write_text("")
    (folder / "2.caption").write_text("cat " * 100)
    bars(64, 64, 3).save(folder / "3.png")
    (folder / "3.caption").write_bytes(b"caf\xe9")
    result = report(sdtune, folder, "--resolution=64")
    kinds = found(result)
    assert list(kinds["missing_caption"]) == ["0.png"]
    assert list(kinds["empty_caption"]) == ["1.png"]
    assert kinds["long_caption"] == {"2.png": "100 tokens, the last 25 are cut off (--max_token_length=75)"}
    assert list(kinds["broken_caption"]) == ["3.png"]
    assert result["captions"] == {"up_to_75": 3, "up_to_150": 1, "up_to_225": 0, "longer": 0}
    assert "long_caption" not in found(report(sdtune, folder, "--resolution=64", "--max_token_length=150"))


# Where datasets come from


def test_metadata_with_faults(sdtune, folder, tmp_path):
    meta = tmp_path / "meta.json"
    meta.write_text(json.dumps({"0": {"caption": "x"}, "gone": {"caption": "y"}, "1": {"caption": 3}}))
    kinds = found(report(sdtune, meta, f"--train_data_dir={folder}", "--resolution=64"))
    assert list(kinds["missing_picture"]) == ["gone"]
    assert list(kinds["broken_caption"]) == ["1"]


@pytest.mark.parametrize("general_first", [True, False])
def test_json_is_told_by_its_content(sdtune, folder, tmp_path, general_first):
    config = {"datasets": [{"resolution": 64, "subsets": [{"image_dir": str(folder), "num_repeats": 2}]}]}
    if general_first:
        config = {"general": {"shuffle_caption": True}, **config}
    path = tmp_path / "data.json"
    path.write_text(json.dumps(config))
    assert report(sdtune, path)["steps"]["samples_per_epoch"] == 6
    # The same key names a picture here.
    bars(64, 64, 5).save(folder / "datasets.png")
    path.write_text(json.dumps({"datasets": {"caption": "a picture"}}))
    result = report(sdtune, path, f"--train_data_dir={folder}", "--resolution=64")
    assert [picture["key"] for picture in result["pictures"]] == ["datasets"]


def test_config_in_toml(sdtune, folder, tmp_path):
    path = tmp_path / "data.toml"
    path.write_text(f'[[datasets]]\nresolution = 64\n[[datasets.subsets]]\nimage_dir = "{folder}"\n')
    assert report(sdtune, path)["summary"]["usable"] == 3


def test_check_stands_in_place_of_train(sdtune, folder, tmp_path):
    options = [f"--train_data_dir={folder}", f"--output_dir={tmp_path / 'out'}", "--resolution=64"]
    options += ["--learning_rate=1e-4", "--xformers", "--optimizer_type=AdamW", "--seed=3"]
    result = report(
        sdtune,
        *options,
        "--train_batch_size=2",
        "--gradient_accumulation_steps=2",
        "--max_train_steps=10",
        "--save_every_n_steps=4",
        "--save_precision=fp16",
        "--save_state",
    )
    assert result["steps"]["batches_per_epoch"] == 2
    assert result["steps"]["steps_per_epoch"] == 1
    assert result["steps"]["images_seen"] == 30
    assert result["disk"]["models"] == 3 and result["disk"]["states"] == 3
    assert result["disk"]["model_bytes"] == 2_132_400_000
    assert result["disk"]["places"][0]["purpose"] == "checkpoints"
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_too_small(sdtune, folder, tmp_path):
    options = [folder, "--resolution=64", f"--output_dir={tmp_path}", "--save_every_n_steps=1"]
    kinds = found(report(sdtune, *options, "--max_train_steps=1000000"))
    assert list(kinds["no_space"]) == [str(tmp_path)]


def test_mistakes(sdtune, folder, tmp_path):
    for args, code, words in [
        ([tmp_path / "gone"], 1, "no such folder"),
        ([folder, f"--train_data_dir={folder}"], 2, "named twice"),
        ([folder / "0.caption"], 2, "a dataset is"),
        ([], 2, "no pictures are given"),
        ([folder, "--resolutoin=64"], 2, "resolution"),
    ]:
        result = check(sdtune, *args, code=code)
        assert words in result.stderr


# Reports


def test_json_to_a_file_beside_the_text(sdtune, folder, tmp_path):
    out = tmp_path / "report.json"
    result = check(sdtune, folder, "--resolution=64", f"--json={out}")
    assert "0 errors" in result.stdout
    pictures = json.loads(out.read_text())["pictures"]
    assert [picture["tokens"] for picture in pictures] == [3, 3, 3]
    assert pictures[0]["crop"] == [0, 0, 1, 1] and pictures[0]["bucket"] == [64, 64]


class Page(html.parser.HTMLParser):
    """Takes a page apart; fails where elements do not close in order."""

    VOID = {"meta", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data


def page(sdtune, tmp_path, *args):
    out = tmp_path / "report.html"
    check(sdtune, "--resolution=64", f"--html={out}", *args)
    return Page(out.read_text(encoding="utf-8")), out.read_text(encoding="utf-8")


def test_the_page_is_self_contained(sdtune, folder, tmp_path):
    parsed, text = page(sdtune, tmp_path, folder)
    assert "http" not in text.replace("http-equiv", "")
    assert not {"script", "link", "iframe"} & {tag for tag, _ in parsed.elements}
    sources = [attributes["src"] for tag, attributes in parsed.elements if tag == "img"]
    assert len(sources) == 3
    assert all(source.startswith("data:image/jpeg;base64,/9j/") for source in sources)
    assert "url(" not in text and "@import" not in text
    assert "prefers-color-scheme: dark" in text


def test_the_page_escapes_everything(sdtune, folder, tmp_path):
    evil = '<script>alert("1")</script>\'&'
    (folder / "0.caption").write_text(evil + ", " + evil)
    bars(64, 64, 4).save(folder / '"><img src=x onerror=y>.png')
    parsed, text = page(sdtune, tmp_path, folder)
    assert "script" not in {tag for tag, _ in parsed.elements}
    assert not any("onerror" in attributes for _, attributes in parsed.elements)
    assert evil in parsed.text and '"><img src=x onerror=y>.png' in parsed.text


def test_the_page_draws_the_crop_that_training_sees(sdtune, folder, tmp_path):
    bars(128, 64, 3).save(folder / "wide.png")
    parsed, _ = page(sdtune, tmp_path, folder)
    crops = [attributes["style"] for _, attributes in parsed.elements if attributes.get("class") == "crop"]
    # Pictures with findings come first.
    assert crops == ["left:25%;top:0%;width:50%;height:100%"] + ["left:0%;top:0%;width:100%;height:100%"] * 3
    assert "50.0 % cut off" in parsed.text


def test_at_most_five_hundred_pictures_the_worst_first(sdtune, tmp_path):
    data = tmp_path / "many"
    data.mkdir()
    generator = numpy.random.default_rng(0)
    for i in range(502):
        Image.fromarray(generator.integers(0, 255, (64, 64, 3), dtype=numpy.uint8)).save(data / f"{i:03}.png")
        (data / f"{i:03}.caption").write_text("noise")
    (data / "501.caption").write_text("")
    parsed, text = page(sdtune, tmp_path, data)
    assert sum(tag == "img" for tag, _ in parsed.elements) == 500
    cards = re.findall(r"<p><b>(.*?)</b>", text)
    assert cards[:2] == ["501.png", "000.png"]
    assert "500 of 502" in parsed.text
