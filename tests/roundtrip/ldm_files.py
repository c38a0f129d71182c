"""Writes single files under the original (LDM) names from a Diffusers folder, in plain Python.

It shares no code with the program under test: the names are walked here, level by level, as the original
U-Net and VAE are built. Small models of both families work.
"""

import json
import pathlib

import safetensors.torch
import torch

WEIGHTS = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}


def load_part(folder, part):
    """The tensors and the configuration of one component."""
    folder = pathlib.Path(folder) / part
    config = json.loads((folder / "config.json").read_text())
    return safetensors.torch.load_file(folder / WEIGHTS[part]), config


RESNET = [
    ("norm1.", "in_layers.0."),
    ("conv1.", "in_layers.2."),
    ("time_emb_proj.", "emb_layers.1."),
    ("norm2.", "out_layers.0."),
    ("conv2.", "out_layers.3."),
    ("conv_shortcut.", "skip_connection."),
]
VAE_RESNET = [("conv_shortcut.", "nin_shortcut.")]
VAE_ATTENTION = [
    ("group_norm.", "norm."),
    ("to_q.", "q."),
    ("to_k.", "k."),
    ("to_v.", "v."),
    ("to_out.0.", "proj_out."),
]


def apply_moves(tensors, moves, prefix):
    """Renames every tensor by the move with the longest fitting beginning; none may be left over."""
    result = {}
    for name, tensor in tensors.items():
        source, target, pairs = max(
            (move for move in moves if name.startswith(move[0])), key=lambda move: len(move[0])
        )
        rest = name[len(source) :]
        for ours, theirs in pairs:
            if rest.startswith(ours):
                rest = theirs + rest[len(ours) :]
                break
        result[prefix + target + rest] = tensor
    return result


def unet_moves(config):
    levels = len(config["block_out_channels"])
    layers = config["layers_per_block"]
    moves = [
        ("time_embedding.linear_1.", "time_embed.0.", []),
        ("time_embedding.linear_2.", "time_embed.2.", []),
        ("conv_in.", "input_blocks.0.0.", []),
        ("conv_norm_out.", "out.0.", []),
        ("conv_out.", "out.2.", []),
        ("mid_block.resnets.0.", "middle_block.0.", RESNET),
        ("mid_block.attentions.0.", "middle_block.1.", []),
        ("mid_block.resnets.1.", "middle_block.2.", RESNET),
    ]
    number = 1
    for level in range(levels):
        for layer in range(layers):
            at = f"down_blocks.{level}"
            moves.append((f"{at}.resnets.{layer}.", f"input_blocks.{number}.0.", RESNET))
            moves.append((f"{at}.attentions.{layer}.", f"input_blocks.{number}.1.", []))
            number += 1
        if level < levels - 1:
            moves.append(
                (f"down_blocks.{level}.downsamplers.0.conv.", f"input_blocks.{number}.0.op.", [])
            )
            number += 1
    number = 0
    for block, kind in enumerate(config["up_block_types"]):
        after = 2 if kind.startswith("CrossAttn") else 1
        for layer in range(layers + 1):
            at = f"up_blocks.{block}"
            moves.append((f"{at}.resnets.{layer}.", f"output_blocks.{number}.0.", RESNET))
            moves.append((f"{at}.attentions.{layer}.", f"output_blocks.{number}.1.", []))
            if layer == layers and block < levels - 1:
                moves.append(
                    (f"{at}.upsamplers.0.conv.", f"output_blocks.{number}.{after}.conv.", [])
                )
            number += 1
    return moves


def vae_moves(config):
    levels = len(config["block_out_channels"])
    layers = config["layers_per_block"]
    moves = [("quant_conv.", "quant_conv.", []), ("post_quant_conv.", "post_quant_conv.", [])]
    for side in ("encoder", "decoder"):
        moves += [
            (f"{side}.conv_in.", f"{side}.conv_in.", []),
            (f"{side}.conv_norm_out.", f"{side}.norm_out.", []),
            (f"{side}.conv_out.", f"{side}.conv_out.", []),
            (f"{side}.mid_block.resnets.0.", f"{side}.mid.block_1.", VAE_RESNET),
            (f"{side}.mid_block.resnets.1.", f"{side}.mid.block_2.", VAE_RESNET),
            (f"{side}.mid_block.attentions.0.", f"{side}.mid.attn_1.", VAE_ATTENTION),
        ]
    for i in range(levels):
        for j in range(layers):
            moves.append(
                (f"encoder.down_blocks.{i}.resnets.{j}.", f"encoder.down.{i}.block.{j}.", VAE_RESNET)
            )
        moves.append(
            (f"encoder.down_blocks.{i}.downsamplers.0.", f"encoder.down.{i}.downsample.", [])
        )
        up = levels - 1 - i
        for j in range(layers + 1):
            moves.append(
                (f"decoder.up_blocks.{i}.resnets.{j}.", f"decoder.up.{up}.block.{j}.", VAE_RESNET)
            )
        moves.append((f"decoder.up_blocks.{i}.upsamplers.0.", f"decoder.up.{up}.upsample.", []))
    return moves


