"""Small random BLIP captioners of the real classes, as Transformers folders and in the layout of Salesforce's checkpoints.

Base and large differ in widths and depths alone, as the published ones do; heads have 64 channels on either side, so
that a checkpoint without a configuration can be read. Every parameter is random. Nothing is fetched.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

import torch  # noqa: E402
import transformers  # noqa: E402

SHAPES = ("base", "large")
SIDE = 48
SEP = 102
PROMPT = "a picture of "
ORIGINAL_NAMES = (
    ("vision_model.encoder.layers.", "visual_encoder.blocks."),
    ("vision_model.embeddings.class_embedding", "visual_encoder.cls_token"),
    ("vision_model.embeddings.position_embedding", "visual_encoder.pos_embed"),
    ("vision_model.embeddings.patch_embedding.", "visual_encoder.patch_embed.proj."),
    ("vision_model.post_layernorm.", "visual_encoder.norm."),
    (".self_attn.qkv.", ".attn.qkv."),
    (".self_attn.projection.", ".attn.proj."),
    (".layer_norm1.", ".norm1."),
    (".layer_norm2.", ".norm2."),
)


def vocabulary():
    """Pieces by id, special ones where bert-base-uncased has them."""
    words = "a picture of photo painting the in on with cat dog man woman tree house sky , . ' s red blue green".split()
    words += ["##s", "##ing", "##ed"]
    pieces = ["[PAD]"] + words
    pieces += [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(100 - len(pieces))]
    pieces += ["[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"v{chr(97 + i)}" for i in range(26)]
    assert pieces[SEP] == "[SEP]"
    return pieces


def write_tokenizer(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n")
    tokenizer = transformers.BertTokenizerFast(vocab_file=str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    return tokenizer


def blip_config(shape):
    words = len(vocabulary()) + 2  # BLIP adds [DEC] and [ENC]
    vision = dict(hidden_size=192 if shape == "large" else 128, intermediate_size=256,
                  num_hidden_layers=3 if shape == "large" else 2, num_attention_heads=3 if shape == "large" else 2,
                  image_size=SIDE, patch_size=16, layer_norm_eps=1e-6)
    text = dict(vocab_size=words, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2,
                max_position_embeddings=64, bos_token_id=words - 2, sep_token_id=SEP, pad_token_id=0)
    return transformers.BlipConfig(vision_config=vision, text_config=text)


def make_blip(shape, seed=0, sharp=True):
    """Sharp: the picture has a large say, and words are far from equally likely, so that rounding decides nothing."""
    generator = torch.Generator().manual_seed(seed)
    model = transformers.BlipForConditionalGeneration(blip_config(shape)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith(".bias"):
                parameter.copy_(0.05 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(1 + 0.1 * noise)
            elif "embedding" in name:
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_((3 if sharp and ".crossattention." in name else 1.5) * noise / parameter[0].numel() ** 0.5)
        model.text_decoder.cls.predictions.transform.LayerNorm.weight *= 4 if sharp else 1
        model.text_decoder.cls.predictions.bias[SEP] += 10 if sharp else 2
    return model


def save_blip(model, folder):
    model.save_pretrained(folder, safe_serialization=True)
    return write_tokenizer(folder)


def save_original(model, path):
    """As Salesforce's training code saves it: other names, everything below "model"."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in ORIGINAL_NAMES:
            name = name.replace(ours, theirs)
        tensors[name] = tensor.clone()
    tensors["text_decoder.bert.embeddings.position_ids"] = torch.arange(64)[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": tensors, "config": {"vit": "large"}, "epoch": 4}, path)
    (path.parent / "vocab.txt").write_text("\n".join(vocabulary()) + "\n")
