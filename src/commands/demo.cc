#include "commands/demo.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <vector>

#include "base/files.h"
#include "base/log.h"
#include "base/system.h"
#include "commands/clean.h"
#include "commands/convert.h"
#include "commands/demo_pictures.h"
#include "commands/merge_captions.h"
#include "commands/merge_tags.h"
#include "commands/prepare.h"
#include "commands/train.h"
#include "image/encode.h"
#include "options/command_line.h"
#include "train/previews.h"
#include "train/random_model.h"

namespace sdtune {

namespace {

constexpr const char* kModel = "demo-model.safetensors";  // beside the program

// Where the demo's files lie.
struct Places {
  explicit Places(const fs::path& folder)
      : pictures(folder / "pictures"),
        metadata(folder / "metadata.json"),
        prompts(folder / "prompts.toml"),
        before_after(folder / "before-after.png"),
        random_model(folder / "small-model"),
        output(folder / "output") {}

  fs::path pictures, metadata, prompts, before_after, random_model, output;
};

void draw_picture(const fs::path& stem, const DemoPicture& picture) {
  write_png(stem.string() + ".png", picture.image);
  if (!picture.caption.empty()) write_file(stem.string() + ".caption", picture.caption + "\n");
  if (!picture.tags.empty()) write_file(stem.string() + ".txt", picture.tags + "\n");
}

void draw_pictures(const DemoOptions& demo, const fs::path& folder) {
  log_info("drawing {} pictures with captions and tags", demo.pictures + demo.shapes);
  make_writable_folder(folder);
  for (int64_t i = 0; i < demo.pictures; ++i)
    draw_picture(folder / fmt::format("mushroom-{:03}", i), draw_mushroom_picture(i));
  const ShapeWords words = demo.prepare_only ? ShapeWords::kVaried : ShapeWords::kBoth;
  for (int64_t i = 0; i < demo.shapes; ++i)
    draw_picture(folder / fmt::format("shape-{:05}", i), draw_shape_picture(i, words));
}

// What to learn, in some of its sizes, and what to keep.
constexpr const char* kPrompts = R"([prompt]
width = 128
height = 128
sample_steps = 15
scale = 4
seed = 1
[[prompt.subset]]
prompt = "a cyan mushroom on the left, white background"
[[prompt.subset]]
prompt = "a cyan mushroom in the middle, pink background"
[[prompt.subset]]
prompt = "a cyan mushroom on the right, grey background"
width = 192
[[prompt.subset]]
prompt = "a cyan mushroom at the top, black background"
height = 192
[[prompt.subset]]
prompt = "a red circle on the left, white background"
[[prompt.subset]]
prompt = "a blue square at the bottom, pink background"
[[prompt.subset]]
prompt = "a yellow triangle on the right, black background"
)";

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

// A command of this program and its words.
struct Step {
  const char* name;
  int (*run)(std::span<const std::string> args);
  std::vector<std::string> args;
};

// Each as if it had been typed, until one does not end well. Returns the last one's exit code.
int run_steps(const std::vector<Step>& steps) {
  for (const Step& step : steps) {
    log_info("sdtune {} {}", step.name, fmt::join(step.args, " "));
    if (const int code = step.run(step.args); code != 0) return code;
  }
  return 0;
}

std::vector<Step> gathering_steps(const Places& places) {
  const std::string pictures = places.pictures.string(), metadata = places.metadata.string();
  return {{"merge-captions", run_merge_captions, {pictures, metadata}},
          {"merge-tags", run_merge_tags, {pictures, metadata}},
          {"clean", run_clean, {metadata, metadata}}};
}

std::vector<Step> training_steps(const DemoOptions& demo, const Places& places,
                                 const std::string& model) {
  const std::string pictures = places.pictures.string(), metadata = places.metadata.string();
  const std::string output = places.output.string();
  return {{"prepare",
           run_prepare,
           {pictures, metadata, metadata, model, "--max_resolution=192,128",
            "--min_bucket_reso=128", "--batch_size=8"}},
          {"train",
           run_train,
           {"--pretrained_model_name_or_path=" + model,
            "--train_data_dir=" + pictures,
            "--in_json=" + metadata,
            "--output_dir=" + output,
            "--output_name=demo",
            "--save_model_as=safetensors",
            "--save_precision=fp16",
            "--resolution=192,128",
            "--enable_bucket",
            "--min_bucket_reso=128",
            "--cache_latents_to_disk",
            "--train_batch_size=8",
            "--learning_rate=6e-4",
            "--lr_scheduler=cosine",
            "--lr_warmup_steps=20",
            "--caption_dropout_rate=0.1",
            "--debiased_estimation_loss",
            fmt::format("--max_train_steps={}", demo.steps),
            "--sample_prompts=" + places.prompts.string(),
            "--sample_at_first",
            fmt::format("--sample_every_n_steps={}", std::max<int64_t>(1, demo.steps / 4)),
            "--seed=0"}},
          {"convert", run_convert, {output + "/demo.safetensors", output + "/demo-diffusers"}}};
}

void tell_where(const Places& places) {
  const fs::path& output = places.output;
  fmt::print(
      "\nThe demo is done.\n"
      "  before and after  {}\n"
      "  on the way        {}\n"
      "  loss curve        {}\n"
      "  log               {}\n"
      "  model             {}\n"
      "  for Diffusers     {}\n",
      places.before_after.string(), (output / "sample/contact-sheet.png").string(),
      (output / "demo-run/loss.png").string(), (output / "demo-run/events.jsonl").string(),
      (output / "demo.safetensors").string(), (output / "demo-diffusers").string());
  fmt::print(
      "\nDraw with it:\n"
      "  sdtune sample --ckpt={} --W=128 --H=128 --scale=4 \\\n"
      "    --prompt=\"a cyan mushroom at the bottom, white background\"\n"
      "\nThe same on your own pictures, with a caption beside each (cat.png, cat.caption):\n"
      "  sdtune train --pretrained_model_name_or_path=MODEL --train_data_dir=FOLDER "
      "--output_dir=OUT \\\n"
      "    --output_name=mine --resolution=512 --enable_bucket --cache_latents_to_disk "
      "--learning_rate=5e-6 --max_train_steps=1000\n",
      (output / "demo.safetensors").string());
}

// An earlier demo's words and curve are not this one's.
void forget_earlier_demo(const Places& places) {
  std::error_code ignored;
  fs::remove(places.metadata, ignored);
  fs::remove_all(places.output / "demo-run", ignored);
}

}  // namespace

int run_demo(std::span<const std::string> args) {
  DemoOptions demo;
  OptionTable table = describe(demo);
  if (!parse_command_line(table, args)) return 0;

  const Places places(demo.output_dir);
  make_writable_folder(demo.output_dir);
  forget_earlier_demo(places);
  draw_pictures(demo, places.pictures);
  if (const int code = run_steps(gathering_steps(places)); code != 0) return code;
  if (demo.prepare_only) {
    log_info("making a small random model");
    write_random_model(places.random_model, small_model());
    return 0;
  }
  write_file(places.prompts, kPrompts);
  const fs::path model =
      demo.pretrained_model_name_or_path.value_or(fs::path(program_folder()) / kModel);
  if (const int code = run_steps(training_steps(demo, places, model.string())); code != 0)
    return code;
  draw_before_and_after(places.output / "demo-run", places.before_after);
  tell_where(places);
  return 0;
}

}  // namespace sdtune
