"""Makes the demo model's VAE: an encoder set up by hand, a decoder trained on crops of drawn pictures.

sdtune trains no VAE, so this step is Python's. What a single file cannot tell follows Stable Diffusion 1.x: stride 8,
four latent channels, 32 norm groups, scaling factor 0.18215. The last norms have three channels to a group, 96 in all:
in a plain picture a norm of two channels leaves only which is the larger, and the ground's colour would be lost.

The encoder's three first latents are the mean colour of 8 x 8 pixels, the fourth is a random projection. That is plain
enough to be learned by a small U-Net soon, and it is settled before the decoder has learned anything.
"""

import argparse
import math
import pathlib
import time

import diffusers
import numpy
import torch
from PIL import Image

SCALING_FACTOR = 0.18215
LATENT_NOISE = 0.05  # deviation of the saved posterior, in scaled latents
CROP = 64
BATCH = 3


def read_pictures(folder, count):
    """[N, 3, height, width], bytes."""
    files = sorted(folder.glob("*.png"))[:count]
    pixels = numpy.stack([numpy.asarray(Image.open(file).convert("RGB")) for file in files])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def draw_crops(pictures, generator):
    """Crops in -1 .. 1, nearly all with edges; half of them in colours that no picture has, for what comes later."""
    crops = []
    while len(crops) < BATCH:
        index = torch.randint(len(pictures), (), generator=generator)
        top, left = torch.randint(pictures.shape[-1] - CROP + 1, (2,), generator=generator)
        crop = pictures[index, :, top : top + CROP, left : left + CROP].float() / 127.5 - 1
        if len(crops) > 0 and crop.std((1, 2)).max() < 0.05:
            continue  # only the first may be plain
        if torch.rand((), generator=generator) < 0.5:
            mixed = torch.einsum("ij,jhw->ihw", torch.randn((3, 3), generator=generator), crop)
            crop = (0.7 * mixed + torch.rand((3, 1, 1), generator=generator) - 0.5).clamp(-1, 1)
        crops.append(crop)
    return torch.stack(crops)


def start_as_pooling(vae):
    """The VAE begins as the mean colour of 8 x 8 pixels and a smooth way back; training adds edges.

    Six channels of each level carry the colours and their negatives, for silu(x) - silu(-x) = x. Before the last norms
    each pair shares its group with a large constant, so that the norm hardly depends on it: of (k, x, -x) the mean is
    k / 3 and the deviation nearly k sqrt(2) / 3. Residual branches begin at 0.
    """
    carriers = [1, 4, 7, 2, 5, 8]
    constants = [0, 3, 6]
    k = 8.0

    def carry(conv, taps, rows=carriers, columns=carriers, signs=(1,) * 6):
        height, width = len(taps), len(taps[0])
        top = (conv.kernel_size[0] - 1) // 2 - (height - 1) // 2
        for row, column, sign in zip(rows, columns, signs, strict=True):
            conv.weight[row, column, top : top + height, top : top + width] = sign * torch.tensor(taps)

    with torch.no_grad():
        for name, module in vae.named_modules():
            if name.endswith("conv2") or name.endswith("to_out.0") or name.endswith("quant_conv"):
                module.weight.zero_()
                module.bias.zero_()
            elif name.endswith(("conv_in", "conv_shortcut", "samplers.0.conv")):
                module.weight[:9].zero_()
                module.bias[:9].zero_()
                if name.endswith("conv_in"):
                    carry(module, [[1.0]], columns=[0, 1, 2] * 2, signs=[1] * 3 + [-1] * 3)
                elif name.endswith("conv_shortcut"):
                    carry(module, [[1.0]])
                elif "downsamplers" in name:  # sees two rows of its own and one of the next
                    module.weight[carriers, carriers, :2, :2] = 0.25
                else:
                    carry(module, [[1 / 16, 1 / 8, 1 / 16], [1 / 8, 1 / 4, 1 / 8], [1 / 16, 1 / 8, 1 / 16]])
        for half in (vae.encoder, vae.decoder):
            last_level = half.down_blocks[-1] if half is vae.encoder else half.up_blocks[-1]
            last_level.resnets[0].conv_shortcut.bias[constants] = k
            half.conv_norm_out.weight[carriers] = k * 2**0.5 / 3
            half.conv_norm_out.bias[carriers] = k / 3
            half.conv_out.weight[:3].zero_()
            half.conv_out.bias.zero_()
            carry(half.conv_out, [[1.0]], rows=[0, 1, 2] * 2, signs=[1] * 3 + [-1] * 3)
        carry(vae.quant_conv, [[1.0]], rows=range(4), columns=range(4), signs=(1,) * 4)
        carry(vae.post_quant_conv, [[1.0]], rows=range(4), columns=range(4), signs=(1,) * 4)


