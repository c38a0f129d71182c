"""`sdtune tag` from outside: every option's words, where they go, how it goes on and what is refused."""

import json
import os
import signal
import subprocess
import sys

import pytest
from parity import small_taggers
from picture_sets import picture
from running import BUILD, ROOT, run_sdtune, start_sdtune, wait_until

COUNT = 6
SCORES = [0.3, 0.61, 0.3501, 0.51, 0.91, 0.4, 0.55, 0.81]  # of small_taggers.TAGS
MORE_SCORES = [0.1, 0.2, 0.95, 0.71, 0.36, 0.21]
LAZY = 'don\'t_say_"lazy",_1'
ALL = f"long_hair, ^_^, solo, {LAZY}, ann_(sea), bob_(hat)_(sea)"


@pytest.fixture(scope="session")
def taggers(tmp_path_factory):
    """Folders of small taggers by family, which say the same of every picture."""
    folder = tmp_path_factory.mktemp("taggers")
    for family in small_taggers.FAMILIES:
        scores = SCORES + (MORE_SCORES if family == "mapped" else [])
        small_taggers.make_tagger(folder / family, family, scores, side=32)
    small_taggers.make_tagger(folder / "seeing", side=32)
    return folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures" / "sub").mkdir(parents=True)
    for number in range(COUNT):
        name = f"sub/{number}.png" if number == 3 else f"{number}.png"
        picture(40 + number, 60, number).save(tmp_path / "pictures" / name)
    return tmp_path / "pictures"


def tag(folder, tagger, *more, status=0, **kwargs):
    done = run_sdtune("tag", folder, f"--repo_id={tagger}", *more, **kwargs)
    assert done.returncode == status, done.stderr
    return done


def texts(folder, extension=".txt"):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob(f"*{extension}")}


STANDARD = {
    "": ALL,
    "--thresh=0.5": "^_^, solo, ann_(sea), bob_(hat)_(sea)",
    "--general_threshold=0.6": "solo, ann_(sea), bob_(hat)_(sea)",
    "--character_threshold=0.6": f"long_hair, ^_^, solo, {LAZY}, bob_(hat)_(sea)",
    "--thresh=1": "",
    "--remove_underscore --thresh=0.36": 'don\'t say "lazy", 1'.join(["^_^, solo, ", ", ann (sea), bob (hat) (sea)"]),
    "--undesired_tags=solo,ann_(sea) --thresh=0.5": "^_^, bob_(hat)_(sea)",
    "--use_rating_tags --thresh=0.6": "sensitive, solo, bob_(hat)_(sea)",
    "--use_rating_tags_as_last_tag --thresh=0.6": "solo, bob_(hat)_(sea), sensitive",
    "--use_rating_tags --undesired_tags=sensitive --thresh=0.6": "solo, bob_(hat)_(sea)",
    "--character_tags_first --thresh=0.5": "bob_(hat)_(sea), ann_(sea), ^_^, solo",
    "--always_first_tags=solo,none,long_hair": f"long_hair, solo, ^_^, {LAZY}, ann_(sea), bob_(hat)_(sea)",
    "--caption_separator=; --thresh=0.8": "solo;bob_(hat)_(sea)",
    "--caption_separator=; --character_tag_expand --undesired_tags=solo;x --thresh=0.8": "bob_(hat);sea",
    "--character_tag_expand --thresh=0.5": "^_^, solo, ann, sea, bob_(hat), sea",
    "--character_tag_expand --remove_underscore --thresh=0.8": "solo, bob (hat), sea",
    "--tag_replacement=solo,one\\,two;bob_(hat)_(sea),b\\;b --thresh=0.8": "one,two, b;b",
    "--tag_replacement=sensitive,soft --use_rating_tags --thresh=0.95": "soft",
    "--use_quality_tags --thresh=0.8": "solo, bob_(hat)_(sea)",
    "--onnx --force_download --thresh=0.9": "solo",
}


@pytest.mark.parametrize("words", STANDARD)
def test_words_of_the_standard_layout(words, folder, taggers):
    tag(folder, taggers / "standard", *words.split())
    assert texts(folder) == {f"{n}.txt": STANDARD[words] + "\n" for n in range(COUNT) if n != 3}


MAPPED = {
    "": f"sea_tales, solo, bob_(hat)_(sea), highres, ann_(sea), ^_^, {LAZY}, some_model, long_hair",
    "--thresh=0.6 --copyright_threshold=0.96 --meta_threshold=0.75": "solo, bob_(hat)_(sea)",
    "--thresh=0.9 --model_threshold=0.3 --artist_threshold=0.2": "sea_tales, solo, some_model, an_artist",
    "--thresh=0.9 --use_rating_tags --use_quality_tags": "sensitive, low_quality, sea_tales, solo",
    "--thresh=0.9 --use_rating_tags_as_last_tag --use_quality_tags_as_last_tag":
        "sea_tales, solo, low_quality, sensitive",
    "--thresh=0.7 --character_tags_first": "bob_(hat)_(sea), sea_tales, solo, highres",
    "--thresh=0.8 --tag_replacement=solo,one": "sea_tales, one, bob_(hat)_(sea)",
}


