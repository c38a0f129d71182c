"""Files that PyTorch and the safetensors package write are read, and theirs read ours, value by value.

Needs the program sdtune-weights in the build folder ($SDTUNE_BUILD, default build/release).
"""

import os
import pathlib
import runpy
import subprocess
import zipfile

import numpy
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("SDTUNE_BUILD", "build/release")
FORMS = [pytest.param(True, id="zip"), pytest.param(False, id="legacy")]


def convert(source, target):
    return subprocess.run([BUILD / "sdtune-weights", "convert", source, target],
                          capture_output=True, text=True, timeout=60)


def converted(source, target):
    result = convert(source, target)
    assert result.returncode == 0, result.stderr
    return result


def refused(source, *words):
    result = convert(source, source.with_suffix(".out.safetensors"))
    assert result.returncode == 1
    for word in words:
        assert word in result.stderr
    assert not source.with_suffix(".out.safetensors").exists()


def same(got, expected):
    assert set(got) == set(expected)
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.dtype, name
        assert got[name].shape == tensor.shape, name
        # As bytes: NaN equals itself, and -0.0 differs from 0.0.
        ours = got[name].contiguous().flatten().view(torch.uint8)
        theirs = tensor.detach().contiguous().flatten().view(torch.uint8)
        assert torch.equal(ours, theirs), name


def all_dtypes():
    generator = torch.Generator().manual_seed(1)
    values = torch.randint(-100, 100, (3, 5), generator=generator)
    dtypes = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
              torch.int16, torch.int8, torch.uint8, torch.bool, torch.float8_e4m3fn,
              torch.float8_e5m2, torch.uint16, torch.uint32, torch.uint64]
    return {str(dtype): values.abs().to(dtype) for dtype in dtypes}


def views():
    base = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
    return {
        "whole": base,
        "transposed": base.transpose(0, 2),
        "permuted": base.permute(3, 1, 0, 2),
        "strided": base[:, ::2, 1:, ::3],
        "tail": base[1],
        "columns": torch.arange(12.0).reshape(3, 4).t(),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 4),
        "one": torch.ones(1, 1, 7)[:, :, ::2],
        "half": torch.arange(64, dtype=torch.float16).reshape(8, 8).t()[2:5],
    }


def special():
    return {
        "nan": torch.tensor([float("nan"), float("inf"), -0.0, 1e-40]),
        "parameter": torch.nn.Parameter(torch.randn(4, 4)),
        "größe.weight": torch.randn(2),
        "shared.a": (shared := torch.randn(6)),
        "shared.b": shared[2:],
    }


@pytest.mark.parametrize("new_form", FORMS)
@pytest.mark.parametrize("make", [all_dtypes, views, special])
def test_reads_what_torch_saves(tmp_path, make, new_form):
    state = make()
    torch.save(state, tmp_path / "in.ckpt", _use_new_zipfile_serialization=new_form)
    converted(tmp_path / "in.ckpt", tmp_path / "out.safetensors")
    same(load_file(tmp_path / "out.safetensors"), state)


@pytest.mark.parametrize("new_form", FORMS)
def test_state_dict_with_epoch_and_step(tmp_path, new_form):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GroupNorm(2, 4))
    wrapped = {"epoch": 7, "global_step": 470000, "note": "hello", "optimizer_states": [{"lr": 1.0}],
               "state_dict": module.state_dict()}
    torch.save(wrapped, tmp_path / "in.ckpt", _use_new_zipfile_serialization=new_form)
    result = converted(tmp_path / "in.ckpt", tmp_path / "out.safetensors")
    assert "optimizer_states" in result.stderr
    same(load_file(tmp_path / "out.safetensors"), module.state_dict())
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        assert file.metadata() == {"epoch": "7", "global_step": "470000", "note": "hello"}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol(tmp_path, protocol):
    state = all_dtypes()
    torch.save(state, tmp_path / "in.pt", pickle_protocol=protocol)
    converted(tmp_path / "in.pt", tmp_path / "out.safetensors")
    same(load_file(tmp_path / "out.safetensors"), state)


def test_numpy_scalars_beside_the_weights_are_skipped(tmp_path):
    state = {"best": numpy.float64(0.5), "state_dict": {"w": torch.ones(2)},
             "device": torch.device("cpu"), "shape": torch.Size([1, 2])}
    torch.save(state, tmp_path / "in.ckpt")
    result = converted(tmp_path / "in.ckpt", tmp_path / "out.safetensors")
    assert "multiarray.scalar" in result.stderr
    same(load_file(tmp_path / "out.safetensors"), state["state_dict"])