def ldm_unet(folder, prefix="model.diffusion_model."):
    tensors, config = load_part(folder, "unet")
    return apply_moves(tensors, unet_moves(config), prefix)


def ldm_vae(folder, prefix="first_stage_model."):
    tensors, config = load_part(folder, "vae")
    result = apply_moves(tensors, vae_moves(config), prefix)
    for name, tensor in result.items():
        if ".mid.attn_1." in name and tensor.dim() == 2:
            # a linear layer there, a 1x1 convolution here
            result[name] = tensor[:, :, None, None].contiguous()
    return result


def ldm_text_v1(folder, old_names=False):
    tensors, _ = load_part(folder, "text_encoder")
    cut = len("text_model.") if old_names else 0
    return {"cond_stage_model.transformer." + name[cut:]: tensor for name, tensor in tensors.items()}


OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def ldm_text_v2(folder):
    """All layers of the folder; the last block, which no model uses, comes with the foreign tensors."""
    tensors, config = load_part(folder, "text_encoder")
    prefix = "cond_stage_model.model."
    embeddings = "text_model.embeddings."
    out = {
        prefix + "positional_embedding": tensors[embeddings + "position_embedding.weight"],
        prefix + "token_embedding.weight": tensors[embeddings + "token_embedding.weight"],
    }
    for i in range(config["num_hidden_layers"]):
        layer = f"text_model.encoder.layers.{i}."
        block = f"{prefix}transformer.resblocks.{i}."
        for kind in ("weight", "bias"):
            joined = [tensors[f"{layer}self_attn.{x}_proj.{kind}"] for x in "qkv"]
            out[f"{block}attn.in_proj_{kind}"] = torch.cat(joined)
            for ours, theirs in OPEN_CLIP.items():
                out[f"{block}{theirs}.{kind}"] = tensors[f"{layer}{ours}.{kind}"]
    for kind in ("weight", "bias"):
        out[f"{prefix}ln_final.{kind}"] = tensors[f"text_model.final_layer_norm.{kind}"]
    return out


def v2_leftovers(text, generator):
    """The last block, the projection and the scale: in every SD 2.x file, in no model."""
    prefix = "cond_stage_model.model."
    numbers = {int(name.split(".")[4]) for name in text if ".resblocks." in name}
    last, unused = f"{prefix}transformer.resblocks.{max(numbers)}.", max(numbers) + 1
    out = {}
    for name, tensor in text.items():
        if name.startswith(last):
            target = f"{prefix}transformer.resblocks.{unused}.{name[len(last) :]}"
            out[target] = torch.randn(tensor.shape, generator=generator)
    width = text[prefix + "positional_embedding"].shape[1]
    out[prefix + "text_projection"] = torch.randn(width, width, generator=generator)
    out[prefix + "logit_scale"] = torch.tensor(4.6052)
    return out


def foreign_tensors(tensors, family, generator):
    """What real files hold beside the model: EMA weights, the noise schedule, position ids."""
    some = [name for name in tensors if name.startswith("model.diffusion_model.")][:5]
    out = {
        "model_ema." + name[len("model.") :].replace(".", ""): tensors[name].half() + 1 for name in some
    }
    out["model_ema.num_updates"] = torch.tensor(1234, dtype=torch.int32)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    out["betas"] = betas.float()
    out["alphas_cumprod"] = torch.cumprod(1 - betas, 0)
    if family == "v1":
        out["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    out["empty"] = torch.zeros(0, 3)
    out["mask"] = torch.tensor([True, False])
    out["noise"] = torch.randn(7, generator=generator).bfloat16()
    return out


def ldm_tensors(folder, family, foreign=True, dtype=None, old_names=False):
    """Name -> tensor of a single file, foreign tensors among the model's."""
    generator = torch.Generator().manual_seed(5)
    text = ldm_text_v2(folder) if family == "v2" else ldm_text_v1(folder, old_names)
    model = {**ldm_unet(folder), **ldm_vae(folder), **text}
    if dtype is not None:
        model = {name: tensor.to(dtype) for name, tensor in model.items()}
    leftovers = v2_leftovers(text, generator) if family == "v2" else {}
    others = foreign_tensors(model, family, generator) if foreign else {}
    half = len(others) // 2
    others = list(others.items())
    return dict(others[:half] + list(model.items()) + list(leftovers.items()) + others[half:])


def make_ldm_file(
    diffusers_folder, out_path, family, foreign=True, dtype=None, metadata=None, old_names=False
):
    """Writes a .safetensors file, or a .ckpt wrapped as training scripts do. Returns its tensors."""
    tensors = ldm_tensors(diffusers_folder, family, foreign, dtype, old_names)
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    if str(out_path).endswith(".safetensors"):
        safetensors.torch.save_file(tensors, out_path, metadata=metadata)
    else:
        torch.save({"state_dict": tensors, "epoch": 3, "global_step": 470000}, out_path)
    return tensors
