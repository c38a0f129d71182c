"""Trains the demo model's text encoder to tell what a caption's picture looks like, in place.

CLIP's text encoder has seen pictures before a U-Net listens to it; a random one makes words the last thing that a
U-Net learns. Here each state from the end of the caption on, read by a small head that is thrown away, has to give the
picture in 16 x 16 pixels, so that every one of them tells all of the caption.
"""

import argparse
import json
import math
import pathlib

import torch
import transformers
from train_vae import read_pictures

THUMBNAIL = 16
BATCH = 64
STRANGE_WORDS = 0.1  # share of tokens replaced by any other: unknown words must not spoil the known ones


def read_captions(metadata, separator=", "):
    """What sdtune makes of an entry: the caption, then the tags."""
    entries = json.loads(metadata.read_text())
    return [
        separator.join(entries[name][key] for key in ("caption", "tags") if key in entries[name])
        for name in sorted(entries)
    ]


def spread_embeddings(encoder):
    """Words far apart from the start, those that no caption here has too: a later fine-tuning can tell them."""
    embeddings = encoder.get_input_embeddings().weight
    torch.nn.init.normal_(embeddings, std=0.5)


def loss_of(encoder, head, ids, ends, thumbnails):
    """Mean square error of the thumbnails told by the last two layers' states from the caption's end on."""
    states = encoder(input_ids=ids, output_hidden_states=True).hidden_states[-2:]
    text_model = getattr(encoder, "text_model", encoder)
    after = torch.arange(ids.shape[1]) >= ends[:, None]
    losses = []
    for layer in states:  # the one before the last is what --clip_skip=2 takes
        told = head(text_model.final_layer_norm(layer)[after])
        wanted = thumbnails[after.nonzero()[:, 0]]
        losses.append((told - wanted).square().mean())
    return torch.stack(losses).mean()


def train(encoder, tokenizer, captions, thumbnails, steps, rate):
    length = tokenizer.model_max_length
    ids = tokenizer(captions, padding="max_length", max_length=length, return_tensors="pt").input_ids
    ends = (ids == tokenizer.eos_token_id).int().argmax(1)
    head = torch.nn.Sequential(
        torch.nn.Linear(encoder.config.hidden_size, 256), torch.nn.GELU(), torch.nn.Linear(256, thumbnails.shape[1])
    )
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=rate, weight_decay=0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 50, 0.5 + 0.5 * math.cos(math.pi * step / steps))
    )
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        batch = torch.randint(len(ids), (BATCH,), generator=generator)
        some = ids[batch]
        strange = torch.rand(some.shape, generator=generator) < STRANGE_WORDS
        strange &= torch.arange(length) < ends[batch, None]
        strange[:, 0] = False
        some = torch.where(strange, torch.randint(40000, some.shape, generator=generator), some)
        loss = loss_of(encoder, head, some, ends[batch], thumbnails[batch])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 25 == 24:
            print(f"step {step + 1}  loss {loss:.4f} of {thumbnails.var():.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=pathlib.Path, help="folder of 128-pixel PNG files")
    parser.add_argument("metadata", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path, help="Diffusers folder, whose text encoder is trained in place")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rate", type=float, default=2e-3)
    args = parser.parse_args()

    torch.manual_seed(0)
    encoder = transformers.CLIPTextModel.from_pretrained(args.model / "text_encoder")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(args.model / "tokenizer")
    spread_embeddings(encoder)
    captions = read_captions(args.metadata)
    pictures = read_pictures(args.pictures, len(captions)).float() / 127.5 - 1
    thumbnails = torch.nn.functional.adaptive_avg_pool2d(pictures, THUMBNAIL).flatten(1)
    train(encoder, tokenizer, captions, thumbnails, args.steps, args.rate)
    encoder.save_pretrained(args.model / "text_encoder")


if __name__ == "__main__":
    main()