@torch.no_grad()
def scale_latents(vae, pictures):
    """Gives latents of drawn pictures mean 0 and, once scaled, covariance 1, without a change to what is decoded.

    The two 1 x 1 convolutions beside the latents take up the change. The posterior's deviation becomes the same
    everywhere.
    """
    latents = torch.cat([vae.encode(part / 127.5 - 1).latent_dist.mean for part in pictures.float().split(16)])
    channels = latents.shape[1]
    flat = latents.permute(1, 0, 2, 3).reshape(channels, -1).double()
    mean = flat.mean(1, keepdim=True)
    values, vectors = torch.linalg.eigh((flat - mean) @ (flat - mean).T / flat.shape[1])
    print("latents' principal deviations", [f"{value**0.5:.3f}" for value in values.tolist()])
    whiten = (vectors @ torch.diag(values**-0.5) @ vectors.T) / SCALING_FACTOR
    unwhiten = torch.linalg.inv(whiten)

    weight, bias = vae.quant_conv.weight, vae.quant_conv.bias
    weight[:channels] = (whiten @ weight[:channels, :, 0, 0].double()).float()[:, :, None, None]
    bias[:channels] = (whiten @ (bias[:channels].double() - mean[:, 0])).float()
    weight[channels:] = 0
    bias[channels:] = 2 * math.log(LATENT_NOISE / SCALING_FACTOR)

    weight, bias = vae.post_quant_conv.weight, vae.post_quant_conv.bias
    bias += (weight[:, :, 0, 0].double() @ mean[:, 0]).float()
    weight[:] = (weight[:, :, 0, 0].double() @ unwhiten).float()[:, :, None, None]


def train_decoder(vae, pictures, steps, rate):
    generator = torch.Generator().manual_seed(0)
    parameters = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.99), weight_decay=0.01)
    warm_up = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, 0.5 + 0.5 * math.cos(math.pi * step / steps))
    )
    began = time.monotonic()
    sum_of_errors = 0
    for step in range(steps):
        crops = draw_crops(pictures, generator)
        with torch.no_grad():
            latents = vae.encode(crops).latent_dist.sample(generator=generator)
        error = vae.decode(latents).sample - crops
        loss = error.abs().mean() + error.square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        sum_of_errors += error.detach().abs().mean().item()
        if step % 25 == 24:
            print(f"step {step + 1}  error {sum_of_errors / 25:.4f}  {time.monotonic() - began:.0f} s", flush=True)
            sum_of_errors = 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=pathlib.Path, help="folder of 128-pixel PNG files")
    parser.add_argument("vae", type=pathlib.Path, help="folder of a VAE, which is replaced by one of the same sizes")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rate", type=float, default=4e-4)
    args = parser.parse_args()

    torch.manual_seed(0)
    vae = diffusers.AutoencoderKL.from_config(diffusers.AutoencoderKL.load_config(args.vae))
    print(f"{sum(p.numel() for p in vae.parameters()) / 1e6:.2f} million parameters")
    pictures = read_pictures(args.pictures, 1000)
    start_as_pooling(vae)
    scale_latents(vae, pictures[:128])
    train_decoder(vae, pictures, args.steps, args.rate)
    vae.save_pretrained(args.vae)


if __name__ == "__main__":
    main()