@pytest.mark.parametrize("words", MAPPED)
def test_words_of_the_mapped_layout(words, folder, taggers):
    tag(folder, taggers / "mapped", *words.split())
    assert texts(folder)["0.txt"] == MAPPED[words] + "\n"


def test_deepdanbooru(folder, taggers):
    done = tag(folder, taggers / "deepdanbooru", "--deepdanbooru", "--thresh=0.5", "--use_rating_tags")
    assert texts(folder)["0.txt"] == "rating:sensitive, ^_^, solo, ann_(sea), bob_(hat)_(sea)\n"
    assert "OpenVINO" in done.stderr and "CPU" in done.stderr, "what computes is told"
    assert "selected_tags.csv" in tag(folder, taggers / "deepdanbooru", "--overwrite", status=1).stderr


def test_sub_folders_and_extensions(folder, taggers):
    tag(folder, taggers / "standard", "--recursive", "--caption_extention=.tags", "--batch_size=4")
    assert len(texts(folder, ".tags")) == COUNT


def test_every_picture_has_its_own_tags(folder, taggers):
    """Whatever the batch: the tagger looks at the picture."""
    tag(folder, taggers / "seeing", "--recursive", "--batch_size=4", "--thresh=0.45")
    made = texts(folder)
    tag(folder, taggers / "seeing", "--recursive", "--overwrite", "--thresh=0.45")
    assert texts(folder) == made and len(set(made.values())) > 1


def test_a_model_for_one_picture(folder, tmp_path):
    tagger = small_taggers.make_tagger(tmp_path / "fixed", scores=SCORES, side=32, batch=2)
    done = tag(folder, tagger, "--batch_size=5", "--thresh=0.9")
    assert "2 pictures at once" in done.stderr
    assert set(texts(folder).values()) == {"solo\n"} and len(texts(folder)) == COUNT - 1


def test_scores_that_are_no_numbers(folder, tmp_path):
    tagger = small_taggers.make_tagger(tmp_path / "broken", scores=[float("nan"), *SCORES[1:]], side=32)
    assert "no numbers" in tag(folder, tagger, status=1).stderr
    assert not texts(folder)


def test_the_places_of_sd_scripts(folder, taggers, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "owner_name").symlink_to(taggers / "standard")
    (tmp_path / "models" / "owner_other").mkdir()
    (tmp_path / "models" / "owner_other" / "sub").symlink_to(taggers / "mapped")
    where = f"--model_dir={tmp_path / 'models'}"
    tag(folder, "owner/name", where, "--thresh=0.9")
    assert texts(folder)["0.txt"] == "solo\n"
    tag(folder, "owner/other/sub", where, "--thresh=0.9", "--overwrite")
    assert texts(folder)["0.txt"] == "sea_tales, solo\n"
    done = tag(folder, "owner/none", "--model_dir=nowhere", "--overwrite", status=1,
               env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)})
    assert "owner/none" in done.stderr and "offline" in done.stderr.lower()
    tag(folder, "owner/none", f"--model_dir={taggers / 'standard'}", "--thresh=0.9", "--overwrite")
    assert texts(folder)["0.txt"] == "solo\n"


def test_appending(folder, taggers):
    (folder / "0.txt").write_text("mine,solo ,  other\n")
    for _ in range(2):
        tag(folder, taggers / "standard", "--append_tags", "--thresh=0.5")
        assert texts(folder)["0.txt"] == "mine, solo, other, ^_^, ann_(sea), bob_(hat)_(sea)\n"
        assert texts(folder)["1.txt"] == "^_^, solo, ann_(sea), bob_(hat)_(sea)\n"


def test_frequencies(folder, taggers):
    done = tag(folder, taggers / "standard", "--frequency_tags", "--thresh=0.6", "--debug", "--character_tag_expand",
               "--tag_replacement=solo,sea")
    assert done.stdout == "Tag frequencies:\nsea: 10\nbob_(hat): 5\n"
    assert "0.png: sea, bob_(hat), sea" in done.stderr


def test_what_has_tags_is_left_out(folder, taggers):
    (folder / "0.txt").write_text("my own\n")
    done = tag(folder, taggers / "standard", "--thresh=0.9")
    assert "wrote 4 tags; 1 pictures had one already" in done.stderr
    assert texts(folder)["0.txt"] == "my own\n"
    tag(folder, taggers / "standard", "--thresh=0.9", "--overwrite")
    assert texts(folder)["0.txt"] == "solo\n"


def test_a_corrupt_picture(folder, taggers):
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:60])
    done = tag(folder, taggers / "standard", "--batch_size=3", status=1)
    assert "2.png" in done.stderr and "1 could not be read" in done.stderr
    assert len(texts(folder)) == COUNT - 2


