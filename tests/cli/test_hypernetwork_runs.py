"""Training a hypernetwork: what is written, that nothing else changes, exact resume, refusals."""

import hashlib
import pickle

import pytest
import torch
from running import read_events, train_args
from safetensors import safe_open
from test_resume import straight_and_killed

MODULE = "--hypernetwork_module=hypernetwork_nai"


def hypernetwork_args(model, data, output, *more):
    return train_args(model, data, output, MODULE, "--save_model_as=ckpt", "--learning_rate=1e-3", *more)


def digests(folder):
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def load(path):
    return torch.load(path, weights_only=True)


def weights(file):
    return {(w, i, k): t for w in file if isinstance(w, int) for i, s in enumerate(file[w]) for k, t in s.items()}


def test_trains_a_hypernetwork_and_nothing_else(sdtune, small_models, pictures, tmp_path):
    model = small_models()
    before = digests(model)
    result = sdtune(*hypernetwork_args(model, pictures, tmp_path, "--max_train_steps=5", "--save_every_n_steps=2",
                                       "--save_last_n=1", "--save_state"))
    assert result.returncode == 0, result.stderr
    assert digests(model) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "mine-run", "mine-state", "mine-step00000004-state", "mine-step00000004.pt", "mine.pt"]
    assert sorted(p.name for p in (tmp_path / "mine-state").iterdir()) == [
        "hypernetwork.safetensors", "manifest.json", "optimizer.safetensors", "train_state.json"]
    first, last = load(tmp_path / "mine-step00000004.pt"), load(tmp_path / "mine.pt")
    assert [w for w in last if isinstance(w, int)] == [64, 96, 128]
    assert (first["step"], last["step"], last["name"]) == (4, 5, "mine")
    assert last["layer_structure"] == [1, 2, 1] and last["activation_func"] == "linear"
    assert last["sd_checkpoint_name"] == model.name and last["is_layer_norm"] is False
    assert all(not torch.equal(t, weights(first)[k]) for k, t in weights(last).items())
    steps = [e for e in read_events(tmp_path) if e["event"] == "step"]
    assert len(steps) == 5 and all(e["updated"] and e["grad_norm"] > 0 for e in steps)


def test_kills_leave_the_same_bytes(sdtune, small_models, pictures, tmp_path):
    killed = straight_and_killed(
        sdtune, small_models("v2"), pictures, tmp_path, 5, [3], "--v2", MODULE, "--save_every_n_steps=1",
        "--save_last_n=2", "--save_last_n_state=2", "--hypernetwork_dropout=0.3", "--hypernetwork_layer_norm",
        "--hypernetwork_layer_structure=1,2,2,1", "--hypernetwork_activation=mish", "--gradient_checkpointing",
        "--train_batch_size=2", "--mixed_precision=bf16", "--use_8bit_adam", "--ema")
    with safe_open(killed / "mine.safetensors", "pt") as file:
        facts = file.metadata()
        assert set(file.keys()) > {"128.0.linear.0.weight", "128.1.linear.9.bias"}
    assert facts["layer_structure"] == "1, 2, 2, 1" and facts["dropout_structure"] == "0, 0.3, 0.3, 0"
    assert facts["modelspec.architecture"].endswith("/hypernetwork") and facts["step"] == "5"
    assert (killed / "mine-ema.safetensors").exists()


def test_goes_on_from_a_file(sdtune, small_models, pictures, tmp_path):
    made = hypernetwork_args(small_models(), pictures, tmp_path / "a", "--hypernetwork_activation=tanh",
                             "--max_train_steps=2")
    assert sdtune(*made).returncode == 0
    result = sdtune(*hypernetwork_args(small_models(), pictures, tmp_path / "b", "--max_train_steps=1",
                                       "--learning_rate=0", f"--hypernetwork_weights={tmp_path / 'a' / 'mine.pt'}"))
    assert result.returncode == 0, result.stderr
    first, second = load(tmp_path / "a" / "mine.pt"), load(tmp_path / "b" / "mine.pt")
    assert second["activation_func"] == "tanh"
    assert all(torch.equal(t, weights(second)[k]) for k, t in weights(first).items())


def test_seeds_alone_decide_where_it_starts(sdtune, small_models, pictures, tmp_path):
    """A run without --seed is repeated by its run.toml, the drawn weights included."""
    args = [a for a in hypernetwork_args(small_models(), pictures, tmp_path / "a", "--max_train_steps=1")
            if not a.startswith("--seed")]
    assert sdtune(*args).returncode == 0
    record = tmp_path / "a" / "mine-run" / "run.toml"
    assert sdtune("train", f"--config_file={record}", f"--output_dir={tmp_path / 'b'}").returncode == 0
    assert (tmp_path / "a" / "mine.pt").read_bytes() == (tmp_path / "b" / "mine.pt").read_bytes()


class Hostile:
    def __reduce__(self):
        import os

        return os.system, ("touch hacked",)


def hostile(path):
    torch.save({320: [Hostile(), Hostile()]}, path)


def of_another_model(path):
    state = {"linear.0.weight": torch.zeros(4, 2), "linear.0.bias": torch.zeros(4),
             "linear.1.weight": torch.zeros(2, 4), "linear.1.bias": torch.zeros(2)}
    torch.save({2: [state, state]}, path)


def a_plain_pickle(path):
    path.write_bytes(pickle.dumps({320: Hostile()}, protocol=2))


@pytest.mark.parametrize(
    "write, reason",
    [(hostile, "posix.system"), (a_plain_pickle, "posix.system"), (of_another_model, "fits no attention")],
)
def test_files_that_are_no_hypernetwork_for_this_model(sdtune, small_models, pictures, tmp_path, write, reason):
    write(tmp_path / "h.pt")
    result = sdtune(*hypernetwork_args(small_models(), pictures, tmp_path / "out",
                                       f"--hypernetwork_weights={tmp_path / 'h.pt'}"), cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert reason in result.stderr and result.stderr.count("error: ") == 1
    assert not (tmp_path / "hacked").exists()


def test_what_passes_hypernetworks_by_is_refused(sdtune, small_models, pictures, tmp_path):
    result = sdtune(*hypernetwork_args(small_models(), pictures, tmp_path, "--diffusers_xformers"))
    assert result.returncode == 2
    assert "passes hypernetworks by" in result.stderr and "--diffusers_xformers" in result.stderr


def draw(sdtune, model, output, *more):
    result = sdtune("sample", f"--ckpt={model}", "--prompt=a picture", f"--outdir={output}", "--W=64", "--H=64",
                    "--steps=2", "--seed=1", "--sequential_file_name", "--device=cpu", *more)
    assert result.returncode == 0, result.stderr
    return next(output.glob("*.png")).read_bytes()


def test_pictures_are_drawn_with_it(sdtune, small_models, pictures, tmp_path):
    model = small_models()
    args = hypernetwork_args(model, pictures, tmp_path / "run", "--max_train_steps=3", "--learning_rate=0.05")
    assert sdtune(*args).returncode == 0
    weights = f"--hypernetwork_weights={tmp_path / 'run' / 'mine.pt'}"
    plain = draw(sdtune, model, tmp_path / "plain")
    assert draw(sdtune, model, tmp_path / "off", weights, "--hypernetwork_mul=0") == plain
    assert draw(sdtune, model, tmp_path / "on", weights, MODULE) != plain
    result = sdtune("sample", f"--ckpt={model}", "--prompt=x", f"--outdir={tmp_path}", "--hypernetwork_mul=0.5")
    assert result.returncode == 2 and "--hypernetwork_weights" in result.stderr
