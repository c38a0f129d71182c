"""What is loaded and saved again is the same model: for every kind of source and target, in the eyes of
Diffusers, PyTorch and safetensors, and byte for byte where nothing was trained."""

import json
import shutil

import ldm_files
import pytest
import safetensors.torch
import torch
from reading import (
    differing,
    folder_files,
    load_copy,
    load_pipeline,
    order_in_file,
    outputs_of,
    read_single_file,
    safetensors_header,
    weights_of,
)

SOURCES = ("safetensors", "ckpt", "diffusers")
FILES = {"safetensors": ".safetensors", "ckpt": ".ckpt"}


def is_unet(name):
    return name.startswith("model.diffusion_model.")


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("target", FILES)
def test_single_file_to_single_file_keeps_every_tensor(tool, model, kind, target, tmp_path):
    out = tmp_path / f"out{FILES[target]}"
    source = model.source(kind)
    tool(source, out, "--format", target, *model.flags)
    assert differing(model.tensors, read_single_file(out)) == []
    assert order_in_file(out) == order_in_file(source)


def test_safetensors_metadata_is_the_request_s(tool, v1, tmp_path):
    out = tmp_path / "out.safetensors"
    tool(v1.safetensors, out, "--meta", "modelspec.title=cats")
    assert safetensors_header(out)["__metadata__"] == {"modelspec.title": "cats"}


@pytest.mark.parametrize("kind, epoch, step", [("ckpt", 3, 470000), ("safetensors", 0, 0)])
def test_ckpt_counts_are_added_to_the_source_s(tool, v1, kind, epoch, step, tmp_path):
    out = tmp_path / "out.ckpt"
    tool(v1.source(kind), out, "--format", "ckpt", "--epoch", 2, "--global-step", 100)
    whole = torch.load(out, weights_only=True)
    assert (whole["epoch"], whole["global_step"]) == (epoch + 2, step + 100)


@pytest.fixture(scope="session")
def expected(v1, v2):
    """Each family's pipeline as Diffusers reads the original folder: weights and outputs."""
    result = {}
    for model in (v1, v2):
        pipeline = load_pipeline(model.folder)
        result[model.family] = (weights_of(pipeline), outputs_of(pipeline))
    return result


@pytest.mark.parametrize("target", ["diffusers", "diffusers_safetensors"])
@pytest.mark.parametrize("kind", SOURCES)
def test_diffusers_loads_every_folder(tool, model, kind, target, expected, tmp_path):
    out = tmp_path / "out"
    tool(model.source(kind), out, "--format", target, *model.options)
    pipeline = load_pipeline(out)
    weights, outputs = expected[model.family]
    assert differing(weights_of(pipeline), weights) == []
    assert differing(outputs_of(pipeline), outputs) == []
    ending = ".bin" if target == "diffusers" else ".safetensors"
    assert {f for f in folder_files(out) if f.endswith((".bin", ".safetensors"))} == {
        f"unet/diffusion_pytorch_model{ending}",
        f"vae/diffusion_pytorch_model{ending}",
        f"text_encoder/{'pytorch_' if target == 'diffusers' else ''}model{ending}",
    }
    index = json.loads((out / "model_index.json").read_text())
    assert index["safety_checker"] == [None, None]


@pytest.mark.parametrize("target", FILES)
def test_folder_to_single_file_has_the_original_names(tool, model, target, tmp_path):
    out = tmp_path / f"out{FILES[target]}"
    tool(model.folder, out, "--format", target, *model.flags)
    written = read_single_file(out)
    wanted = ldm_files.ldm_tensors(model.folder, model.family, foreign=False)
    if model.family == "v2":
        prefix = "cond_stage_model.model."
        last = max(int(n.split(".")[4]) for n in wanted if ".resblocks." in n)
        for name in [n for n in wanted if f".resblocks.{last}." in n]:
            wanted[name] = wanted[name.replace(f".resblocks.{last}.", f".resblocks.{last - 1}.")]
        wanted[prefix + "text_projection"] = torch.ones(128, 128)
        wanted[prefix + "logit_scale"] = torch.tensor(1)
    assert differing(written, wanted) == []


@pytest.mark.parametrize("kind", ["diffusers", "safetensors"])
def test_single_files_are_what_diffusers_converts(tool, model, kind, tmp_path):
    from diffusers.loaders import single_file_utils as convert

    out = tmp_path / "out.safetensors"
    tool(model.source(kind), out, *model.flags)
    pipeline = load_pipeline(model.folder)
    tensors = read_single_file(out)
    unet = convert.convert_ldm_unet_checkpoint(dict(tensors), pipeline.unet.config)
    assert differing(unet, pipeline.unet.state_dict()) == []
    vae = convert.convert_ldm_vae_checkpoint(dict(tensors), pipeline.vae.config)
    convert.conv_attn_to_linear(vae)
    assert differing(vae, pipeline.vae.state_dict()) == []
    wanted = pipeline.text_encoder.state_dict()
    if model.family == "v1":
        text = convert.convert_ldm_clip_checkpoint(dict(tensors))
        text = {k: v for k, v in text.items() if not k.endswith("position_ids")}
    else:
        text = convert.convert_open_clip_checkpoint(pipeline.text_encoder, dict(tensors))
        unused = f".layers.{pipeline.text_encoder.config.num_hidden_layers}."
        text = {k: v for k, v in text.items() if unused not in k and k in wanted}
    assert differing(text, wanted) == []