def test_json(folder, taggers, tmp_path):
    out = tmp_path / "out.json"
    tag(folder, taggers / "standard", "--recursive", f"--output_path={out}", "--thresh=0.9")
    made = json.loads(out.read_text())
    assert made == {str(folder / (f"sub/{n}.png" if n == 3 else f"{n}.png")): {"tags": "solo", "image_size": [40 + n, 60]}
                    for n in range(COUNT)}
    assert not texts(folder) and os.listdir(tmp_path).count("out.json.tags.jsonl") == 0


def test_json_lines(folder, taggers, tmp_path):
    out = tmp_path / "out.jsonl"
    tag(folder, taggers / "standard", f"--output_path={out}", "--thresh=0.9")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines == [{"image_path": str(folder / f"{n}.png"), "caption": "solo", "image_size": [40 + n, 60]}
                     for n in range(COUNT) if n != 3]


def test_metadata_in_and_out(folder, taggers, tmp_path):
    entries = {"0": {"caption": "a girl", "odd": 1.5}, "1": {"tags": "given", "caption": "x"}, "sub/3.png": {}}
    (tmp_path / "in.json").write_text(json.dumps(entries))
    for name in ("out.json", "out.jsonl"):
        tag(folder, taggers / "standard", f"--in_json={tmp_path / 'in.json'}", f"--output_path={tmp_path / name}",
            "--thresh=0.9")
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "0": {"caption": "a girl", "odd": 1.5, "tags": "solo", "image_size": [40, 60]},
        "1": {"tags": "given", "caption": "x"}, "sub/3.png": {"tags": "solo", "image_size": [43, 60]}}
    first = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert first["caption"] == "a girl" and first["tags"] == "solo"


@pytest.mark.parametrize("name", ["text", "out.json"])
def test_resume_after_kill(name, taggers, tmp_path):
    """Killed at several moments: the rest is written, nothing twice, nothing by halves."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(40):
        picture(50 + number, 60, number).save(pictures / f"{number:02}.png")
    args = ["tag", pictures, f"--repo_id={taggers / 'seeing'}", "--thresh=0.45"]
    out, straight = tmp_path / name, tmp_path / "straight.json"

    def made():
        journal = tmp_path / "out.json.tags.jsonl"
        if name == "text":
            return len(texts(pictures))
        return 40 if out.exists() else journal.read_text().count("\n") if journal.exists() else 0

    more = [] if name == "text" else [f"--output_path={out}"]
    cut = 0
    for at in (1, 8, 20):
        process = start_sdtune(*args, *more)
        wait_until(lambda: made() >= at, process)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.wait()
        cut += at <= made() < 40
    assert cut > 0, "no kill came in time"
    done = run_sdtune(*args, *more)
    assert done.returncode == 0, done.stderr
    assert run_sdtune(*args, f"--output_path={straight}").returncode == 0
    if name == "text":
        expected = {key: entry["tags"] + "\n" for key, entry in json.loads(straight.read_text()).items()}
        assert {str((pictures / key).with_suffix(".png")): text for key, text in texts(pictures).items()} == expected
        assert not list(pictures.rglob(".*"))
    else:
        assert out.read_bytes() == straight.read_bytes()


def test_two_processes_write_the_same_metadata_as_one(folder, taggers, tmp_path):
    args = ["tag", folder, f"--repo_id={taggers / 'seeing'}", "--recursive", "--thresh=0.45"]
    assert run_sdtune(*args, f"--output_path={tmp_path / 'one.json'}").returncode == 0
    processes = [start_sdtune(*args, f"--output_path={tmp_path / 'two.json'}", RANK=str(rank), WORLD_SIZE="2",
                       LOCAL_RANK=str(rank)) for rank in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert f"wrote {COUNT // 2} tags" in errors[0]
    assert (tmp_path / "two.json").read_bytes() == (tmp_path / "one.json").read_bytes()


def test_the_script_of_the_same_name(folder, taggers):
    script = ROOT / "finetune/tag_images_by_wd14_tagger.py"
    done = subprocess.run([sys.executable, script, folder, f"--repo_id={taggers / 'standard'}", "--onnx", "--thresh=0.9"],
                          env={**os.environ, "SDTUNE": str(BUILD / "sdtune")}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert texts(folder)["0.txt"] == "solo\n"


def test_errors_say_what_to_do(folder, taggers, tmp_path):
    def refused(status, *more):
        done = tag(folder, taggers / "standard", *more, status=status)
        assert not texts(folder)
        return done.stderr

    assert "old,new" in refused(2, "--tag_replacement=solo")
    assert "--output_path" in refused(2, "--append_tags", f"--output_path={tmp_path / 'x.json'}")
    assert "over the pictures" in refused(2, "--caption_extension=.png")
    assert "GPU" in refused(1, "--device=gpu")
    assert "no tag 'absent'" in tag(folder, taggers / "standard", "--tag_replacement=absent,x").stderr
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "saved_model.pb").write_bytes(b"")
    assert "TensorFlow" in tag(folder, tmp_path / "tensorflow", "--overwrite", status=1).stderr
