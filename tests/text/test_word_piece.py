"""The word-piece tokenizer against Transformers' BertTokenizer (slow) and BertTokenizerFast.

SDTUNE_BUILD names the build folder (build/release).
"""

import random
import unicodedata

import pytest
from test_tokenizer import damaged_texts, generated_texts, run_tool

WORDS = "a the of picture man woman cat dog with in on red blue white holding it don t s photo cafe strasse".split()
ENDS = "##s ##ing ##ed ##er ##es ##ly ##able ##cat".split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory):
    """A vocab.txt in which most texts of the Latin alphabet, and some of others, have pieces."""
    letters = [chr(c) for c in range(0x21, 0x7F) if chr(c) == chr(c).lower()]
    letters += list("àßðøþαβγσςабвгдежзابتअआकกขあいうアイウ中文日本猫가나") + ["\u0e33", "\u3000", "½", "²"]
    pieces = list(dict.fromkeys(SPECIAL + letters + ["##" + letter for letter in letters] + WORDS + ENDS))
    path = tmp_path_factory.mktemp("words") / "vocab.txt"
    path.write_text("\n".join(pieces) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def slow(vocabulary):
    transformers = pytest.importorskip("transformers")
    if unicodedata.unidata_version != "14.0.0":
        pytest.skip("the reference follows Python 3.11's Unicode 14; this Python has another")
    return transformers.BertTokenizer(str(vocabulary))


def without_special(text):
    """Special tokens written in a text are plain text here, and only here."""
    for token in SPECIAL:
        text = text.replace(token.encode(), b"")
    return text


def test_ids(slow, vocabulary):
    texts = [without_special(t) for t in generated_texts(6_000, 5) + damaged_texts(2_000, 6)]
    lines = run_tool(["word-pieces", vocabulary], texts).decode().splitlines()
    ours = [[int(word) for word in line.split()] for line in lines]
    theirs = [slow(t.decode("utf-8", "replace"), add_special_tokens=False)["input_ids"] for t in texts]
    wrong = [(t, a, b) for t, a, b in zip(texts, ours, theirs, strict=True) if a != b]
    assert not wrong, f"{len(wrong)} of {len(texts)} differ, first: {wrong[:3]}"
    assert sum(len(row) for row in ours) > 50_000


@pytest.mark.parametrize("kind", ["slow", "fast", "fast and tidy"])
def test_text_of_ids(slow, vocabulary, tmp_path, kind):
    from transformers import BertTokenizerFast

    reference, place = slow, vocabulary
    if kind != "slow":
        reference = BertTokenizerFast(vocab_file=str(vocabulary), clean_up_tokenization_spaces=kind == "fast and tidy")
        reference.save_pretrained(tmp_path)
        place = tmp_path
    random_ = random.Random(4)
    rows = [[random_.randrange(len(slow)) for _ in range(random_.randint(0, 20))] for _ in range(2_000)]
    data = [" ".join(map(str, row)).encode() for row in rows]
    ours = run_tool(["words", place], data).decode().split("\n")[:-1]
    theirs = [reference.decode(row, skip_special_tokens=True).strip() for row in rows]
    wrong = [(row, a, b) for row, a, b in zip(rows, ours, theirs, strict=True) if a != b]
    assert not wrong, f"{len(wrong)} of {len(rows)} differ, first: {wrong[:3]}"
