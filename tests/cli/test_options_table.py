"""Every option of sd-scripts' fine_tune.py: accepted, documented, and with an effect or a line that says why not."""

import json
import pathlib
import re

import pytest
from running import ROOT, train_args

OPTIONS = json.loads((pathlib.Path(__file__).parent / "fine_tune_options.json").read_text())
NAMES = [option["name"] for option in OPTIONS]
KIND = {option["name"]: option["kind"] for option in OPTIONS}

# Not built yet: what is here must be refused as unknown, so that the list cannot grow stale.
MISSING = []

REFUSED = {"dataset_class": "Python"}
SECRET = {"huggingface_token", "wandb_api_key"}
WHERE_OPTIONS_COME_FROM = {"config_file", "output_config"}

# A value that is not the default; "3" for all others.
VALUES = {
    "caption_dropout_rate": "0.5", "caption_tag_dropout_rate": "0.5", "console_log_level": "ERROR",
    "dynamo_backend": "eager", "huggingface_repo_type": "dataset", "face_crop_aug_range": "1.0,2.0", "huber_c": "0.2", "huber_schedule": "constant",
    "learning_rate": "0.5", "learning_rate_te": "0.5", "log_with": "all", "loss_type": "l1",
    "lr_scheduler": "cosine", "max_token_length": "150", "mixed_precision": "bf16",
    "lr_scheduler_min_lr_ratio": "0.5", "adaptive_noise_scale": "0.5", "noise_offset": "0.5", "ip_noise_gamma": "0.5", "lr_scheduler_args": "a=1", "multires_noise_discount": "0.5",
    "offload_optimizer_device": "cpu", "offload_param_device": "nvme", "optimizer_type": "Lion",
    "resize_interpolation": "area", "sample_sampler": "euler", "save_model_as": "ckpt", "save_precision": "fp16",
    "bucket_reso_steps": "128", "max_bucket_reso": "2048", "min_bucket_reso": "128", "resolution": "768",
    "vae_batch_size": "2", "optimizer_args": "weight_decay=0.1",
}


def words(name):
    return [f"--{name}"] if KIND[name] == "flag" else [f"--{name}={VALUES.get(name, '3')}"]


def documented():
    """Name to (group, help) of `sdtune train`, from docs/options.md."""
    page = (ROOT / "docs/options.md").read_text()
    section = re.search(r"^## `?sdtune train`?$(.*?)^## ", page, re.M | re.S).group(1)
    found, group = {}, ""
    for line in section.splitlines():
        if line.startswith("### "):
            group = line[4:]
        elif line.startswith("| `--"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            for name in re.findall(r"`--(\w+)`", cells[0]):
                found[name] = (group, cells[-1])
    return found


def explained():
    """Options that change nothing."""
    return [name for name, (group, text) in documented().items()
            if (group.startswith("Accepted for") or text.startswith("Accepted: ")) and name not in REFUSED]


@pytest.mark.parametrize("name", NAMES)
def test_is_accepted_and_kept(sdtune, tmp_path, name):
    if name in WHERE_OPTIONS_COME_FROM:
        return  # used by every other case
    file = tmp_path / "out.toml"
    result = sdtune("train", *words(name), f"--config_file={file}", "--output_config")
    if name in MISSING:
        assert result.returncode == 2 and "there is no option" in result.stderr, f"take {name} out of MISSING"
        return
    assert result.returncode == 0, result.stderr
    written = re.findall(r"^(\w+) =", file.read_text(), re.M)
    if name in SECRET:
        assert written == []
    else:
        assert len(written) == 1, "the value given is the default"
        assert written == [name] or name == "caption_extention"


def test_is_documented_with_a_line():
    page = documented()
    for name in NAMES:
        if name not in MISSING and name != "caption_extention":
            assert name in page and len(page[name][1]) > 5, name


def test_what_changes_nothing_says_so_once(sdtune, small_models, pictures, tmp_path):
    ours = [name for name in explained() if name in NAMES]
    assert len(ours) >= 27
    given = [word for name in ours for word in words(name)]
    result = sdtune(*train_args(small_models(), pictures, tmp_path, "--max_train_steps=1", *given))
    assert result.returncode == 0, result.stderr
    for name in ours:
        lines = [line for line in result.stderr.splitlines() if f"--{name} " in line]
        assert len(lines) == 1, name
        assert documented()[name][1] in lines[0]
    for secret in SECRET:
        assert secret not in (tmp_path / "mine-run" / "run.toml").read_text()


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_with_a_reason(sdtune, small_models, pictures, tmp_path, name):
    result = sdtune(*train_args(small_models(), pictures, tmp_path, *words(name)))
    assert result.returncode == 2
    assert REFUSED[name] in result.stderr and f"--{name}" in result.stderr


def test_options_left_out_on_purpose_stay_unknown(sdtune, tmp_path):
    result = sdtune("train", "--prior_loss_weight=1", f"--config_file={tmp_path / 'x'}", "--output_config")
    assert result.returncode == 2 and "there is no option '--prior_loss_weight'" in result.stderr