def test_training_changes_the_trained_part_alone(tool, model, tmp_path):
    out = tmp_path / "out.safetensors"
    half = tmp_path / "half.safetensors"
    before = ldm_files.make_ldm_file(model.folder, half, model.family, dtype=torch.float16)
    tool(half, out, "--touch-unet", 7, *model.flags)
    after = read_single_file(out)
    assert set(differing(before, after)) == {name for name in before if is_unet(name)}
    for name in filter(is_unet, before):
        assert after[name].dtype == torch.float32
        assert after[name].shape == before[name].shape
        change = (after[name] - before[name].float()).std().item()
        assert 0.003 < change < 0.03, name  # the tool adds noise of size 0.01


def test_trained_text_encoder_leaves_the_unused_block(tool, v2, tmp_path):
    out = tmp_path / "out.safetensors"
    tool(v2.safetensors, out, "--touch-text", 7, *v2.flags)
    after = read_single_file(out)
    model_names = set(ldm_files.ldm_text_v2(v2.folder))
    assert set(differing(v2.tensors, after)) == model_names
    assert after["cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight"].shape == (384, 128)


def test_trained_parts_keep_the_type_they_were_trained_in(tool, v1, tmp_path):
    out = tmp_path / "out.safetensors"
    tool(v1.safetensors, out, "--touch-unet", 7, "--unet-dtype", "bf16")
    after = read_single_file(out)
    assert {t.dtype for n, t in after.items() if is_unet(n)} == {torch.bfloat16}


@pytest.mark.parametrize(
    "name, dtype", [("fp16", torch.float16), ("bf16", torch.bfloat16), ("float", torch.float32)]
)
def test_save_precision_casts_the_model_and_nothing_else(tool, model, name, dtype, tmp_path):
    out = tmp_path / "out.safetensors"
    tool(model.safetensors, out, "--precision", name, "--no-load", *model.flags)
    own = set(ldm_files.ldm_unet(model.folder)) | set(ldm_files.ldm_vae(model.folder))
    own |= set(
        ldm_files.ldm_text_v2(model.folder) if model.family == "v2" else ldm_files.ldm_text_v1(model.folder)
    )
    wanted = {n: t.to(dtype) if n in own else t for n, t in model.tensors.items()}
    assert differing(read_single_file(out), wanted) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_load_as_their_values(tool, v1, dtype, tmp_path):
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    tensors = ldm_files.make_ldm_file(v1.folder, source, "v1", foreign=False, dtype=dtype)
    tool(source, out, "--touch-unet", 7)
    # The same noise on the fp32 model: what differs is the rounding of the source.
    whole = tmp_path / "whole.safetensors"
    tool(v1.safetensors, whole, "--touch-unet", 7)
    plain, after = read_single_file(whole), read_single_file(out)
    for name in filter(is_unet, tensors):
        noise = plain[name] - v1.tensors[name]
        assert torch.allclose(after[name], tensors[name].float() + noise, atol=1e-6), name


@pytest.mark.parametrize("kind", SOURCES)
def test_saving_over_the_source_itself(tool, v1, kind, tmp_path):
    source = v1.source(kind)
    copy = tmp_path / source.name
    (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)
    form = "diffusers_safetensors" if kind == "diffusers" else kind
    tool(copy, copy, "--format", form, *v1.options)
    if kind == "diffusers":
        assert differing(weights_of(load_pipeline(copy)), weights_of(load_pipeline(source))) == []
    else:
        assert differing(read_single_file(copy), v1.tensors) == []
    assert [p.name for p in tmp_path.iterdir()] == [source.name]


def test_old_text_names_are_kept(tool, v1, tmp_path):
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    tensors = ldm_files.make_ldm_file(v1.folder, source, "v1", foreign=False, old_names=True)
    tool(source, out, "--touch-text", 7)
    changed = differing(read_single_file(out), tensors)
    assert changed == sorted(n for n in tensors if n.startswith("cond_stage_model."))


def test_no_single_file_for_sizes_that_it_cannot_tell(tool, v1, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(v1.folder, folder)
    config = json.loads((folder / "unet/config.json").read_text())
    (folder / "unet/config.json").write_text(json.dumps({**config, "attention_head_dim": 4}))
    assert "8 heads" in tool.fails(folder, tmp_path / "out.safetensors")
    tool(folder, tmp_path / "out", "--format", "diffusers_safetensors")
    saved = json.loads((tmp_path / "out/unet/config.json").read_text())
    assert saved["attention_head_dim"] == 4


def test_v_prediction_from_a_flag_is_written_into_the_folder(tool, v1, tmp_path):
    out = tmp_path / "out"
    tool(v1.safetensors, out, "--format", "diffusers_safetensors", "--v_parameterization", *v1.options)
    scheduler = load_pipeline(out).scheduler
    assert scheduler.config.prediction_type == "v_prediction"
    assert (scheduler.config.beta_schedule, scheduler.config.steps_offset) == ("scaled_linear", 1)


def test_foreign_tensors_of_a_component_survive(tool, v1, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(v1.folder, folder)
    path = folder / "text_encoder/model.safetensors"
    tensors = load_copy(path)
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    tool(folder, out, "--format", "diffusers_safetensors")
    assert differing(safetensors.torch.load_file(out / "text_encoder/model.safetensors"), tensors) == []
