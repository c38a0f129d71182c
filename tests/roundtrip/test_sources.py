"""Where models come from: variants, shards, other VAEs; and what is refused, with a message that helps."""

import json
import shutil

import diffusers
import ldm_files
import pytest
import safetensors.torch
import small_models
import torch
from reading import differing, load_copy, load_pipeline, read_single_file, weights_of


def save_components(model, folder, **how):
    """The model's folder with its weights saved in another way."""
    pipeline = load_pipeline(model.folder)
    shutil.copytree(model.folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    for part in ("unet", "vae", "text_encoder"):
        getattr(pipeline, part).save_pretrained(folder / part, **how)
    return folder


@pytest.mark.parametrize(
    "how, sign",
    [
        ({"max_shard_size": "300KB"}, "unet/diffusion_pytorch_model.safetensors.index.json"),
        ({"variant": "fp16"}, "unet/diffusion_pytorch_model.fp16.safetensors"),
        (
            {"variant": "fp16", "max_shard_size": "300KB"},
            "unet/diffusion_pytorch_model.safetensors.index.fp16.json",
        ),
        ({"safe_serialization": False}, "unet/diffusion_pytorch_model.bin"),
        (
            {"safe_serialization": False, "max_shard_size": "300KB"},
            "unet/diffusion_pytorch_model.bin.index.json",
        ),
        ({"safe_serialization": False, "variant": "fp16"}, "vae/diffusion_pytorch_model.fp16.bin"),
    ],
)
def test_folders_in_every_form(tool, v2, how, sign, tmp_path):
    folder = save_components(v2, tmp_path / "in", **how)
    assert (folder / sign).exists()
    tool(folder, tmp_path / "out", "--format", "diffusers_safetensors", *v2.flags)
    wanted = weights_of(load_pipeline(v2.folder))
    assert differing(weights_of(load_pipeline(tmp_path / "out")), wanted) == []


def test_full_precision_comes_before_a_variant(tool, v1, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(v1.folder, folder)
    pipeline = load_pipeline(v1.folder)
    pipeline.unet.half().save_pretrained(folder / "unet", variant="fp16")
    tool(folder, tmp_path / "out.safetensors")
    name = "model.diffusion_model.out.2.weight"
    assert read_single_file(tmp_path / "out.safetensors")[name].dtype == torch.float32


def test_old_attention_names_of_the_vae(tool, v1, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(v1.folder, folder)
    path = folder / "vae/diffusion_pytorch_model.safetensors"
    tensors = load_copy(path)
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        tensors = {n.replace(f".{new}.", f".{old}."): t for n, t in tensors.items()}
    safetensors.torch.save_file(tensors, path)
    tool(folder, tmp_path / "out", "--format", "diffusers_safetensors")
    wanted = weights_of(load_pipeline(v1.folder))
    assert differing(weights_of(load_pipeline(tmp_path / "out")), wanted) == []


@pytest.fixture(scope="session")
def other_vae(v1, tmp_path_factory):
    """Another VAE in every form that --vae takes, and its tensors in a single file."""
    folder = tmp_path_factory.mktemp("vae")
    small_models.make_vae(seed=77).save_pretrained(folder / "pipeline/vae")
    vae = folder / "pipeline/vae"
    tensors = {n: t.contiguous() for n, t in ldm_files.ldm_vae(folder / "pipeline").items()}
    bare = {n[len("first_stage_model.") :]: t for n, t in tensors.items()}
    safetensors.torch.save_file(bare, folder / "bare.safetensors")
    safetensors.torch.save_file(tensors, folder / "prefixed.safetensors")
    torch.save({"state_dict": bare}, folder / "bare.ckpt")
    torch.save(safetensors.torch.load_file(vae / "diffusion_pytorch_model.safetensors"), folder / "keys.bin")
    return folder, tensors


@pytest.mark.parametrize(
    "form", ["pipeline/vae", "pipeline", "bare.safetensors", "prefixed.safetensors", "bare.ckpt", "keys.bin"]
)
@pytest.mark.parametrize("kind", ["diffusers", "safetensors"])
def test_another_vae(tool, v1, other_vae, form, kind, tmp_path):
    folder, wanted = other_vae
    out = tmp_path / "out.safetensors"
    tool(v1.source(kind), out, "--vae", folder / form)
    after = read_single_file(out)
    assert differing({n: t for n, t in after.items() if n.startswith("first_stage_model.")}, wanted) == []
    rest = {n: t for n, t in v1.tensors.items() if not n.startswith("first_stage_model.")}
    if kind == "safetensors":
        assert differing({n: after[n] for n in rest}, rest) == []


def test_a_vae_for_a_file_that_has_none(tool, v1, other_vae, tmp_path):
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    tensors = {n: t for n, t in v1.tensors.items() if not n.startswith("first_stage_model.")}
    safetensors.torch.save_file(tensors, source)
    assert "holds no VAE" in tool.fails(source, out)
    tool(source, out, "--vae", other_vae[0] / "bare.safetensors")
    assert differing(read_single_file(out), {**tensors, **other_vae[1]}) == []


def test_a_folder_with_another_vae(tool, v1, other_vae, tmp_path):
    vae = other_vae[0] / "bare.ckpt"
    tool(v1.safetensors, tmp_path / "out", "--format", "diffusers", "--vae", vae, *v1.options)
    vae = diffusers.AutoencoderKL.from_pretrained(tmp_path / "out/vae", local_files_only=True)
    assert differing(vae.state_dict(), small_models.make_vae(seed=77).state_dict()) == []


@pytest.mark.parametrize("kind", ["diffusers", "safetensors", "ckpt"])
def test_a_wrong_v2_flag_is_an_error_that_says_so(tool, v1, v2, kind, tmp_path):
    out = tmp_path / "out.safetensors"
    assert "Leave --v2 out" in tool.fails(v1.source(kind), out, "--v2")
    assert "Add --v2" in tool.fails(v2.source(kind), out)


def test_a_wrong_v_parameterization_flag_is_an_error_where_the_source_says(tool, v1, v2, tmp_path):
    out = tmp_path / "out.safetensors"
    assert "Add --v_parameterization" in tool.fails(v2.folder, out, "--v2")
    assert "Leave --v_parameterization out" in tool.fails(v1.folder, out, "--v_parameterization")
    source = tmp_path / "in.safetensors"
    ldm_files.make_ldm_file(v1.folder, source, "v1", metadata={"modelspec.prediction_type": "v"})
    assert "Add --v_parameterization" in tool.fails(source, out)
    tool(source, out, "--v_parameterization")


FIRST = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.mark.parametrize(
    "change, says",
    [
        (
            lambda t: t.pop("model.diffusion_model.out.0.bias"),
            "1 tensor is missing: model.diffusion_model.out.0.bias",
        ),
        (
            lambda t: [t.pop(n) for n in list(t) if n.startswith("model.diffusion_model.output_blocks")],
            "tensors are missing: model.diffusion_model.output_blocks.0.0.in_layers.0.weight",
        ),
        (
            lambda t: t.update({"first_stage_model.quant_conv.bias": torch.zeros(9)}),
            '"first_stage_model.quant_conv.bias" has shape [9], [8] was expected',
        ),
        (
            lambda t: t.update({FIRST: t[FIRST].to(torch.int8)}),
            "holds I8 numbers",
        ),
        (
            lambda t: t.update({FIRST: t[FIRST].repeat(1, 3, 1, 1)[:, :9].contiguous()}),
            "inpainting",
        ),
        (lambda t: t.update({"conditioner.embedders.0.x": torch.zeros(1)}), "SDXL is not supported"),
        (
            lambda t: [t.pop(n) for n in list(t) if n.startswith("cond_stage_model")],
            "no text encoder",
        ),
    ],
)
def test_files_that_do_not_fit(tool, v1, change, says, tmp_path):
    tensors = dict(v1.tensors)
    change(tensors)
    source = tmp_path / "in.safetensors"
    safetensors.torch.save_file(tensors, source)
    message = tool.fails(source, tmp_path / "out.safetensors")
    assert says in message
    assert str(source) in message


def test_no_such_model(tool, tmp_path):
    message = tool.fails("runwayml/stable-diffusion-v1-5", tmp_path / "out.safetensors")
    assert "no file or folder of this name" in message


def test_xl_folders_are_refused(tool, v1, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(v1.folder, folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(
        json.dumps({**index, "_class_name": "StableDiffusionXLPipeline"})
    )
    assert "SDXL is not supported" in tool.fails(folder, tmp_path / "out.safetensors")


def test_a_folder_that_is_no_model_is_not_replaced(tool, v1, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "holiday.jpg").write_bytes(b"x")
    message = tool.fails(v1.safetensors, out, "--format", "diffusers_safetensors", *v1.options)
    assert "no model folder" in message
    assert (out / "holiday.jpg").exists()