def test_many_tensors(tmp_path):
    state = {f"model.block.{i}.weight": torch.full((3, i % 5), float(i)) for i in range(3000)}
    torch.save({"state_dict": state}, tmp_path / "in.ckpt")
    converted(tmp_path / "in.ckpt", tmp_path / "out.ckpt")
    same(torch.load(tmp_path / "out.ckpt", weights_only=True)["state_dict"], state)


@pytest.mark.parametrize("make", [all_dtypes, views, special])
def test_torch_reads_our_checkpoint(tmp_path, make):
    state = make()
    torch.save({"state_dict": state, "epoch": 300, "global_step": 2**40}, tmp_path / "in.ckpt")
    converted(tmp_path / "in.ckpt", tmp_path / "out.ckpt")
    for options in ({}, {"mmap": True}):
        loaded = torch.load(tmp_path / "out.ckpt", weights_only=True, **options)
        assert (loaded["epoch"], loaded["global_step"]) == (300, 2**40)
        assert list(loaded["state_dict"]) == list(state)
        same(loaded["state_dict"], state)
    with zipfile.ZipFile(tmp_path / "out.ckpt") as archive:
        assert archive.testzip() is None
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def test_our_checkpoint_is_stable_and_aligned(tmp_path):
    torch.save({"state_dict": special()}, tmp_path / "in.ckpt")
    converted(tmp_path / "in.ckpt", tmp_path / "a.ckpt")
    converted(tmp_path / "a.ckpt", tmp_path / "b.ckpt")
    data = (tmp_path / "a.ckpt").read_bytes()
    assert data == (tmp_path / "b.ckpt").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.ckpt") as archive:
        for entry in archive.infolist():
            at = entry.header_offset
            start = (at + 30 + int.from_bytes(data[at + 26:at + 28], "little")
                     + int.from_bytes(data[at + 28:at + 30], "little"))
            assert start % 64 == 0


def test_safetensors_both_ways(tmp_path):
    state = {name: tensor.contiguous().clone() for name, tensor in {**all_dtypes(), **views()}.items()
             if not name.startswith("torch.uint") or name == "torch.uint8"}  # the package lacks them
    save_file(state, tmp_path / "in.safetensors", {"b": "2", "a": "ü\"\n"})
    converted(tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    same(load_file(tmp_path / "out.safetensors"), state)
    data = (tmp_path / "out.safetensors").read_bytes()
    assert (8 + int.from_bytes(data[:8], "little")) % 64 == 0
    assert data[8:].startswith(b'{"__metadata__":{"a":"\xc3\xbc\\"\\n","b":"2"}')


class Call:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("new_form", FORMS)
@pytest.mark.parametrize("function, name", [(os.system, "posix.system"), (eval, "__builtin__.eval"),
                                            (runpy.run_path, "runpy.run_path"),
                                            (torch.load, "torch.serialization.load")])
def test_calls_are_refused_by_name(tmp_path, new_form, function, name):
    witness = tmp_path / "witness"
    state = {"w": torch.ones(2), "x": Call(function, f"touch {witness}")}
    torch.save(state, tmp_path / "in.ckpt", _use_new_zipfile_serialization=new_form)
    refused(tmp_path / "in.ckpt", "pickle asks for", name)
    assert not witness.exists()


def test_damage_is_found(tmp_path):
    state = {"w": torch.arange(1000.0)}
    torch.save(state, tmp_path / "in.ckpt")
    data = bytearray((tmp_path / "in.ckpt").read_bytes())
    data[data.find(torch.tensor([500.0, 501.0]).numpy().tobytes())] ^= 1
    (tmp_path / "bad.ckpt").write_bytes(data)
    refused(tmp_path / "bad.ckpt", "checksum")
    (tmp_path / "short.ckpt").write_bytes(data[:-100])
    refused(tmp_path / "short.ckpt", "cut off")


def test_compressed_archives_are_refused(tmp_path):
    torch.save({"w": torch.ones(100)}, tmp_path / "in.ckpt")
    with zipfile.ZipFile(tmp_path / "in.ckpt") as old, \
            zipfile.ZipFile(tmp_path / "packed.ckpt", "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    refused(tmp_path / "packed.ckpt", "compressed")


def test_torchscript_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "in.pt")
    refused(tmp_path / "in.pt", "TorchScript")
