"""`sdtune caption` from outside: what it writes, how it goes on, and what several processes make together."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from parity import small_blip
from picture_sets import picture
from running import BUILD, ROOT, make_old, run_sdtune, start_sdtune, wait_until

COUNT = 12


@pytest.fixture(scope="session")
def captioner(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captioner")
    small_blip.save_blip(small_blip.make_blip("base"), folder)
    return folder


@pytest.fixture
def folder(tmp_path):
    """Pictures, some of them in a sub-folder."""
    make = tmp_path / "pictures"
    (make / "sub").mkdir(parents=True)
    for number in range(COUNT):
        place = make / "sub" if number % 4 == 3 else make
        picture(40 + number, 60, number).save(place / f"{number:02}.png")
    return make


def caption_args(folder, captioner, *more):
    return ["caption", folder, f"--caption_weights={captioner}", "--recursive", "--max_length=20", "--device=cpu", *more]


def caption(folder, captioner, *more, status=0, **kwargs):
    done = run_sdtune(*caption_args(folder, captioner, *more), **kwargs)
    assert done.returncode == status, done.stderr
    return done


def texts(folder, extension=".caption"):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob(f"*{extension}")}


@pytest.fixture
def straight(folder, captioner):
    """The captions of a run without any trouble, which is cleared away again."""
    caption(folder, captioner, "--batch_size=4")
    made = texts(folder)
    assert len(made) == COUNT
    for name in made:
        (folder / name).unlink()
    return made


def test_text_files(folder, captioner):
    done = caption(folder, captioner, "--caption_extention=txt", "--debug")
    made = texts(folder, ".txt")
    assert made.keys() == {str(p.relative_to(folder).with_suffix(".txt")) for p in folder.rglob("*.png")}
    assert all(text.endswith("\n") and not text.startswith("a picture of") for text in made.values())
    assert len(set(made.values())) > COUNT / 2
    assert f"wrote {COUNT} captions" in done.stderr
    assert all(f"{(folder / name).with_suffix('.png')}: {text}" in done.stderr for name, text in made.items())


def test_sub_folders_only_when_asked_for(folder, captioner):
    args = [word for word in caption_args(folder, captioner) if word != "--recursive"]
    assert run_sdtune(*args).returncode == 0
    assert len(texts(folder)) == COUNT * 3 // 4


def test_captions_are_the_pictures_own(folder, captioner, straight):
    """Neither the number of pictures at once nor their names and neighbours change what is drawn."""
    caption(folder, captioner, "--batch_size=5", "--max_data_loader_n_workers=3")
    assert texts(folder) == straight
    for name in straight:
        (folder / name).unlink()
    (folder / "00.png").rename(folder / "zz.png")
    (folder / "01.png").unlink()
    caption(folder, captioner)
    again = texts(folder)
    assert again.pop("zz.caption") == straight["00.caption"]
    assert again.items() <= straight.items()
    caption(folder, captioner, "--seed=43", "--overwrite")
    assert not again.items() <= texts(folder).items()


def test_what_has_a_caption_is_left_out(folder, captioner, straight):
    (folder / "00.caption").write_text("my own\n")
    (folder / "01.caption").write_text("")
    done = caption(folder, captioner)
    assert "1 pictures had one already" in done.stderr
    assert texts(folder) == {**straight, "00.caption": "my own\n"}
    done = caption(folder, captioner)
    assert f"wrote 0 captions; {COUNT} pictures" in done.stderr
    caption(folder, captioner, "--overwrite", "--batch_size=4")
    assert texts(folder) == straight


def test_a_corrupt_picture(folder, captioner, straight):
    (folder / "02.png").write_bytes((folder / "02.png").read_bytes()[:60])
    done = caption(folder, captioner, "--batch_size=4", status=1)
    assert "02.png" in done.stderr
    assert "1 could not be read" in done.stderr
    made = texts(folder)
    assert "02.caption" not in made and len(made) == COUNT - 1


def kill_half_way(args, is_time, is_whole, clear, timeout=60):
    """Kills a run outright as soon as is_time(). One that was whole by then is cleared away and started again."""
    for _ in range(5):
        process = start_sdtune(*args)
        wait_until(is_time, process, timeout)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if not is_whole():
            return
        clear()
    raise AssertionError("every run was whole before it could be killed")


def unlink_all(paths):
    for path in paths:
        path.unlink()


@pytest.mark.parametrize("made_before", [1, 5, 9])
def test_resume_after_kill(folder, captioner, straight, made_before):
    kill_half_way(caption_args(folder, captioner, "--batch_size=2"), lambda: len(texts(folder)) >= made_before,
                  lambda: len(texts(folder)) == COUNT, lambda: unlink_all(folder.rglob("*.caption")))
    left = texts(folder)
    assert made_before <= len(left) < COUNT and left.items() <= straight.items(), "no file is half written"
    of_another_machine = folder / "sub/.03.caption.tmp-999999999-0-0"
    of_another_machine.write_text("of a process that is gone")
    make_old(of_another_machine)
    caption(folder, captioner, "--batch_size=2")
    assert texts(folder) == straight
    assert not list(folder.rglob(".*")), "nothing unfinished is left behind"


def test_resume_of_metadata_after_kill(folder, captioner, tmp_path):
    args = caption_args(folder, captioner, "--batch_size=2", "--full_path")
    assert run_sdtune(*args, f"--output_path={tmp_path / 'straight.json'}").returncode == 0
    out, journal = tmp_path / "out.json", tmp_path / "out.json.captions.jsonl"

    def is_time():
        try:
            return journal.read_text().count("\n") > 4
        except FileNotFoundError:
            return False

    kill_half_way([*args, f"--output_path={out}"], is_time, out.exists, out.unlink)
    assert journal.exists()
    assert run_sdtune(*args, f"--output_path={out}").returncode == 0
    assert out.read_bytes() == (tmp_path / "straight.json").read_bytes()
    assert str(folder / "sub/03.png") in json.loads(out.read_text())
    assert not journal.exists()


def test_a_stop_signal_keeps_what_is_written(folder, captioner, straight):
    process = start_sdtune(*caption_args(folder, captioner))
    wait_until(lambda: texts(folder), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 128 + signal.SIGTERM), errors
    assert ("stopped" in errors) == (process.returncode != 0)
    caption(folder, captioner)
    assert texts(folder) == straight


def both(*args):
    """Two processes; the first one, which alone tells what it does, writes half."""
    processes = [start_sdtune(*args, RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank)) for rank in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert f"wrote {COUNT // 2} captions" in errors[0]


@pytest.mark.parametrize("size", [1, 3])
def test_two_processes_write_the_same_files_as_one(folder, captioner, straight, size):
    both(*caption_args(folder, captioner, f"--batch_size={size}"))
    assert texts(folder) == straight


@pytest.mark.parametrize("name", ["out.json", "out.jsonl"])
def test_two_processes_write_the_same_metadata_as_one(folder, captioner, tmp_path, name):
    args = caption_args(folder, captioner, "--full_path")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert run_sdtune(*args, f"--output_path={tmp_path / 'one' / name}").returncode == 0
    both(*args, f"--output_path={tmp_path / 'two' / name}")
    assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert os.listdir(tmp_path / "two") == [name]


def test_metadata_in_and_out(folder, captioner, straight, tmp_path):
    entries = {"00": {"tags": "x, y", "train_resolution": [64, 64]}, "01": {"caption": "given", "odd": 1.5},
               str(folder / "sub/03.png"): {}}
    (tmp_path / "in.json").write_text(json.dumps(entries))
    done = caption(folder, captioner, f"--in_json={tmp_path / 'in.json'}", f"--output_path={tmp_path / 'out.json'}")
    assert "wrote 2 captions; 1 pictures" in done.stderr
    out = json.loads((tmp_path / "out.json").read_text())
    assert out == {"00": {**entries["00"], "caption": straight["00.caption"].strip()}, "01": entries["01"],
                   str(folder / "sub/03.png"): {"caption": straight["sub/03.caption"].strip()}}
    assert not texts(folder)


def test_metadata_of_a_corrupt_picture(folder, captioner, tmp_path):
    (folder / "02.png").write_bytes(b"no picture")
    out = tmp_path / "out.json"
    caption(folder, captioner, f"--output_path={out}", status=1)
    keys = json.loads(out.read_text()).keys()
    assert len(keys) == COUNT - 1 and "02" not in keys and "sub/03" in keys
    picture(50, 50, 1).save(folder / "02.png")
    caption(folder, captioner, f"--output_path={out}")
    assert "02" in json.loads(out.read_text())


def test_a_name_that_is_not_utf8(folder, captioner, tmp_path):
    """Metadata cannot hold it; a text file beside the picture can have it."""
    shutil.copy(folder / "00.png", os.fsencode(folder) + b"/caf\xe9.png")
    out = tmp_path / "out.json"
    done = caption(folder, captioner, f"--output_path={out}", errors="replace")
    assert "not UTF-8" in done.stderr and "caf\ufffd.png" in done.stderr
    assert len(json.loads(out.read_text())) == COUNT and {*os.listdir(tmp_path)} == {"pictures", "out.json"}
    caption(folder, captioner, errors="replace")
    assert os.path.exists(os.fsencode(folder) + b"/caf\xe9.caption")


def test_the_longest_names(folder, captioner):
    (folder / "00.png").rename(folder / f"{'x' * 247}.png")
    caption(folder, captioner)
    assert f"{'x' * 247}.caption" in texts(folder)


def test_two_pictures_of_one_name(folder, captioner):
    picture(64, 64, 77).save(folder / "00.bmp")
    done = caption(folder, captioner)
    assert "share the name" in done.stderr and "00.png" in done.stderr and f"wrote {COUNT} captions" in done.stderr
    assert len(texts(folder)) == COUNT


def test_the_script_of_the_same_name(folder, captioner, straight):
    script = ROOT / "finetune/make_captions.py"
    args = [str(word) for word in caption_args(folder, captioner)[1:]]
    done = subprocess.run([sys.executable, script, *args], env={**os.environ, "SDTUNE": str(BUILD / "sdtune")},
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert texts(folder) == straight


def test_beams_without_beam_search_are_said_to_do_nothing(folder, captioner, straight):
    """make_captions.py takes both, and users give both."""
    done = caption(folder, captioner, "--num_beams=3")
    assert "--beam_search" in done.stderr
    assert texts(folder) == straight


def refused(folder, captioner, *more, status):
    done = caption(folder, captioner, *more, status=status)
    assert not texts(folder)
    return done.stderr


def test_errors_say_what_to_do(folder, captioner, tmp_path):
    assert "--caption_weights" in refused(folder, tmp_path / "nowhere", status=1)
    assert "Download" in refused(folder, "https://host/model_large_caption.pth", status=1)
    assert "--prompt" in refused(folder, captioner, "--prompt=a picture of a cat with a dog", "--max_length=5", status=2)
    assert "64" in refused(folder, captioner, "--max_length=65", status=2)
    assert "--num_beams" in refused(folder, captioner, "--beam_search", "--num_beams=70", status=2)
    assert "over the pictures" in refused(folder, captioner, "--caption_extension=.png", status=2)
    (tmp_path / "empty").mkdir()
    assert "no pictures" in refused(tmp_path / "empty", captioner, status=1)


def test_an_original_checkpoint_without_words(folder, tmp_path):
    weights = tmp_path / "original" / "model_caption.pth"
    small_blip.save_original(small_blip.make_blip("base"), weights)
    words = tmp_path / "words.txt"
    (weights.parent / "vocab.txt").rename(words)
    assert "--caption_vocabulary" in refused(folder, weights, status=1)
    others = tmp_path / "others.txt"
    others.write_text("".join(f"x{number}\n" for number in range(200)) + words.read_text())
    assert "another model's" in refused(folder, weights, f"--caption_vocabulary={others}", status=1)
    caption(folder, weights, f"--caption_vocabulary={words}")
    assert len(texts(folder)) == COUNT


def test_damaged_captioners_are_refused(folder, captioner, tmp_path):
    import safetensors.torch

    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("config.json", "tokenizer.json", "vocab.txt"):
        (broken / name).write_text((captioner / name).read_text())
    assert "no weights" in refused(folder, broken, status=1)
    tensors = safetensors.torch.load_file(captioner / "model.safetensors")
    lost = tensors.pop("vision_model.post_layernorm.weight")
    safetensors.torch.save_file(tensors, broken / "model.safetensors")
    assert "vision_model.post_layernorm.weight" in refused(folder, broken, status=1)
    tensors["vision_model.post_layernorm.weight"] = lost[:5].clone()
    safetensors.torch.save_file(tensors, broken / "model.safetensors")
    assert "shape" in refused(folder, broken, status=1)
