"""Makes the demo's model from nothing: pictures, VAE, text encoder, U-Net.

The program draws the pictures and writes a random model of the demo's sizes; Python trains what sdtune does not (VAE,
and the text encoder's first sight of pictures); sdtune trains the U-Net on the frozen rest. The averaged weights are
the model. README.md says why each step is as it is.
"""

import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PICTURES = 1536


def training_options(work, steps):
    return [
        f"--pretrained_model_name_or_path={work / 'small-model'}",
        f"--train_data_dir={work / 'pictures'}",
        f"--in_json={work / 'metadata.json'}",
        f"--output_dir={work / 'output'}",
        "--output_name=demo-model",
        "--save_model_as=safetensors",
        "--save_precision=fp16",
        "--resolution=128",
        "--cache_latents_to_disk",
        "--vae_batch_size=8",
        "--train_batch_size=16",
        # without words now and then, so that guidance has something to lead away from
        "--caption_dropout_rate=0.1",
        # what goes where is settled in the noisiest steps, which the plain loss hardly counts
        "--debiased_estimation_loss",
        "--learning_rate=1e-3",
        "--lr_scheduler=cosine",
        "--lr_warmup_steps=100",
        f"--max_train_steps={steps}",
        "--ema",
        "--ema_decay=0.999",
        "--seed=0",
        "--save_state",
        "--save_every_n_minutes=10",
        "--save_last_n_state=1",
        "--save_last_n=1",
        "--resume=auto",
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=pathlib.Path, help="folder for everything on the way, a few hundred MB")
    parser.add_argument("--sdtune", type=pathlib.Path, default=ROOT / "build/release/sdtune")
    parser.add_argument("--steps", type=int, default=3600, help="steps of the U-Net")
    args = parser.parse_args()
    work = args.work.resolve()
    model = work / "small-model"

    def run(*command):
        subprocess.run([str(part) for part in command], check=True)

    def run_once(name, *command):
        done = work / f"{name}.done"
        if not done.exists():
            run(*command)
            done.touch()

    draw = ["demo", f"--output_dir={work}", "--pictures=0", f"--shapes={PICTURES}", "--prepare_only"]
    run_once("draw", args.sdtune, *draw)
    run_once("vae", sys.executable, HERE / "train_vae.py", work / "pictures", model / "vae")
    run_once("words", sys.executable, HERE / "train_words.py", work / "pictures", work / "metadata.json", model)
    run(args.sdtune, "train", *training_options(work, args.steps))
    made = work / "output/demo-model-ema.safetensors"
    print(f"The model is {made}.")


if __name__ == "__main__":
    main()
