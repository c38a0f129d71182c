"""sd-scripts' commands as its guide writes them, with the real accelerate in front where the guide has it."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from running import BUILD, ROOT, draw_pictures

ACCELERATE = [sys.executable, "-m", "accelerate.commands.launch", "--num_cpu_threads_per_process", "1"]


def run_script(words, folder, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ACCELERATE_")}
    return subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True, timeout=600,
                          env=clean | {"SDTUNE": str(BUILD / "sdtune"), "HF_HOME": str(folder)} | environment)


def python(script, *arguments):
    return [sys.executable, ROOT / script, *arguments]


def test_first_command_of_the_guide(small_models, pictures, tmp_path):
    (tmp_path / "data.toml").write_text(f"""
[general]
shuffle_caption = true
keep_tokens = 1

[[datasets]]
resolution = 64
batch_size = 2

  [[datasets.subsets]]
  image_dir = "{pictures}"
  metadata_file = "{tmp_path / 'meta.json'}"
""")
    made = run_script(python("finetune/merge_captions_to_metadata.py", "--full_path", pictures, "meta.json"), tmp_path)
    assert made.returncode == 0, made.stderr
    result = run_script([
        *ACCELERATE, ROOT / "fine_tune.py", f"--pretrained_model_name_or_path={small_models()}", "--output_dir=out",
        "--output_name=mine", "--dataset_config=data.toml", "--save_model_as=safetensors", "--learning_rate=5e-6",
        "--max_train_steps=10", "--use_8bit_adam", "--xformers",
        "--gradient_checkpointing", "--mixed_precision=fp16"], tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "mine.safetensors").exists()
    assert "10/10" in result.stderr and "--xformers changes nothing" in result.stderr


def test_second_command_of_the_guide_from_raw_pictures(small_models, tmp_path):
    pictures = draw_pictures(tmp_path / "train", count=5)
    model = small_models()
    for words in [
        python("finetune/merge_captions_to_metadata.py", "train", "meta_cap.json"),
        python("finetune/merge_dd_tags_to_metadata.py", "train", "--in_json", "meta_cap.json", "meta_cap_dd.json"),
        python("finetune/clean_captions_and_tags.py", "meta_cap_dd.json", "meta_clean.json"),
        python("finetune/prepare_buckets_latents.py", "train", "meta_clean.json", "meta_lat.json", model,
               "--batch_size", "4", "--max_resolution", "128,128", "--min_bucket_reso", "64", "--max_bucket_reso",
               "256", "--mixed_precision", "no"),
    ]:
        result = run_script(words, tmp_path)
        assert result.returncode == 0, result.stderr
    assert len(list(pictures.glob("*.npz"))) == 5
    entries = json.loads((tmp_path / "meta_lat.json").read_text())
    assert all(set(e) >= {"caption", "tags", "train_resolution"} for e in entries.values())
    result = run_script([
        *ACCELERATE, ROOT / "fine_tune.py", f"--pretrained_model_name_or_path={model}", "--in_json", "meta_lat.json",
        "--train_data_dir=train", "--output_dir=out", "--shuffle_caption", "--train_batch_size=1",
        "--learning_rate=5e-6", "--max_train_epochs=9", "--use_8bit_adam",
        "--xformers", "--gradient_checkpointing", "--mixed_precision=bf16", "--save_every_n_epochs=4"], tmp_path)
    assert result.returncode == 0, result.stderr
    assert "all pictures have latents beside them" in result.stderr
    saved = {p.name for p in (tmp_path / "out").iterdir()}
    assert saved == {"epoch-000004", "epoch-000008", "last", "last-run"}


def test_tools(small_models, pictures, tmp_path):
    small = run_script(python("tools/resize_images_to_resolution.py", pictures, "small", "--max_resolution", "48x48"),
                       tmp_path)
    assert small.returncode == 0, small.stderr
    assert len(list((tmp_path / "small").glob("*+48x48.jpg"))) == 6
    own = draw_pictures(tmp_path / "own", count=2)
    cached = run_script(python("tools/cache_latents.py", f"--pretrained_model_name_or_path={small_models()}",
                               f"--train_data_dir={own}", "--resolution=64"), tmp_path)
    assert cached.returncode == 0, cached.stderr
    assert len(list(own.glob("*.npz"))) == 2
    converted = run_script(python("tools/convert_diffusers20_original_sd.py", small_models(), "one.safetensors", "--fp16"),
                           tmp_path)
    assert converted.returncode == 0, converted.stderr
    assert (tmp_path / "one.safetensors").is_file()


def fine_tune(model, pictures, *more):
    return python("fine_tune.py", f"--pretrained_model_name_or_path={model}", f"--train_data_dir={pictures}",
                  "--output_dir=out", "--resolution=64", "--max_train_steps=1", "--device=cpu", *more)


def recorded(folder, name):
    lines = (folder / "out" / "last-run" / "run.toml").read_text().splitlines()
    return [line.split(" = ")[1] for line in lines if line.startswith(f"{name} = ")]


def test_settings_of_accelerate_count_where_the_command_says_nothing(small_models, pictures, tmp_path):
    settings = {"ACCELERATE_MIXED_PRECISION": "bf16", "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "3"}
    result = run_script(fine_tune(small_models(), pictures), tmp_path, **settings)
    assert result.returncode == 0, result.stderr
    assert recorded(tmp_path, "mixed_precision") == ['"bf16"']
    assert recorded(tmp_path, "gradient_accumulation_steps") == ["3"]
    assert "--mixed_precision=bf16 is taken from ACCELERATE_MIXED_PRECISION" in result.stderr
    result = run_script(fine_tune(small_models(), pictures, "--mixed_precision=no"), tmp_path, **settings)
    assert result.returncode == 0, result.stderr
    assert recorded(tmp_path, "mixed_precision") == ['"no"']
    result = run_script(fine_tune(small_models(), pictures), tmp_path, ACCELERATE_MIXED_PRECISION="fp8")
    assert result.returncode == 2 and "ACCELERATE_MIXED_PRECISION" in result.stderr


def test_precision_given_to_accelerate_launch_arrives(small_models, pictures, tmp_path):
    words = fine_tune(small_models(), pictures)[1:]
    result = run_script([*ACCELERATE, "--mixed_precision=bf16", *words], tmp_path)
    assert result.returncode == 0, result.stderr
    assert recorded(tmp_path, "mixed_precision") == ['"bf16"']


def test_exit_codes_pass_through(small_models, pictures, tmp_path):
    result = run_script(fine_tune(small_models(), pictures, "--no_such_option"), tmp_path)
    assert result.returncode == 2 and "there is no option '--no_such_option'" in result.stderr


@pytest.fixture
def moved_scripts(tmp_path):
    """The scripts in a place without a build beside them."""
    for name in ["fine_tune.py", "scripts/hand_over.py"]:
        (tmp_path / "moved" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "moved" / name)
    return tmp_path / "moved"


def test_the_program_is_found_on_the_path_beside_the_scripts_or_named(moved_scripts):
    words = [sys.executable, moved_scripts / "fine_tune.py", "--help"]
    plain = {"PATH": "/usr/bin:/bin", "SDTUNE": ""}
    missing = run_script(words, moved_scripts, **plain)
    assert missing.returncode == 1 and "sdtune is not there" in missing.stderr
    on_path = run_script(words, moved_scripts, **plain | {"PATH": f"{BUILD}:/usr/bin:/bin"})
    assert on_path.returncode == 0 and "--learning_rate" in on_path.stdout
    (moved_scripts / "build").mkdir()
    (moved_scripts / "build" / "release").symlink_to(BUILD)
    beside = run_script(words, moved_scripts, **plain)
    assert beside.returncode == 0 and "--learning_rate" in beside.stdout
    wrong = run_script(words, moved_scripts, SDTUNE=str(moved_scripts / "nothing"))
    assert wrong.returncode == 1 and "$SDTUNE names no program" in wrong.stderr
