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

// Pictures and their words, by file name without extension as the merge tools write metadata.
class PictureSet {
 public:
  explicit PictureSet(fs::path folder) : folder_(std::move(folder)) {
    make_writable_folder(folder_);
  }

  void add(const std::string& stem, const DemoPicture& picture) {
    write_png(folder_ / (stem + ".png"), picture.image);
    nlohmann::ordered_json& entry = metadata_[stem];
    if (!picture.caption.empty()) entry["caption"] = picture.caption;
    if (!picture.tags.empty()) entry["tags"] = picture.tags;
  }

  void write_metadata(const fs::path& file) const { write_file(file, metadata_.dump(2)); }

 private:
  fs::path folder_;
  nlohmann::ordered_json metadata_ = nlohmann::ordered_json::object();
};

void draw_pictures(const DemoOptions& demo) {
  PictureSet set(demo.output_dir / "pictures");
  for (int64_t i = 0; i < demo.pictures; ++i)
    set.add(fmt::format("mushroom-{:03}", i), draw_mushroom_picture(i));
  for (int64_t i = 0; i < demo.shapes; ++i)
    set.add(fmt::format("shape-{:05}", i), draw_shape_picture(i));
  set.write_metadata(demo.output_dir / "metadata.json");
}

// Stable Diffusion 1.x in every rule that a single file cannot tell (heads, norm groups, scaling
// factor), about 11 million parameters in all. assets/recipe trains models of these sizes.
RandomModel small_model() {
  return {
      .unet = {.block_out_channels = {64, 96, 128},
               .down_attention = {false, true, true},
               .layers_per_block = 1,
               .num_heads = {8, 8, 8},
               .cross_attention_dim = 64,
               .sample_size = 16},
      .vae = {.block_out_channels = {96, 64, 64, 96}, .layers_per_block = 1, .sample_size = 128},
      .text = {.hidden_size = 64,
               .intermediate_size = 256,
               .num_hidden_layers = 3,
               .num_attention_heads = 1}};
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
  log_info("drawing {} pictures", demo.pictures + demo.shapes);
  draw_pictures(demo);
  log_info("making a small random model");
  write_random_model(demo.output_dir / "small-model", small_model());
  if (demo.prepare_only) return 0;
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
