"""sdtune with ids in the place of paths, and runs that upload: from outside, against the local Hub."""

import pytest
import torch
from fake_hub import Repo
from running import run_sdtune, train_args
from safetensors.torch import load_file

ID = "org/small"


def repo_of(folder):
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return Repo(files, large=[name for name in files if name.endswith((".safetensors", ".bin"))])


@pytest.fixture
def model(hub, small_models):
    hub.repos[ID] = repo_of(small_models())
    return small_models()


@pytest.fixture
def run(environment):
    def call(*args, **more):
        variables = environment | {"OMP_WAIT_POLICY": "passive"} | more.pop("variables", {})
        result = run_sdtune(*args, env=variables, timeout=120, **more)
        assert "Traceback" not in result.stderr
        return result

    return call


def passes(result):
    assert result.returncode == 0, result.stderr
    return result


def trained(folder):
    return (folder / "mine.safetensors").read_bytes()


def test_train_by_id_then_offline_then_by_the_record(hub, run, model, pictures, tmp_path):
    short = "--max_train_steps=2"
    passes(run(*train_args(model, pictures, tmp_path / "path", short)))
    assert hub.requests == []
    passes(run(*train_args(ID, pictures, tmp_path / "id", short)))
    assert trained(tmp_path / "id") == trained(tmp_path / "path")
    hub.requests.clear()
    offline = {"HF_HUB_OFFLINE": "1"}
    passes(run(*train_args(ID, pictures, tmp_path / "offline", short), variables=offline))
    assert trained(tmp_path / "offline") == trained(tmp_path / "path")
    record = tmp_path / "id/mine-run/run.toml"
    assert f'"{ID}@{hub.repos[ID].commit()}"' in record.read_text()
    # the record goes on meaning the same model when the branch has moved
    hub.repos[ID].push({"unet/diffusion_pytorch_model.safetensors": b"no model"})
    passes(run("train", f"--config_file={record}", f"--output_dir={tmp_path / 'again'}"))
    assert trained(tmp_path / "again") == trained(tmp_path / "path")
    assert len(hub.requests) == 1  # whether all is there


def test_sample_with_model_and_vae_by_id(hub, run, model, small_models, tmp_path):
    hub.repos["org/other"] = repo_of(small_models("v2"))
    args = ["sample", "--prompt=a cat", "--W=64", "--H=64", "--steps=1", "--seed=3", "--device=cpu",
            "--sequential_file_name"]
    passes(run(*args, f"--ckpt={ID}", "--vae=org/other", f"--outdir={tmp_path / 'id'}"))
    passes(run(*args, f"--ckpt={model}", f"--vae={small_models('v2')}", f"--outdir={tmp_path / 'path'}"))
    name = "im_000001.png"
    assert (tmp_path / "id" / name).read_bytes() == (tmp_path / "path" / name).read_bytes()
    assert not [p for p in hub.paths() if "org/other" in p and "/unet/" in p]  # of a VAE's model, the VAE


def test_convert_by_id(hub, run, model, tmp_path):
    hub.repos["org/file"] = Repo({"sd/small.safetensors": b""}, large=["sd/small.safetensors"])
    passes(run("convert", ID, tmp_path / "one.safetensors"))
    hub.repos["org/file"].push({"sd/small.safetensors": (tmp_path / "one.safetensors").read_bytes()})
    passes(run("convert", "org/file/sd/small.safetensors", tmp_path / "two.safetensors"))
    passes(run("convert", model, tmp_path / "three.safetensors"))
    tensors = [load_file(tmp_path / f"{name}.safetensors") for name in ("one", "two", "three")]
    for other in tensors[1:]:
        assert other.keys() == tensors[0].keys()
        assert all(torch.equal(other[name], tensors[0][name]) for name in other)


def test_a_hypernetwork_by_id(hub, run, model, pictures, tmp_path):
    passes(run(*train_args(model, pictures, tmp_path / "out", "--hypernetwork_module=hypernetwork_nai",
                           "--max_train_steps=1")))
    (made,) = (tmp_path / "out").glob("mine.*")
    hub.repos["org/nets"] = Repo({f"nets/{made.name}": made.read_bytes()}, large=[f"nets/{made.name}"])
    args = ["sample", f"--ckpt={model}", "--prompt=a cat", "--W=64", "--H=64", "--steps=1", "--seed=3", "--device=cpu",
            "--sequential_file_name"]
    passes(run(*args, f"--hypernetwork_weights=org/nets/nets/{made.name}", f"--outdir={tmp_path / 'id'}"))
    passes(run(*args, f"--hypernetwork_weights={made}", f"--outdir={tmp_path / 'path'}"))
    passes(run(*args, f"--outdir={tmp_path / 'none'}"))
    id_, path, none = ((tmp_path / d / "im_000001.png").read_bytes() for d in ("id", "path", "none"))
    assert id_ == path != none


def test_latents_need_the_vae_alone(hub, run, model, pictures, tmp_path):
    (tmp_path / "in.json").write_text("{}")
    passes(run("prepare", pictures, tmp_path / "in.json", tmp_path / "out.json", ID, "--max_resolution=64",
               "--min_bucket_reso=64", "--device=cpu"))
    fetched = {p.split("/resolve/")[1].split("/", 1)[1] for p in hub.paths() if "/resolve/" in p}
    assert fetched == {"vae/config.json", "vae/diffusion_pytorch_model.safetensors"}
    hub.requests.clear()
    passes(run("cache-latents", f"--pretrained_model_name_or_path={ID}", f"--train_data_dir={pictures}",
               "--resolution=64", "--device=cpu"))
    assert len(hub.requests) == 1


