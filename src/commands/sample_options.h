// Every option of `sdtune sample`, with the names of sd-scripts' gen_img.py. Its options for SDXL,
// ControlNet, Deep Shrink, gradual latents, textual inversion and LoRA networks are not here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "generate/prompt_states.h"
#include "generate/sampler_choices.h"
#include "options/config_file.h"
#include "options/option.h"

namespace sdtune {

struct SampleModelOptions {
  std::filesystem::path ckpt;
  bool v1 = false, v2 = false;
  bool v_parameterization = false;
  bool zero_terminal_snr = false;
  std::optional<std::filesystem::path> vae;
  bool fp16 = false, bf16 = false, no_half_vae = false;
  double vae_batch_size = 0;
  std::optional<int64_t> vae_slices;
  std::string device = "auto";
  std::optional<std::string> hypernetwork_module;
  std::optional<std::filesystem::path> hypernetwork_weights;
  double hypernetwork_mul = 1;

  template <class V>
  void visit(V& v) {
    v.group("Model");
    v("ckpt", ckpt,
      "The model: a .safetensors or .ckpt file, a Diffusers folder, or the id of one on the "
      "Hugging "
      "Face Hub (org/name, org/name/file.safetensors, org/name@revision).",
      Required{});
    v("v1", v1, "Accepted: the model tells by itself.");
    v("v2", v2, "The model is a Stable Diffusion 2.x one.");
    v("v_parameterization", v_parameterization,
      "The model predicts v, as Stable Diffusion 2.x 768-v does.");
    v("zero_terminal_snr", zero_terminal_snr,
      "Use the noise schedule that ends without a trace of the picture, for models trained with "
      "it.");
    v("vae", vae, "Another VAE than the model's: a file, a folder or an id.");
    v("fp16", fp16, "Weights and arithmetic in fp16; on a CPU the arithmetic is fp32.");
    v("bf16", bf16, "Weights and arithmetic in bf16, where the processor has it.");
    v("no_half_vae", no_half_vae, "The VAE computes in fp32, whatever the rest does.");
    v("vae_batch_size", vae_batch_size,
      "Pictures decoded or encoded at once; below 1 a share of --batch_size, 0 for all.",
      Range{0, 4096});
    v("vae_slices", vae_slices,
      "Decode and encode in this many tiles along the longer side, none under 512 pixels: less "
      "memory. Pictures with a side over 1536 pixels are taken in tiles in any case.",
      Range{1, 1024});
    v("device", device, "Where to compute.", Choices{"auto", "cpu", "cuda"});
    v("hypernetwork_module", hypernetwork_module,
      "Kind of the hypernetwork in --hypernetwork_weights, which tells by itself too.",
      Choices{"hypernetwork_nai"});
    v("hypernetwork_weights", hypernetwork_weights,
      "A hypernetwork to apply: a .pt or .safetensors file or an id.");
    v("hypernetwork_mul", hypernetwork_mul,
      "How strongly the hypernetwork is applied; 0 is the model alone.", Range{-100, 100});
  }
};

struct PromptInputOptions {
  std::optional<std::string> prompt;
  std::optional<std::filesystem::path> from_file;
  int64_t images_per_prompt = 1;
  int64_t n_iter = 1;
  int64_t batch_size = 1;
  std::optional<int64_t> seed;
  bool iter_same_seed = false;
  bool shuffle_prompts = false;

  template <class V>
  void visit(V& v) {
    v.group("Prompts");
    v("prompt", prompt,
      "The prompt. Options for it alone may follow in it, as \"a cat --w 768 --n blurry\", and "
      "{a|b} is a choice; docs/prompts.md has both.");
    v("from_file", from_file,
      "File with a prompt in each line; empty lines and those that begin with # are passed over.");
    v("images_per_prompt", images_per_prompt, "Pictures of each prompt.", Range{1, 1e6});
    v("n_iter", n_iter, "How often to go through all prompts.", Range{1, 1e6});
    v("batch_size", batch_size,
      "Pictures drawn at once. It does not change them: each depends on its own seed.",
      Range{1, 4096});
    v("seed", seed,
      "Seed of the picture, or of the seeds of several pictures; drawn when not given.",
      Range{0, 9.2e18});
    v("iter_same_seed", iter_same_seed, "All pictures of a round of --n_iter have one seed.");
    v("shuffle_prompts", shuffle_prompts, "Take the prompts in another order in each round.");
  }
};

struct StartOptions {
  std::optional<std::filesystem::path> image_path, mask_path;
  double strength = 0.8;

  template <class V>
  void visit(V& v) {
    v.group("Starting from a picture");
    v("image_path", image_path,
      "Picture to start from, or a folder of them, one for each prompt in turn. Pictures get their "
      "size, down to multiples of 32, unless --W and --H are given; without a prompt that of the "
      "PNG file is taken.");
    v("mask_path", mask_path,
      "Mask, or a folder of them in the pictures' order: white is painted over, black stays.");
    v("strength", strength, "Share of the steps that are done: 1 leaves next to nothing.",
      Range{0, 1});
  }
};

struct HighresOptions {
  std::optional<double> scale;
  std::optional<int64_t> steps;
  std::optional<double> strength;
  bool save_1st = false, latents_upscaling = false;

