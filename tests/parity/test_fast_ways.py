"""Ten steps of a U-Net wide enough for the CPU's fast ways (convolutions over columns and by Winograd, norms with their
SiLU, kept memory, clipping and AdamW in one pass) against Diffusers and torch, which have none of them.

That convolutions take their own ways is seen from oneDNN, which lists the ones that are left to torch.
"""

import os
import pathlib
import re
import shutil
import subprocess
import time

import diffusers
import pytest
import torch
from running import BUILD, COMPUTES_BF16, PROCESSOR_FLAGS, draw_pictures, train_args
from safetensors.torch import load_file

from parity.small_models import randomise, unet_config

STEPS = 10
WIDTH = 256  # from here on src/kernels/conv2d.cc has ways of its own, in fp32 and bf16
FEW_PIXELS = 96  # up to here all three products of a convolution run over columns
KINDS = {"forward_training", "forward_inference", "backward_data", "backward_weights"}
CONVOLUTION = re.compile(r",convolution,[^,]*,(\w+),.*,mb(\d+)_ic(\d+)oc(\d+)_ih\d+oh(\d+)kh(\d+)sh(\d+)"
                         r"\w*_iw\d+ow(\d+)")
MACHINE_KB = int(pathlib.Path("/proc/meminfo").read_text().split()[1])


@pytest.fixture(scope="module")
def wide_model(small_models, tmp_path_factory):
    """SD1's classes and four levels of 256 channels, so that a picture of 256² has 32² to 4² pixels there."""
    folder = tmp_path_factory.mktemp("wide") / "model"
    shutil.copytree(small_models("v1"), folder)
    config = {**unet_config("v1"), "block_out_channels": (WIDTH,) * 4, "layers_per_block": 1}
    unet = randomise(diffusers.UNet2DConditionModel(**config), torch.Generator().manual_seed(0))
    unet.save_pretrained(folder / "unet")
    return folder


def addresses_kb(process):
    """The most that the process has reserved so far; 0 when it has ended."""
    peak = re.search(r"VmPeak:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())
    return int(peak[1]) if peak else 0


def train(model, data, folder, *more):
    """Returns the convolutions that oneDNN ran, as (kind, in, out, pixels, kernel, stride), and how many kB of addresses
    the program reserved."""
    words = train_args(model, data, folder / "out", "--resolution=256", "--max_bucket_reso=512",
                       f"--max_train_steps={STEPS}", f"--trace_dir={folder / 'trace'}", *more)
    # With one thread torch has small convolutions without oneDNN.
    environment = {**os.environ, "ONEDNN_VERBOSE": "1", "OMP_NUM_THREADS": "2"}
    most = 0
    with open(folder / "told", "w+") as told:
        process = subprocess.Popen([BUILD / "sdtune", *map(str, words)], stdout=told, stderr=told, env=environment)
        while process.poll() is None:
            most = max(most, addresses_kb(process))
            time.sleep(0.05)
        told.seek(0)
        lines = told.read()
    assert process.returncode == 0, lines[-3000:]
    found = CONVOLUTION.findall(lines)
    assert found and {kind for kind, *_ in found} <= KINDS
    numbers = [(kind, *map(int, rest)) for kind, *rest in found]
    return {(kind, n_in, out, batch * high * wide, kernel, stride)
            for kind, batch, n_in, out, high, kernel, stride, wide in numbers}, most


def plain_losses(unet_folder, traces, autocasts):
    """Losses and norms of the same steps without the fast ways: torch's operators one after the other."""
    unet = diffusers.UNet2DConditionModel.from_pretrained(unet_folder)
    optimizer = torch.optim.AdamW(unet.parameters(), foreach=False)
    for trace in traces:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocasts):
            prediction = unet(trace["noisy_latents"], trace["timesteps"], trace["encoder_hidden_states"]).sample
        loss = torch.nn.functional.mse_loss(prediction.float(), trace["target"])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0, foreach=False)
        optimizer.param_groups[0]["lr"] = float(trace["lr"])
        optimizer.step()
        optimizer.zero_grad()
        yield loss.item(), float(norm)


@pytest.mark.parametrize("more, limit", [([], 1e-5), (["--mixed_precision=bf16"], 2e-2)])
def test_ten_losses_equal_those_of_the_plain_path(wide_model, tmp_path, more, limit):
    bf16 = bool(more) and COMPUTES_BF16
    data = draw_pictures(tmp_path / "pictures", count=4, sizes=((256, 256), (192, 256)))
    by_torch, addresses = train(wide_model, data, tmp_path, *more)
    wide = {c for c in by_torch if min(c[1], c[2]) >= WIDTH}
    if "avx2" in PROCESSOR_FLAGS:
        assert not {c for c in wide if c[3] <= FEW_PIXELS}
        # Larger ones go by Winograd, of which there is none in bf16.
        assert bf16 or not {c for c in wide if c[0] == "backward_weights" and c[4:] == (3, 1)}
    assert addresses > 3 * MACHINE_KB  # the range that freed tensors' pages stay in

    traces = [load_file(tmp_path / "trace" / f"step-{step:06}.safetensors") for step in range(1, STEPS + 1)]
    assert len({trace["latents"].shape for trace in traces}) == 2
    for trace, (loss, norm) in zip(traces, plain_losses(wide_model / "unet", traces, bf16)):
        assert abs(loss / float(trace["loss"]) - 1) < limit
        assert abs(norm / float(trace["grad_norm"]) - 1) < 10 * limit
        assert norm > 1  # so that clipping does something
