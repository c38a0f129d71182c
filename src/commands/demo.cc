#include "commands/demo.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/log.h"
#include "commands/demo_pictures.h"
#include "commands/train.h"
#include "image/encode.h"
#include "models/autoencoder_kl.h"
#include "models/clip_text.h"
#include "models/config_json.h"
#include "models/random_init.h"
#include "models/unet_2d_condition.h"
#include "options/command_line.h"
#include "text/tokenizer_files.h"
#include "train/tensor_file.h"

namespace sdtune {

namespace {

// metadata as the merge tools write it: pictures by stem, with caption and tags.
void draw_pictures(const fs::path& folder, const fs::path& metadata, int64_t count) {
  make_writable_folder(folder);
  nlohmann::ordered_json entries;
  for (int64_t i = 0; i < count; ++i) {
    const DemoPicture picture = draw_demo_picture(static_cast<uint64_t>(i));
    const std::string stem = fmt::format("picture-{:03}", i);
    write_png(folder / (stem + ".png"), picture.image);
    entries[stem] = {{"caption", picture.caption}, {"tags", picture.tags}};
  }
  write_file(metadata, entries.dump(2));
}

template <class Model>
void write_component(const fs::path& folder, const char* weights, const std::string& config,
                     Model model) {
  make_writable_folder(folder);
  initialise(model, /*seed=*/0);
  write_file(folder / "config.json", config);
  write_tensors(folder / weights, named_parameters(model));
}

// A Diffusers folder: Stable Diffusion 1.x in every rule, about 12 million parameters in all.
void write_small_model(const fs::path& folder) {
  const UNetConfig unet{
      .block_out_channels = {32, 64, 128, 128}, .cross_attention_dim = 128, .sample_size = 16};
  const VaeConfig vae{
      .block_out_channels = {32, 32, 64, 64}, .layers_per_block = 1, .sample_size = 128};
  const ClipTextConfig text{.hidden_size = 128,
                            .intermediate_size = 512,
                            .num_hidden_layers = 4,
                            .num_attention_heads = 2};
  write_component(folder / "unet", "diffusion_pytorch_model.safetensors", unet_config_json(unet),
                  UNet2DConditionModel(unet));
  write_component(folder / "vae", "diffusion_pytorch_model.safetensors", vae_config_json(vae),
                  AutoencoderKL(vae));
  write_component(folder / "text_encoder", "model.safetensors", clip_text_config_json(text),
                  ClipTextModel(text));
  make_writable_folder(folder / "tokenizer");
  for (const auto& [name, content] : tokenizer_files(TextFamily::kV1))
    write_file(folder / name, content);
  write_file(folder / "model_index.json", R"({
  "_class_name": "StableDiffusionPipeline",
  "unet": ["diffusers", "UNet2DConditionModel"],
  "vae": ["diffusers", "AutoencoderKL"],
  "text_encoder": ["transformers", "CLIPTextModel"],
  "tokenizer": ["transformers", "CLIPTokenizer"]
}
)");
}

TrainOptions training_options(const DemoOptions& demo) {
  TrainOptions options;
  options.model.pretrained_model_name_or_path = demo.output_dir / "small-model";
  options.dataset.train_data_dir = demo.output_dir / "pictures";
  options.dataset.in_json = demo.output_dir / "metadata.json";
  options.dataset.buckets.resolution = Size2{128, 128};
  options.dataset.buckets.enable_bucket = true;
  options.dataset.buckets.min_bucket_reso = 64;
  options.dataset.buckets.max_bucket_reso = 256;
  options.dataset.train_batch_size = 4;
  options.run.output_dir = demo.output_dir / "output";
  options.run.output_name = "demo";
  options.run.max_train_steps = demo.steps;
  options.run.seed = 0;
  options.optimizer.learning_rate = 5e-4;
  options.save.save_model_as = "safetensors";
  return options;
}

}  // namespace

int run_demo(std::span<const std::string> args) {
  DemoOptions demo;
  OptionTable table = describe(demo);
  if (!parse_command_line(table, args)) return 0;

  make_writable_folder(demo.output_dir);
  log_info("drawing {} pictures", demo.pictures);
  draw_pictures(demo.output_dir / "pictures", demo.output_dir / "metadata.json", demo.pictures);
  log_info("making a small random model");
  write_small_model(demo.output_dir / "small-model");
  TrainOptions options = training_options(demo);
  std::error_code ignored;
  fs::remove_all(options.run.output_dir / "demo-run",
                 ignored);  // an earlier demo's curve is not this one's
  const int code = train_with(options);
  if (code != 0) return code;

  const fs::path output = options.run.output_dir;
  fmt::print(
      "\nThe demo is done.\n  pictures    {}\n  model       {}\n  loss curve  {}\n  log         "
      "{}\n",
      (demo.output_dir / "pictures").string(), (output / "demo.safetensors").string(),
      (output / "demo-run/loss.png").string(), (output / "demo-run/events.jsonl").string());
  fmt::print(
      "\nOn your own pictures:\n"
      "  sdtune train --pretrained_model_name_or_path=MODEL --train_data_dir=FOLDER "
      "--output_dir=OUT \\\n"
      "    --output_name=mine --resolution=512 --enable_bucket --learning_rate=5e-6 "
      "--max_train_steps=1000\n");
  return 0;
}

}  // namespace sdtune
