"""The tokenizer against Transformers' CLIPTokenizer (slow, without ftfy): equal ids for every text.

See docs/decisions/0003-tokenizer-reference.md. SDTUNE_BUILD names the build folder (build/release).
"""

import gzip
import importlib.util
import json
import os
import random
import struct
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / os.environ.get("SDTUNE_BUILD", "build/release") / "tests/sdtune-tokenize"
BOS, EOS = 49406, 49407
PADDING = {"v1": "<|endoftext|>", "v2": "!"}
SEED = 20260131


def vocabulary_lines():
    # Found without being imported: the package needs more than this project installs.
    package = Path(importlib.util.find_spec("open_clip").origin).parent
    path = package / "bpe_simple_vocab_16e6.txt.gz"
    return gzip.decompress(path.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]


def write_tokenizer_folder(folder, padding):
    """A tokenizer folder as the published models have it."""
    from transformers.models.clip.tokenization_clip import bytes_to_unicode

    merges = vocabulary_lines()
    symbols = list(bytes_to_unicode().values())
    tokens = symbols + [s + "</w>" for s in symbols] + [m.replace(" ", "") for m in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")

    def special(text):
        return {"content": text, "lstrip": False, "normalized": True, "rstrip": False,
                "single_word": False}

    specials = {"bos_token": special("<|startoftext|>"), "eos_token": special("<|endoftext|>"),
                "unk_token": special("<|endoftext|>"), "pad_token": padding}
    (folder / "special_tokens_map.json").write_text(json.dumps(specials))
    config = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace",
              "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    made = {}
    for family, padding in PADDING.items():
        made[family] = tmp_path_factory.mktemp(family)
        write_tokenizer_folder(made[family], padding)
    return made


@pytest.fixture(scope="session")
def references(folders):
    transformers = pytest.importorskip("transformers")
    if unicodedata.unidata_version != "14.0.0":
        pytest.skip("the reference follows Python 3.11's Unicode 14; this Python has another")
    loaded = {f: transformers.CLIPTokenizer.from_pretrained(p) for f, p in folders.items()}
    for tokenizer in loaded.values():
        assert tokenizer.fix_text is None, "the reference is the tokenizer without ftfy"
    return loaded


def run_tool(arguments, texts=()):
    data = b"".join(struct.pack("<I", len(t)) + t for t in texts)
    done = subprocess.run([TOOL, *arguments], input=data, stdout=subprocess.PIPE, check=True)
    return done.stdout


def tool_ids(arguments, texts):
    lines = run_tool(arguments, texts).decode().splitlines()
    assert len(lines) == len(texts)
    return [[int(word) for word in line.split()] for line in lines]


def reference_ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def assert_equal_ids(tokenizer, family, raw):
    """`raw`: texts as bytes; ill-formed UTF-8 is read as Python reads it with "replace"."""
    ours = tool_ids(["ids", family], raw)
    wrong = []
    for text, got in zip(raw, ours):
        expected = reference_ids(tokenizer, text.decode("utf-8", "replace"))
        if got != expected:
            wrong.append((text, got, expected))
    print(f"{family}: {len(raw)} texts, {len(wrong)} mismatches")
    assert not wrong, f"{len(wrong)} of {len(raw)} differ, first: {wrong[:3]}"


# --- texts -------------------------------------------------------------------------------------

WORDS = """a photo of the cat in style portrait, masterpiece best quality 1girl solo long hair
looking at viewer highres absurdres (detailed:1.2) [soft light] artist_name greg rutkowski 8k f/1.4
O'Brien it's don't we're I've I'm they'll he'd IT'S DON'T WE'RE naïve café ÉTÉ straße STRASSE weiß
supercalifragilisticexpialidocious https://example.com/a?b=c&d=e user@example.com <b>bold</b> &amp;
&lt;br/&gt; 3.14159 1,000,000 ½ ² Ⅷ ⅷ Ⓐ №5 ™ © ® … — – “quoted” ‘x’s ’s it’s 'ſ <|ſtartoftext|>
İstanbul ISTANBUL ıI ẞ ΟΔΥΣΣΕΥΣ ΣΑΣ Σ ΑΣ. ΑΣ.Α ΑΣ'Σ ΆΣ́ ǅ ǆ Ǆ ﬁ ﬀ K Å Ω ͅ ᾳ ᾼ ŉ ǰ
ΐ Ꭰ ꭰ Ⴀ ა Ა""".split()

SCRIPTS = [
    (0x20, 0x7E), (0xA0, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF),
    (0x400, 0x52F), (0x530, 0x58F), (0x590, 0x5FF), (0x600, 0x6FF), (0x700, 0x74F), (0x780, 0x7BF),
    (0x900, 0x97F), (0x980, 0x9FF), (0xA00, 0xA7F), (0xB80, 0xBFF), (0xC80, 0xCFF), (0xD80, 0xDFF),
    (0xE00, 0xE7F), (0xE80, 0xEFF), (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF),
    (0x1100, 0x11FF), (0x1200, 0x137F), (0x13A0, 0x13FF), (0x1680, 0x169F), (0x1780, 0x17FF),
    (0x1800, 0x18AF), (0x1C80, 0x1CBF), (0x1D00, 0x1DBF), (0x1DC0, 0x1DFF), (0x1E00, 0x1FFF),
    (0x2000, 0x206F), (0x2070, 0x20CF), (0x20D0, 0x20FF), (0x2100, 0x218F), (0x2190, 0x2BFF),
    (0x2C00, 0x2DFF), (0x2E80, 0x2FFF), (0x3000, 0x30FF), (0x3100, 0x33FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xA000, 0xA4CF), (0xA640, 0xA7FF), (0xA800, 0xABFF), (0xAC00, 0xD7FF),
    (0xE000, 0xE0FF), (0xF900, 0xFAFF), (0xFB00, 0xFDFF), (0xFE00, 0xFE6F), (0xFE70, 0xFFFF),
    (0x10000, 0x10FFF), (0x11000, 0x11FFF), (0x12000, 0x1254F), (0x13000, 0x1345F),
    (0x16800, 0x16FFF), (0x1B000, 0x1B2FF), (0x1BC00, 0x1BCAF), (0x1D000, 0x1D7FF),
    (0x1DF00, 0x1E2FF), (0x1E800, 0x1EEFF), (0x1F000, 0x1F2FF), (0x1F300, 0x1FAFF),
    (0x20000, 0x20100), (0x2A6D0, 0x2A750), (0x2B730, 0x2B830), (0x2CEA0, 0x2CEC0),
    (0x2F800, 0x2FA1F), (0x30000, 0x323AF), (0xE0000, 0xE01EF), (0xFFFF0, 0x10FFFF),
]
EMOJI = ["😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "1️⃣", "❤️", "🫠", "🫨", "🧑🏿‍🚀", "⌚️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
SPACES = ["\t", "\n", "\r\n", "\v", "\f", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u180e",
          "\u2003", "\u2028", "\u2029", "\u200b", "\u202f", "\u205f", "\u3000", "\ufeff", "  "]
SPECIALS = ["<|endoftext|>", "<|startoftext|>", "<|ENDOFTEXT|>", "<|StartOfText|>", "<|endof", "|>",
            "<", "<|", "!", "!!", "<|endof\u200dtext|>", "</w>", "<|pad|>", "[PAD]"]
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "'ſ", "''s", "!'s"]
CASES = ["İ", "ẞ", "ß", "Σ", "ς", "σ", "ſ", "K", "Å", "ı", "I", "ͅ", "ʰ", "Ⅳ", "Ⓩ", "🄰", "ª", "º",
         ".", ":", "·", "’", "'", "\u00ad", "\u0301", "1", "A", "b", "-", "^", "`", "ˆ", "ǅ", "𝐀"]


def random_character(random_):
    while True:
        c = random_.randrange(0x110000)
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def script_text(random_):
    low, high = random_.choice(SCRIPTS)
    letters = (chr(random_.randint(low, high)) for _ in range(random_.randint(1, 12)))
    return "".join(c for c in letters if not 0xD800 <= ord(c) <= 0xDFFF)


def marks(random_):
    ranges = [(0x300, 0x36F), (0x591, 0x5C7), (0x64B, 0x65F), (0x1AB0, 0x1ACE), (0x1DC0, 0x1DFF)]
    base = random_.choice("aEoqnΑιع\u1100\u1161\u0915")
    picked = (chr(random_.randint(*random_.choice(ranges))) for _ in range(random_.randint(1, 8)))
    return base + "".join(picked)


def hangul(random_):
    return "".join(random_.choice([chr(0x1100 + random_.randrange(20)), "\u11a7",
                                   chr(0x1161 + random_.randrange(22)),
                                   chr(0x11A8 + random_.randrange(28)),
                                   chr(0xAC00 + 28 * random_.randrange(399))]) for _ in range(6))


PARTS = [
    lambda r: r.choice(WORDS),
    lambda r: " ".join(r.choice(WORDS) for _ in range(r.randint(1, 6))),
    script_text,
    lambda r: r.choice(EMOJI) * r.randint(1, 3),
    lambda r: r.choice(SPACES),
    lambda r: chr(r.choice([*range(32), *range(0x7F, 0xA0)])),
    lambda r: r.choice(SPECIALS),
    lambda r: r.choice(CONTRACTIONS),
    lambda r: "".join(r.choice(CASES) for _ in range(r.randint(2, 8))),
    marks,
    hangul,
    lambda r: "".join(r.choice("0123456789٣४") for _ in range(r.randint(1, 9))),
    lambda r: r.choice("!?.,;:-_=+*#~^`'\"\\/|()[]{}<>@$%&¿¡…—「」、。") * r.randint(1, 20),
    lambda r: "".join(r.choice("aeioubcdXYZ") for _ in range(r.randint(20, 200))),
    lambda r: "".join(random_character(r) for _ in range(r.randint(1, 8))),
    lambda r: r.choice(WORDS).swapcase(),
]


def generated_texts(count, seed):
    random_ = random.Random(seed)
    texts = ["", " ", "a photo of a cat", *WORDS, *EMOJI, *SPACES, *SPECIALS, *CONTRACTIONS, *CASES]
    while len(texts) < count:
        parts = [random_.choice(PARTS)(random_) for _ in range(random_.randint(1, 7))]
        texts.append(random_.choice(["", " ", " ", ", "]).join(parts))
    return [text.encode() for text in texts]


def damaged_texts(count, seed):
    """Texts with bytes changed, cut out and put in: mostly not UTF-8."""
    random_ = random.Random(seed)
    texts = []
    for text in generated_texts(count, seed):
        data = bytearray(text)
        for _ in range(random_.randint(1, 5)):
            at = random_.randint(0, len(data))
            data[at : at + random_.randint(0, 2)] = random_.choice(
                [b"", random_.randbytes(1), random_.randbytes(4), b"\xed\xa0\x80", b"\xc0\xaf",
                 b"\xf4\x90\x80\x80", b"\xf0\x9f", b"\xef\xbf\xbd"])
        texts.append(bytes(data))
    return texts


# --- tests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", PADDING)
def test_generated_texts(references, family):
    assert_equal_ids(references[family], family, generated_texts(25_000, SEED))


@pytest.mark.parametrize("family", PADDING)
def test_bytes_that_are_not_utf8(references, family):
    assert_equal_ids(references[family], family, damaged_texts(5_000, SEED + 1))


def test_every_code_point(references):
    """Each alone between letters, and each where the reference decides about a final sigma."""
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    texts = []
    for i in range(0, len(characters), 64):
        some = characters[i : i + 64]
        texts.append("".join(f"a{c}B " for c in some).encode())
        texts.append("".join(f"AΣ{c}A 1{c}Σ A{c}Σ " for c in some).encode())
    assert_equal_ids(references["v1"], "v1", texts)


def rows_as_sd_scripts_makes_them(tokenizer, family, text, length):
    """Rows of 77 ids, from the padded sequence that Transformers gives."""
    encoded = tokenizer(text, padding="max_length", truncation=True, max_length=length + 2)
    sequence = encoded.input_ids
    if length == 75:
        return sequence
    rows = []
    for start in range(1, length, 75):
        body, last = sequence[start : start + 75], sequence[-1]
        if family == "v2":
            last = EOS if body[-1] not in (EOS, tokenizer.pad_token_id) else last
            body[0] = EOS if body[0] == tokenizer.pad_token_id else body[0]
        rows += [BOS, *body, last]
    return rows


@pytest.mark.parametrize("length", [75, 150, 225])
@pytest.mark.parametrize("family", PADDING)
def test_rows(references, family, length):
    random_ = random.Random(SEED + 2)
    texts = [" ".join(["cat"] * n) for n in range(0, 230)]
    texts += [", ".join(random_.choice(WORDS) for _ in range(random_.randint(1, 90)))
              for _ in range(300)]
    texts += ["!", "! cat", " ".join(["cat"] * 74 + ["!"] * 4), " ".join(["cat"] * 75 + ["!", "a"])]
    ours = tool_ids(["chunks", family, str(length)], [text.encode() for text in texts])
    wrong = [text for text, got in zip(texts, ours)
             if got != rows_as_sd_scripts_makes_them(references[family], family, text, length)]
    print(f"{family} at {length}: {len(texts)} captions, {len(wrong)} mismatches")
    assert not wrong, wrong[:3]


def test_tokenizer_files(references, folders, tmp_path):
    """vocab and merges are read by both tokenizers of Transformers; merges.txt is byte-equal."""
    import transformers

    vocabulary = run_tool(["vocab"])
    assert json.loads(vocabulary) == json.loads((folders["v1"] / "vocab.json").read_text("utf-8"))
    assert run_tool(["merges"]) == (folders["v1"] / "merges.txt").read_bytes()
    (tmp_path / "vocab.json").write_bytes(vocabulary)
    (tmp_path / "merges.txt").write_bytes(run_tool(["merges"]))
    text = "A photo of a naïve cat, it's 100% <|endoftext|> 😀"
    expected = reference_ids(references["v1"], text)
    for kind in (transformers.CLIPTokenizer, transformers.CLIPTokenizerFast):
        assert reference_ids(kind.from_pretrained(tmp_path), text) == expected


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-v", "-s"]))