def test_what_is_here_goes_before_an_id(hub, run, model, pictures, tmp_path):
    (tmp_path / "org").mkdir()
    (tmp_path / "org/small").symlink_to(model)
    passes(run(*train_args(ID, pictures, "out", "--max_train_steps=1"), cwd=tmp_path))
    assert hub.requests == []


@pytest.mark.parametrize("name, asks, message", [
    ("no-such-model", False, "no file or folder"),
    ("models/none.safetensors", False, "no file or folder"),
    ("here/sub/none.safetensors", False, "no file or folder"),  # its folder is here
    ("org/none", True, "here, and the Hub has no org/none"),
    ("org/small/none.ckpt", True, "no file"),
    ("org/empty", True, "put /sd.safetensors behind"),
])
def test_one_message_for_what_is_nowhere(hub, run, model, pictures, tmp_path, name, asks, message):
    (tmp_path / "here/sub").mkdir(parents=True)
    hub.repos["org/empty"] = Repo({"sd.safetensors": b""})
    result = run(*train_args(name, pictures, "out"), cwd=tmp_path, variables={"HF_TOKEN": "hf_x"})
    assert result.returncode == 1 and message in result.stderr
    assert bool(hub.requests) == asks


def upload_args(model, pictures, output, *more):
    return train_args(model, pictures, output, "--huggingface_repo_id=me/mine", "--huggingface_path_in_repo=runs",
                      "--huggingface_token=hf_mine", "--save_every_n_steps=2", "--max_train_steps=3", *more)


def test_a_run_uploads_what_it_writes_and_goes_on_from_there(hub, run, model, pictures, tmp_path):
    first = tmp_path / "first"
    passes(run(*upload_args(model, pictures, first, "--async_upload", "--save_state",
                           "--save_state_to_huggingface"), variables={"HF_TOKEN": "hf_other"}))
    written = {f"runs/{p.relative_to(first).as_posix()}": p.read_bytes() for p in first.rglob("*")
               if p.is_file() and "mine-run" not in p.parts}
    assert {"runs/mine.safetensors", "runs/mine-step00000002.safetensors",
            "runs/mine-step00000002-state/train_state.json"} <= set(written)
    assert hub.repos["me/mine"].files == written
    assert "hf_mine" not in (first / "mine-run/run.toml").read_text()
    # from the revision that is named, with the token that is given
    repo, second = hub.repos["me/mine"], tmp_path / "second"
    repo.revisions["kept"] = repo.commit()
    repo.push({"runs/mine-step00000002-state/train_state.json": b"none"})
    passes(run(*train_args(model, pictures, second, "--resume=me/mine/runs/mine-step00000002-state:kept:model",
                           "--resume_from_huggingface", "--huggingface_token=hf_mine", "--max_train_steps=3"),
               variables={"HF_TOKEN": "hf_other"}))
    assert trained(second) == trained(first)


def test_states_stay_here_unless_asked_for(hub, run, model, pictures, tmp_path):
    passes(run(*upload_args(model, pictures, tmp_path, "--save_state", "--huggingface_repo_visibility=public")))
    assert set(hub.repos["me/mine"].files) == {"runs/mine.safetensors", "runs/mine-step00000002.safetensors"}
    assert not hub.repos["me/mine"].private
    assert hub.repos["me/mine"].type == "model"


def test_another_kind_of_repository(hub, run, model, pictures, tmp_path):
    passes(run(*upload_args(model, pictures, tmp_path, "--huggingface_repo_type=dataset", "--max_train_steps=1")))
    assert hub.repos["me/mine"].type == "dataset"
    assert set(hub.repos["me/mine"].files) == {"runs/mine.safetensors"}
    assert any(path.startswith("/api/datasets/me/mine/commit/") for path in hub.paths("POST"))


@pytest.mark.parametrize("more", [["--huggingface_token="], ["--async_upload"]])
def test_uploads_that_fail_cost_a_warning(hub, run, model, pictures, tmp_path, more):
    hub.faults["upload"] = ["status:403"] * 20
    result = passes(run(*upload_args(model, pictures, tmp_path, *more)))
    warnings = [line for line in result.stderr.splitlines() if "was not uploaded to me/mine/runs" in line]
    assert len(warnings) == 2 and all(" W " in line for line in warnings)
    assert ("fail without a token" in result.stderr) == ("--huggingface_token=" in more)
    assert (tmp_path / "mine-step00000002.safetensors").exists() and (tmp_path / "mine.safetensors").exists()


@pytest.mark.parametrize("option", ["--huggingface_repo_id=mine", "--huggingface_path_in_repo=../up"])
def test_names_that_can_be_none_are_refused_before_the_run(hub, run, model, pictures, tmp_path, option):
    result = run(*upload_args(model, pictures, tmp_path, option))
    assert result.returncode == 2 and option.split("=")[0] in result.stderr
    assert not list(tmp_path.glob("*.safetensors"))
