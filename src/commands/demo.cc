#include "commands/demo.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/log.h"
#include "commands/demo_pictures.h"
#include "commands/train.h"
#include "image/encode.h"
#include "options/command_line.h"
#include "train/random_model.h"

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

// Stable Diffusion 1.x in every rule, about 12 million parameters in all.
RandomModel small_model() {
  return {
      .unet = {.block_out_channels = {32, 64, 128, 128},
               .cross_attention_dim = 128,
               .sample_size = 16},
      .vae = {.block_out_channels = {32, 32, 64, 64}, .layers_per_block = 1, .sample_size = 128},
      .text = {.hidden_size = 128,
               .intermediate_size = 512,
               .num_hidden_layers = 4,
               .num_attention_heads = 2}};
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
  write_random_model(demo.output_dir / "small-model", small_model());
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