  template <class V>
  void visit(V& v) {
    v.group("Large pictures in two stages");
    v("highres_fix_scale", scale,
      "Draw the picture this much smaller first, then enlarge it and draw --strength of the steps "
      "anew.",
      Range{0.05, 1});
    v("highres_fix_steps", steps, "Steps of the first stage; 28 when not given.", Range{1, 1000});
    v("highres_fix_strength", strength,
      "With --image_path: strength of the first stage; --strength when not given.", Range{0, 1});
    v("highres_fix_save_1st", save_1st, "Write the pictures of the first stage too.");
    v("highres_fix_latents_upscaling", latents_upscaling,
      "Enlarge the latents instead of the picture.");
  }
};

struct SampleOptions {
  SampleModelOptions model;
  PromptInputOptions input;
  StartOptions start;
  HighresOptions highres;
  std::optional<int> W, H;
  int64_t steps = 50;
  double scale = 7.5;
  std::optional<double> negative_scale;
  std::string sampler = "ddim";
  int64_t clip_skip = 0;
  int64_t max_embeddings_multiples = 1;
  EmbNormalize emb_normalize_mode = EmbNormalize::kOriginal;
  bool force_scheduler_zero_steps_offset = false;
  double noise_offset_prob = 0, pyramid_noise_prob = 0;
  std::vector<std::string> noise_offset_range = {"0.05", "0.15"},
                           pyramid_noise_discount_range = {"0.2", "0.4"};

  std::filesystem::path outdir = "outputs";
  bool sequential_file_name = false, use_original_file_name = false;
  std::optional<std::filesystem::path> contact_sheet;

  bool xformers = false, sdpa = false, diffusers_xformers = false, opt_channels_last = false,
       no_preview = false;
  std::optional<std::filesystem::path> tokenizer_cache_dir;
  ConfigFileOptions config;

  template <class V>
  void visit(V& v) {
    model.visit(v);
    input.visit(v);
    visit_drawing(v);
    start.visit(v);
    highres.visit(v);
    visit_output(v);
    v.group("Accepted for sd-scripts' command lines");
    const char* attention = "Attention saves memory in any case.";
    v("xformers", xformers, attention);
    v("sdpa", sdpa, attention);
    v("diffusers_xformers", diffusers_xformers, attention);
    v("opt_channels_last", opt_channels_last, "The layout follows the device.");
    v("no_preview", no_preview, "No window is opened.");
    v("tokenizer_cache_dir", tokenizer_cache_dir, "The tokenizer is in the program.");
    v.group("Configuration");
    config.visit(v);
  }

 private:
  template <class V>
  void visit_drawing(V& v) {
    v.group("Drawing");
    v("W", W, "Width in pixels, 512 when not given.", Range{64, 8192});
    v("H", H, "Height in pixels, 512 when not given.", Range{64, 8192});
    v("steps", steps, "Steps of the sampler.", Range{1, 1000});
    v("scale", scale, "Scale of the guidance; up to 1 there is none, and no negative prompt.",
      Range{0, 1000});
    v("negative_scale", negative_scale,
      "Weigh the negative prompt by itself, against an empty one.", Range{-1000, 1000});
    v("sampler", sampler, "The sampler.", sampler_choices());
    v("force_scheduler_zero_steps_offset", force_scheduler_zero_steps_offset,
      "ddim and pndm take timesteps that end at 0 instead of 1.");
    v("clip_skip", clip_skip,
      "Take the text encoder's state this many layers from its end; 0 or 1 is the last.",
      Range{0, 100});
    v("max_embeddings_multiples", max_embeddings_multiples,
      "Prompts may have this many times 75 tokens.", Range{1, 3});
    v("emb_normalize_mode", emb_normalize_mode,
      "What is kept where weights in a prompt change it: the mean of its states, the mean of their "
      "magnitudes, or nothing.",
      EnumNames<EmbNormalize>{{"original", EmbNormalize::kOriginal},
                              {"abs", EmbNormalize::kAbs},
                              {"none", EmbNormalize::kNone}});
    v("noise_offset_prob", noise_offset_prob,
      "Share of the pictures that begin with a noise offset, for those trained with one.",
      Range{0, 1});
    v("noise_offset_range", noise_offset_range, "Its least and greatest value.");
    v("pyramid_noise_prob", pyramid_noise_prob,
      "Share of the pictures that begin with noise of several scales.", Range{0, 1});
    v("pyramid_noise_discount_range", pyramid_noise_discount_range,
      "The least and greatest discount of the coarser scales.");
  }

  template <class V>
  void visit_output(V& v) {
    v.group("Files");
    v("outdir", outdir, "Folder for the pictures.");
    v("sequential_file_name", sequential_file_name,
      "Names im_000001.png, im_000002.png, … instead of the time and the seed.");
    v("use_original_file_name", use_original_file_name,
      "With --image_path: the name of the picture started from.");
    v("contact_sheet", contact_sheet,
      "Also write one picture of all, a row for each prompt, to this PNG file.");
  }
};

// The two numbers of a range. UsageError when they are none.
std::pair<double, double> number_range(const std::vector<std::string>& words);

// UsageError for what cannot be meant.
void validate(const SampleOptions& options);

}  // namespace sdtune
