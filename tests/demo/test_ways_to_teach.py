"""Mushrooms learned by the other ways to train, judged by pictures. What has less to change has a lower bar."""

import dataclasses

import pytest

from demo.drawing import draw, share_drawn
from demo.judge import mushroom_prompts, shape_prompts, share_shown
from demo.test_demo import MODEL
from running import run_sdtune

MUSHROOMS = mushroom_prompts(40)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A demo of one step: its pictures with their metadata and latents, and the options of its run."""
    folder = tmp_path_factory.mktemp("prepared")
    done = run_sdtune("demo", f"--output_dir={folder}", "--steps=1")
    assert done.returncode == 0, done.stderr
    return folder


def teach(prepared, output, *options):
    done = run_sdtune(
        "train",
        f"--config_file={prepared / 'output/demo-run/run.toml'}",
        f"--output_dir={output}",
        "--max_train_steps=400",
        "--sample_every_n_steps=1000",
        *options,
        timeout=3000,
    )
    assert done.returncode == 0, done.stderr
    return output / "demo.safetensors"


@pytest.mark.large
@pytest.mark.parametrize(
    "options, drawing",
    [
        (["--max_token_length=225", "--clip_skip=2"], ["--max_embeddings_multiples=3", "--clip_skip=2"]),
        (["--train_text_encoder", "--learning_rate_te=1e-4"], []),
        (["--mixed_precision=bf16", "--full_bf16"], []),
        (["--optimizer_type=AdamW8bit"], []),
    ],
    ids=["225 tokens, clip skip 2", "text encoder", "full bf16", "8-bit AdamW"],
)
def test_other_ways_teach_as_well(prepared, tmp_path, options, drawing):
    model = teach(prepared, tmp_path / "out", *options)
    assert share_drawn(model, MUSHROOMS, tmp_path / "drawn", *drawing) >= 0.80


@pytest.mark.large
def test_a_hypernetwork_alone_comes_as_near_as_the_frozen_model_can(prepared, tmp_path):
    """It only bends what words say to the attention. The model has no brown and no mushroom: what comes nearest is
    something blue in the mushroom's place."""
    nearest = [dataclasses.replace(prompt, colour="blue", shape="diamond") for prompt in MUSHROOMS]
    captions = [prompt.caption for prompt in MUSHROOMS]
    weights = teach(prepared, tmp_path / "out", "--hypernetwork_module=hypernetwork_nai", "--learning_rate=2e-3")
    taught = draw(MODEL, captions, tmp_path / "drawn", f"--hypernetwork_weights={weights}")
    assert share_shown(draw(MODEL, captions, tmp_path / "before"), nearest) < 0.10
    assert share_shown(taught, nearest) >= 0.30


@pytest.mark.large
def test_the_model_learns_to_predict_v(tmp_path):
    """What predicted the noise learns to predict v, from its own kind of pictures."""
    base = tmp_path / "base.ckpt"  # which does not say what its model predicts
    done = run_sdtune("convert", MODEL, base)
    assert done.returncode == 0, done.stderr
    drawn = ["--pictures=0", "--shapes=600", "--prepare_only"]
    assert run_sdtune("demo", f"--output_dir={tmp_path / 'shapes'}", *drawn).returncode == 0
    done = run_sdtune(
        "train",
        f"--pretrained_model_name_or_path={base}",
        "--v_parameterization",
        f"--train_data_dir={tmp_path / 'shapes/pictures'}",
        f"--in_json={tmp_path / 'shapes/metadata.json'}",
        f"--output_dir={tmp_path / 'out'}",
        "--output_name=v",
        "--save_model_as=safetensors",
        "--resolution=128",
        "--cache_latents",
        "--train_batch_size=16",
        "--caption_dropout_rate=0.1",
        "--learning_rate=1e-3",
        "--lr_scheduler=cosine",
        "--lr_warmup_steps=50",
        "--max_train_steps=1000",
        "--ema",
        "--ema_decay=0.99",
        "--seed=0",
        "--device=cpu",
        timeout=3000,
    )
    assert done.returncode == 0, done.stderr
    shapes = share_drawn(tmp_path / "out/v-ema.safetensors", shape_prompts(), tmp_path / "drawn", "--v_parameterization")
    assert shapes >= 0.60
