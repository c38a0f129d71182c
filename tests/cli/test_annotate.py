"""`sdtune annotate` from outside: the same as its five commands by hand, whatever cuts it short."""

import json
import os
import random
import shutil
import signal
import time

import pytest
from parity import small_blip, small_taggers
from picture_sets import picture
from running import run_sdtune, start_sdtune, train_args, wait_until

COUNT = 8
CAPTIONER = ("--max_length=20", "--device=cpu")


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Options that name a small captioner and a small tagger."""
    folder = tmp_path_factory.mktemp("models")
    small_blip.save_blip(small_blip.make_blip("base"), folder / "captioner")
    small_taggers.make_tagger(folder / "tagger", side=32)
    return [f"--caption_weights={folder / 'captioner'}"], [f"--repo_id={folder / 'tagger'}", "--thresh=0.45"]


@pytest.fixture
def folder(tmp_path):
    return draw(tmp_path / "pictures", COUNT)


def draw(folder, count):
    (folder / "sub").mkdir(parents=True)
    for number in range(count):
        place = folder / "sub" if number % 4 == 3 else folder
        picture(64 + number % 50, 96, number).save(place / f"{number:04}.png")
    return folder


def annotate_args(folder, out, models, *more):
    return ["annotate", folder, out, *models[0], *models[1], *CAPTIONER, "--recursive", *more]


def passes(*args):
    done = run_sdtune(*args)
    assert done.returncode == 0, done.stderr
    return done


def texts(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*")
            if path.suffix in (".caption", ".txt")}


def test_the_same_as_its_commands_by_hand(folder, models, tmp_path):
    by_hand = shutil.copytree(folder, tmp_path / "by_hand")
    passes(*annotate_args(folder, tmp_path / "out.json", models))
    made = tmp_path / "made.json"
    passes("caption", by_hand, *models[0], *CAPTIONER, "--recursive")
    passes("tag", by_hand, *models[1], "--recursive")
    passes("merge-captions", by_hand, made, "--recursive")
    passes("merge-tags", by_hand, made, "--recursive")
    passes("clean", made, made)
    assert (tmp_path / "out.json").read_bytes() == made.read_bytes()
    assert texts(folder) == texts(by_hand) and len(texts(folder)) == 2 * COUNT
    entries = json.loads(made.read_text())
    assert len(entries) == COUNT and all(entry.keys() == {"caption", "tags"} for entry in entries.values())
    assert "_" not in "".join(entry["tags"].replace("^_^", "") for entry in entries.values()), "cleaned"


def test_training_takes_it(folder, models, tmp_path, small_models):
    out = tmp_path / "out.jsonl"
    done = passes(*annotate_args(folder, out, models, "--full_path"))
    assert f"--in_json={out} --resolution=512 --enable_bucket" in done.stderr
    keys = [json.loads(line)["image_path"] for line in out.read_text().splitlines()]
    assert str(folder / "sub" / "0003.png") in keys and len(keys) == COUNT
    passes(*train_args(small_models(), folder, tmp_path / "output", f"--in_json={out}", "--max_train_steps=1"))
    assert (tmp_path / "output" / "mine.safetensors").exists()


def test_words_that_are_there_stay(folder, models, tmp_path):
    (folder / "0000.caption").write_text("my own words\n")
    (folder / "0001.txt").write_text("my_tag\n")
    (tmp_path / "in.json").write_text(json.dumps({"0002": {"odd": 1.5}, "elsewhere": {"caption": "x", "tags": "y"}}))
    out = tmp_path / "out.json"
    passes(*annotate_args(folder, out, models, f"--in_json={tmp_path / 'in.json'}"))
    entries = json.loads(out.read_text())
    assert entries["0000"]["caption"] == "my own words" and entries["0001"]["tags"] == "my tag"
    assert entries["0002"].keys() == {"odd", "caption", "tags"} and entries["elsewhere"] == {"caption": "x", "tags": "y"}
    passes(*annotate_args(folder, out, models, "--overwrite"))
    entries = json.loads(out.read_text())
    assert entries["0000"]["caption"] != "my own words" and entries["0001"]["tags"] != "my tag"


def test_nothing_is_read_when_all_is_done(folder, models, tmp_path):
    passes(*annotate_args(folder, tmp_path / "out.json", models))
    (folder / "0000.caption").write_text("changed by hand\n")
    nowhere = [f"--caption_weights={tmp_path / 'nowhere'}"], [f"--repo_id={tmp_path / 'nowhere'}"]
    passes(*annotate_args(folder, tmp_path / "out.json", nowhere))
    assert json.loads((tmp_path / "out.json").read_text())["0000"]["caption"] == "changed by hand"


def test_a_corrupt_picture(folder, models, tmp_path):
    (folder / "0002.png").write_bytes(b"no picture")
    done = run_sdtune(*annotate_args(folder, tmp_path / "out.json", models))
    assert done.returncode == 1 and "0002.png" in done.stderr
    entries = json.loads((tmp_path / "out.json").read_text())
    assert len(entries) == COUNT - 1 and "0002" not in entries


def test_what_is_missing_is_told_before_the_first_caption(folder, models, tmp_path):
    def refused(status, *more):
        done = run_sdtune(*annotate_args(folder, tmp_path / "out.json", models, *more))
        assert done.returncode == status and not texts(folder) and not (tmp_path / "out.json").exists()
        return done.stderr

    assert "nowhere" in refused(1, f"--repo_id={tmp_path / 'nowhere'}", f"--model_dir={tmp_path / 'none'}")
    assert "nowhere" in refused(1, f"--caption_weights={tmp_path / 'nowhere'}")
    assert "--tag_extension" in refused(2, "--caption_extension=.txt")
    assert "over the pictures" in refused(2, "--tag_extension=png")


def test_extensions(folder, models, tmp_path):
    passes(*annotate_args(folder, tmp_path / "out.json", models, "--caption_extention=.words", "--tag_extension=tags"))
    assert len(list(folder.rglob("*.words"))) == len(list(folder.rglob("*.tags"))) == COUNT
    assert len(json.loads((tmp_path / "out.json").read_text())) == COUNT


def kill_when(args, is_time):
    """Ends a run outright as soon as is_time(), if it has not ended by then. Returns whether it was killed."""
    process = start_sdtune(*args)
    wait_until(is_time, process, 120)
    process.kill()
    return process.wait() != 0


def test_resume_after_kills(models, tmp_path):
    folder = draw(tmp_path / "pictures", 24)
    args = annotate_args(folder, tmp_path / "straight.json", models)
    passes(*args)
    straight = texts(folder)
    for name in straight:
        (folder / name).unlink()
    out = tmp_path / "out.json"
    args = annotate_args(folder, out, models)
    kills = [kill_when(args, lambda: len(texts(folder)) >= at) for at in (3, 15, 27, 40)]  # noqa: B023
    assert sum(kills) >= 2, "most runs ended before they could be killed"
    assert texts(folder).items() <= straight.items(), "no file is half written"
    passes(*args)
    assert out.read_bytes() == (tmp_path / "straight.json").read_bytes()
    assert texts(folder) == straight and not list(folder.rglob(".*"))


def test_a_stop_signal(folder, models, tmp_path):
    args = annotate_args(folder, tmp_path / "out.json", models)
    process = start_sdtune(*args)
    wait_until(lambda: texts(folder), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 128 + signal.SIGTERM), errors
    assert (tmp_path / "out.json").exists() == (process.returncode == 0)
    passes(*args)
    assert len(json.loads((tmp_path / "out.json").read_text())) == COUNT


def test_two_processes(folder, models, tmp_path):
    (folder / "0002.png").write_bytes(b"no picture")
    one = shutil.copytree(folder, tmp_path / "one")
    assert run_sdtune(*annotate_args(one, tmp_path / "one.json", models)).returncode == 1
    args = annotate_args(folder, tmp_path / "two.json", models)
    processes = [start_sdtune(*args, RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank)) for rank in range(2)]
    codes = [process.wait(timeout=120) for process in processes]
    assert sorted(codes) == [0, 1], [process.stderr.read() for process in processes]
    assert (tmp_path / "two.json").read_bytes() == (tmp_path / "one.json").read_bytes()
    assert texts(folder) == texts(one)


def test_the_last_of_two_processes_writes_the_metadata(folder, models, tmp_path):
    args = annotate_args(folder, tmp_path / "out.json", models)
    for rank in range(2):
        assert not (tmp_path / "out.json").exists()
        process = start_sdtune(*args, RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank))
        assert process.wait(timeout=60) == 0, process.stderr.read()
        assert ("the last process" in process.stderr.read()) == (rank == 0)
    assert len(json.loads((tmp_path / "out.json").read_text())) == COUNT


def peak_mb(args):
    process = start_sdtune(*args)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0, errors
    return usage.ru_maxrss / 1024


@pytest.mark.large
def test_a_thousand_pictures(models, tmp_path):
    """Killed at random until it is through: the same as straight through, in the memory that a hundred take."""
    folder = draw(tmp_path / "pictures", 1000)
    few = draw(tmp_path / "few", 100)
    few_mb = peak_mb(annotate_args(few, tmp_path / "few.json", models))
    many_mb = peak_mb(annotate_args(folder, tmp_path / "straight.json", models))
    straight = texts(folder)
    for name in straight:
        (folder / name).unlink()
    generator, kills = random.Random(3), 0
    args = annotate_args(folder, tmp_path / "out.json", models)
    while True:
        end = time.monotonic() + generator.uniform(0.5, 4)
        if not kill_when(args, lambda: time.monotonic() > end):  # noqa: B023
            break
        kills += 1
        assert texts(folder).items() <= straight.items()
    print(f"peak {few_mb:.0f} MB with 100 pictures, {many_mb:.0f} MB with 1,000; killed {kills} times")
    assert kills >= 3
    assert (tmp_path / "out.json").read_bytes() == (tmp_path / "straight.json").read_bytes()
    assert texts(folder) == straight and not list(folder.rglob(".*"))
    assert many_mb < few_mb + 20
