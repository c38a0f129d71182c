"""A model of Stable Diffusion 1.5's full size: memory and start-up. Part of `make test-full`; needs 18 GB."""

import json
import subprocess
import sys
import textwrap

import pytest
from running import ROOT, draw_pictures, read_events, train_args

pytestmark = pytest.mark.large
LIMIT_BYTES = 18e9

# In a process of its own, so that its memory is gone when the program is measured.
MAKE = """
    import sys, torch, diffusers, transformers
    sys.path[:0] = [r"{tests}", r"{tests}/roundtrip"]
    from parity.small_models import make_scheduler, write_tokenizer
    import pathlib
    folder, single, checkpoint = map(pathlib.Path, sys.argv[1:])
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        sample_size=64, cross_attention_dim=768, block_out_channels=(320, 640, 1280, 1280), attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3)
    vae = diffusers.AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, latent_channels=4, sample_size=512)
    text = transformers.CLIPTextModel(transformers.CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12))
    diffusers.StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=write_tokenizer(folder / "tokenizer", "v1"), unet=unet,
        scheduler=make_scheduler("epsilon"), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False).save_pretrained(folder)
    del unet, vae, text
    from roundtrip.ldm_files import make_ldm_file
    make_ldm_file(folder, single, "v1")
    make_ldm_file(folder, checkpoint, "v1")
"""


@pytest.fixture(scope="module")
def whole_models(tmp_path_factory):
    """The same random model as Diffusers folder, LDM safetensors and .ckpt, all fp32."""
    base = tmp_path_factory.mktemp("whole")
    paths = [base / "diffusers", base / "model.safetensors", base / "model.ckpt"]
    code = textwrap.dedent(MAKE.replace("{tests}", str(ROOT / "tests")))
    subprocess.run([sys.executable, "-c", code, *map(str, paths)], check=True)
    yield dict(zip(["diffusers", "safetensors", "ckpt"], paths))
    subprocess.run(["rm", "-rf", str(base)], check=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_pictures(tmp_path_factory.mktemp("data") / "pictures", sizes=((256, 256), (320, 256), (256, 300)))


@pytest.mark.parametrize("form, more", [("safetensors", []), ("safetensors", ["--mixed_precision=bf16"]),
                                        ("ckpt", []), ("diffusers", [])])
def test_three_steps_at_256(sdtune, whole_models, data, tmp_path, form, more):
    result = sdtune(*train_args(whole_models[form], data, tmp_path, "--resolution=256", "--min_bucket_reso=128",
                                "--max_bucket_reso=512", "--max_train_steps=3", *more), timeout=1800)
    assert result.returncode == 0, result.stderr
    events = read_events(tmp_path)
    start, first, end = events[0], events[1], events[-1]
    startup = start["since_process_start_s"] - start["reading_s"] + first["data_s"]
    print(json.dumps({"form": form, "more": more, "peak_bytes": end["peak_resident_bytes"], "startup_s": startup,
                      "reading_s": start["reading_s"], "steps": [e for e in events if e["event"] == "step"]}))
    assert [e["step"] for e in events if e["event"] == "step"] == [1, 2, 3]
    assert end["peak_resident_bytes"] <= LIMIT_BYTES
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)


MODES = {
    "fp32": [],
    "fp32, checkpointing": ["--gradient_checkpointing"],
    "bf16, checkpointing": ["--mixed_precision=bf16", "--gradient_checkpointing"],
    "bf16, 8-bit, checkpointing": ["--mixed_precision=bf16", "--gradient_checkpointing", "--use_8bit_adam"],
    "full bf16, 8-bit, checkpointing": ["--mixed_precision=bf16", "--full_bf16", "--gradient_checkpointing",
                                        "--use_8bit_adam"],
    "full bf16, 8-bit, checkpointing, fused": ["--mixed_precision=bf16", "--full_bf16", "--gradient_checkpointing",
                                               "--use_8bit_adam", "--fused_backward_pass", "--max_grad_norm=0"],
    "full bf16, AdaFactor, checkpointing, fused": ["--mixed_precision=bf16", "--full_bf16", "--gradient_checkpointing",
                                                   "--optimizer_type=AdaFactor", "--fused_backward_pass",
                                                   "--max_grad_norm=0"],
    "hypernetwork, fp32": ["--hypernetwork_module=hypernetwork_nai"],
    "hypernetwork, deep, bf16": ["--hypernetwork_module=hypernetwork_nai", "--mixed_precision=bf16",
                                 "--hypernetwork_layer_structure=1,2,2,1", "--hypernetwork_activation=mish",
                                 "--hypernetwork_layer_norm"],
    "hypernetwork, bf16, checkpointing": ["--hypernetwork_module=hypernetwork_nai", "--mixed_precision=bf16",
                                          "--gradient_checkpointing"],
}


@pytest.mark.parametrize("mode", MODES)
def test_memory_at_512_is_as_predicted(sdtune, whole_models, tmp_path, mode):
    data = draw_pictures(tmp_path / "pictures", count=2, sizes=((512, 512),))
    output = tmp_path / "out"
    result = sdtune(*train_args(whole_models["safetensors"], data, output, "--resolution=512", "--min_bucket_reso=256",
                                "--max_bucket_reso=1024", "--cache_latents", "--max_train_steps=2", *MODES[mode]),
                    timeout=1800)
    assert result.returncode == 0, result.stderr
    events = read_events(output)
    end = next(event for event in events if event["event"] == "end")
    measured, expected = end["peak_resident_bytes"], end["expected_peak_bytes"]
    print(json.dumps({"mode": mode, "measured": measured, "expected": expected,
                      "steps": [e for e in events if e["event"] == "step"]}))
    assert abs(expected / measured - 1) < 0.10
    if mode == "full bf16, 8-bit, checkpointing, fused":
        assert measured < 6e9  # anonymous memory is less still
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)
