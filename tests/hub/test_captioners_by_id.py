"""Captioners and taggers by their ids: from outside, against the local Hub."""

import pytest
from fake_hub import Repo
from parity import small_blip, small_taggers
from running import run_sdtune

WORDS = "--max_length=20"


def files_of(folder, prefix=""):
    return {prefix + p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def run(environment, pictures, tmp_path):
    """run(command, options) -> the finished process; pictures without words lie in `here`."""
    here = tmp_path / "here"
    here.mkdir()
    for path in pictures.glob("*.png"):
        (here / path.name).symlink_to(path)

    def call(command, *args, status=0, **variables):
        done = run_sdtune(command, "here", *args, cwd=tmp_path, env=environment | variables, timeout=120)
        assert done.returncode == status, done.stderr
        return done

    return call


def words(tmp_path, ending):
    made = {path.name: path.read_text() for path in (tmp_path / "here").glob(f"*{ending}")}
    for name in made:
        (tmp_path / "here" / name).unlink()
    return made


def fetched(hub):
    return {p.split("/resolve/")[1].split("/", 1)[1] for p in hub.paths() if "/resolve/" in p}


@pytest.fixture
def captioner(hub, tmp_path):
    model = small_blip.make_blip("base")
    small_blip.save_blip(model, tmp_path / "blip")
    files = files_of(tmp_path / "blip")
    hub.repos["org/blip"] = Repo({**files, "pytorch_model.bin": b"pickle", "tf_model.h5": b"", "README.md": b""},
                                 large=["model.safetensors"])
    return tmp_path / "blip"


def test_a_captioner(hub, run, captioner, tmp_path):
    run("caption", WORDS, f"--caption_weights={captioner}")
    by_path = words(tmp_path, ".caption")
    assert hub.requests == [] and len(by_path) == 6
    run("caption", WORDS, "--caption_weights=org/blip")
    assert words(tmp_path, ".caption") == by_path
    assert {"config.json", "model.safetensors"} < fetched(hub), "and its words"
    assert not fetched(hub) & {"pytorch_model.bin", "tf_model.h5", "README.md"}
    run("caption", WORDS, "--caption_weights=org/blip", HF_HUB_OFFLINE="1")
    assert words(tmp_path, ".caption") == by_path
    hub.requests.clear()
    run("caption", WORDS, f"--caption_weights={captioner}")
    run("caption", WORDS, "--caption_weights=org/blip")  # there is nothing left to do
    assert hub.requests == []


def test_an_original_captioner(hub, run, captioner, tmp_path):
    small_blip.save_original(small_blip.make_blip("base"), tmp_path / "original" / "model.pth")
    hub.repos["org/old"] = Repo(files_of(tmp_path / "original"), large=["model.pth"])
    run("caption", WORDS, "--caption_weights=org/old/model.pth", f"--caption_vocabulary={captioner / 'vocab.txt'}")
    assert len(words(tmp_path, ".caption")) == 6 and fetched(hub) == {"model.pth"}


@pytest.mark.parametrize("family, folder, more", [
    ("standard", "", []), ("mapped", "v1/", []), ("deepdanbooru", "", ["--deepdanbooru"])])
def test_a_tagger(hub, run, tmp_path, family, folder, more):
    tagger = small_taggers.make_tagger(tmp_path / family, family, side=32)
    files = files_of(tagger, folder)
    hub.repos["org/tagger"] = Repo({**files, "model.msgpack": b"", "variables/model.onnx": b"x"})
    more = [*more, "--thresh=0.45"]
    run("tag", f"--repo_id={tagger}", *more)
    by_path = words(tmp_path, ".txt")
    assert hub.requests == [] and len(by_path) == 6
    name = f"--repo_id=org/tagger/{folder}".rstrip("/")
    run("tag", name, *more)
    assert words(tmp_path, ".txt") == by_path
    assert fetched(hub) == set(files)
    run("tag", name, *more, HF_HUB_OFFLINE="1")
    assert words(tmp_path, ".txt") == by_path


def test_what_lies_below_model_dir_goes_before_the_hub(hub, run, tmp_path):
    for where, score in (("wd14_tagger_model/org_tagger", 0.9), ("newer", 0.2)):
        small_taggers.make_tagger(tmp_path / where, scores=[0.1, 0.1, score, 0.1, 0.9, 0.1, 0.1, 0.1], side=32)
    hub.repos["org/tagger"] = Repo(files_of(tmp_path / "newer"))
    run("tag", "--repo_id=org/tagger")
    assert set(words(tmp_path, ".txt").values()) == {"long_hair, solo\n"} and hub.requests == []
    run("tag", "--repo_id=org/tagger", "--force_download")
    assert set(words(tmp_path, ".txt").values()) == {"solo\n"}


def test_annotate_finds_both(hub, run, captioner, tmp_path):
    tagger = small_taggers.make_tagger(tmp_path / "tagger", side=32)
    hub.repos["org/tagger"] = Repo(files_of(tagger))
    run("annotate", "out.json", WORDS, "--caption_weights=org/blip", "--repo_id=org/tagger", "--thresh=0.45")
    assert (tmp_path / "out.json").exists() and len(words(tmp_path, ".txt")) == 6


@pytest.mark.parametrize("command, option, message", [
    ("tag", "--repo_id=org/none", "the Hub has no org/none"),
    ("tag", "--repo_id=org/blip", "no tagger in ONNX"),
    ("tag", "--repo_id=org/blip/v1", "no tagger in ONNX"),
    ("caption", "--caption_weights=org/none", "the Hub has no org/none"),
    ("caption", "--caption_weights=org/empty", "no config.json"),
])
def test_one_message_for_what_is_nowhere(hub, run, captioner, command, option, message):
    hub.repos["org/empty"] = Repo({"README.md": b""})
    assert message in run(command, option, status=1, HF_TOKEN="hf_x").stderr
