#include "commands/sample.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/system.h"
#include "commands/device.h"
#include "commands/model_ids.h"
#include "commands/sample_plan.h"
#include "generate/draw_pictures.h"
#include "generate/highres.h"
#include "generate/picture_text.h"
#include "image/contact_sheet.h"
#include "image/encode.h"
#include "models/hypernetwork_file.h"
#include "models/stable_diffusion.h"
#include "options/command_line.h"
#include "train/latent_encoder.h"
#include "train/precision.h"

namespace sdtune {

namespace {

struct LoadedModels {
  std::shared_ptr<const ModelSource> source;
  UNet2DConditionModel unet;
  AutoencoderKL vae;
  ClipTextModel text_encoder;
  ClipTokenizer tokenizer;
  at::Device device;
  std::unique_ptr<Hypernetwork> hypernetwork;  // attached to the U-Net, or null
};

template <class Model>
void place(Model& model, at::Device device, at::ScalarType compute) {
  visit_parameters(model, [&](const std::string&, at::Tensor& p) { p = p.to(device); });
  model.compute_dtype = compute;
}

LoadedModels load_models(const SampleModelOptions& options, at::Device device) {
  const Precision precision =
      choose_precision({.mixed_precision = options.fp16   ? MixedPrecision::kFp16
                                           : options.bf16 ? MixedPrecision::kBf16
                                                          : MixedPrecision::kNo,
                        .no_half_vae = options.no_half_vae},
                       device, computes_bf16(device), "--bf16");
  const auto source = open_model(
      {options.ckpt, options.v2, options.v_parameterization, options.vae.value_or(fs::path())});
  log_info("reading {}", source->path.string());
  LoadedModels models{source,
                      load_unet(*source, precision.compute),
                      load_frozen_vae(*source, precision.vae, device),
                      load_text_encoder(*source, precision.compute),
                      ClipTokenizer(),
                      device,
                      nullptr};
  place(models.unet, device, precision.compute);
  if (wants_channels_last(precision.compute, device)) use_channels_last(models.unet);
  place(models.text_encoder, device, precision.compute);
  if (options.hypernetwork_weights) {
    models.hypernetwork =
        std::make_unique<Hypernetwork>(load_hypernetwork(*options.hypernetwork_weights));
    models.hypernetwork->multiplier = options.hypernetwork_mul;
    visit_parameters(*models.hypernetwork, [&](const std::string&, at::Tensor& p) {
      p = p.to(device, precision.compute);
    });
    attach(models.unet, *models.hypernetwork);
  }
  return models;
}

// Ids become paths.
void find_models(SampleModelOptions& options) {
  options.ckpt = local_model(options.ckpt, ModelUse::kWhole);
  if (options.vae) options.vae = local_model(*options.vae, ModelUse::kVae);
  if (auto& weights = options.hypernetwork_weights) {
    weights = local_model(*weights, ModelUse::kFile);
  }
}

PictureModels picture_models(const LoadedModels& models, const SampleOptions& options) {
  if (options.clip_skip > models.text_encoder.config.num_hidden_layers) {
    throw UsageError(
        fmt::format("the text encoder has {} layers", models.text_encoder.config.num_hidden_layers),
        "--clip_skip");
  }
  const NoiseSchedule schedule = scaled_linear_schedule();
  return {models.unet,
          models.vae,
          {models.text_encoder, models.tokenizer, text_family(models.source->family),
           options.clip_skip, options.emb_normalize_mode, options.max_embeddings_multiples},
          models.source->prediction == PredictionType::kV,
          options.model.zero_terminal_snr ? with_zero_terminal_snr(schedule) : schedule,
          models.device};
}

DrawSettings draw_settings(const SampleOptions& options) {
  DrawSettings settings;
  settings.batch_size = options.input.batch_size;
  settings.steps_offset = options.force_scheduler_zero_steps_offset ? 0 : 1;
  settings.noise = {options.noise_offset_prob, number_range(options.noise_offset_range),
                    options.pyramid_noise_prob, number_range(options.pyramid_noise_discount_range)};
  const double at_once = options.model.vae_batch_size;
  if (at_once > 0) {
    settings.vae.batch = std::max<int64_t>(
        1, static_cast<int64_t>(at_once < 1 ? at_once * static_cast<double>(settings.batch_size)
                                            : at_once));
  }
  settings.vae.slices = options.model.vae_slices.value_or(0);
  return settings;
}

PngText png_text_of(const PlannedPicture& picture) {
  PngText text = picture_text(picture.request);
  if (!picture.raw_prompt.empty()) text.emplace_back("raw-prompt", picture.raw_prompt);
  return text;
}

// Draws, names and writes the pictures of a run.
class PictureWriter {
 public:
  PictureWriter(const SampleOptions& options, const PictureModels& models, SamplePlan& plan)
      : options_(options), models_(models), plan_(plan), settings_(draw_settings(options)) {
    for (size_t row = 0; row < plan.rows(); ++row) sheet_.rows.push_back({plan.label(row), {}});
  }

  // From the plan's first round on. False when a signal ended it.
  bool write_all(const std::vector<PlannedPicture>& first_round) {
    if (!write_round(first_round)) return false;
    for (int64_t round = 1; round < options_.input.n_iter; ++round) {
      if (!write_round(plan_.round(round))) return false;
    }
    return true;
  }

  void write_contact_sheet() const {
    if (!options_.contact_sheet) return;
    write_png(*options_.contact_sheet, draw_contact_sheet(sheet_));
    log_info("saved {}", options_.contact_sheet->string());
  }

 private:
  bool write_round(const std::vector<PlannedPicture>& pictures) {
    std::vector<PictureRequest> requests;
    for (const PlannedPicture& picture : pictures) requests.push_back(picture.request);
    const std::span<const PictureRequest> all(requests);
    Progress progress({.label = "pictures", .total = std::ssize(requests)});
    size_t begin = 0;
    while (begin < all.size()) {
      int64_t evaluations = 0;
      settings_.goes_on = [&] {
        progress.update(static_cast<int64_t>(begin), fmt::format("step {}", ++evaluations));
        return stop_signal() == 0;
      };
      const size_t count = batch_at_front(models_, settings_, all.subspan(begin));
      if (!write_batch({&pictures[begin], count}, all.subspan(begin, count))) return false;
      begin += count;
      progress.update(static_cast<int64_t>(begin));
    }
    return true;
  }

  bool write_batch(std::span<const PlannedPicture> pictures,
                   std::span<const PictureRequest> batch) {
    const HighresOptions& highres = options_.highres;
    std::vector<Image> small, large;
    if (highres.scale) {
      TwoStages stages = draw_in_two_stages(
          models_, settings_, batch,
          {*highres.scale, highres.steps.value_or(28), highres.strength, highres.latents_upscaling},
          highres.save_1st);
      small = std::move(stages.small);
      large = std::move(stages.large);
    } else {
      large = draw_pictures(models_, settings_, batch);
    }
    if (large.empty()) return false;
    for (size_t i = 0; i < large.size(); ++i) {
      ++written_;
      if (!small.empty() && highres.save_1st) write_one(pictures[i], small[i], "0");
      write_one(pictures[i], large[i], highres.scale ? "1" : "");
      if (options_.contact_sheet) {
        sheet_.rows[pictures[i].row].pictures.push_back(sheet_cell(large[i]));
      }
    }
    return true;
  }

  void write_one(const PlannedPicture& picture, const Image& image, const std::string& stage) {
    const fs::path path = options_.outdir / (name_for(picture, stage) + ".png");
    write_png(path, image, png_text_of(picture));
  }

  std::string name_for(const PlannedPicture& picture, const std::string& stage) {
    if (!picture.file_name.empty()) {
      // A name is no path, and the second picture of a name does not replace the first.
      std::string name = (stage == "0" ? "0_" : "") + picture.file_name;
      std::replace(name.begin(), name.end(), '/', '_');
      const int uses = ++uses_[name];
      return uses == 1 ? name : fmt::format("{}_{:03}", name, uses);
    }
    if (options_.sequential_file_name) return fmt::format("im_{}{:06}", stage, written_);
    return fmt::format("im_{}_{}{:03}_{}", time_for_name(), stage, written_, picture.request.seed);
  }

  const SampleOptions& options_;
  const PictureModels& models_;
  SamplePlan& plan_;
  DrawSettings settings_;
  ContactSheet sheet_;
  int64_t written_ = 0;
  std::map<std::string, int> uses_;  // of names that pictures have of their own
};

}  // namespace

int run_sample(std::span<const std::string> args) {
  SampleOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  validate(options);
  const uint64_t seed =
      options.input.seed ? static_cast<uint64_t>(*options.input.seed) : random_seed() >> 1;
  SamplePlan plan(options, seed);
  // What is wrong with a prompt is said before the model is read.
  const std::vector<PlannedPicture> first_round = plan.round(0);
  make_writable_folder(options.outdir);
  remove_stale_temporaries(options.outdir);
  find_models(options.model);
  install_stop_signals();
  const LoadedModels loaded = load_models(options.model, choose_device(options.model.device));
  const PictureModels models = picture_models(loaded, options);
  PictureWriter writer(options, models, plan);
  if (!writer.write_all(first_round)) return 128 + stop_signal();
  writer.write_contact_sheet();
  log_info("the pictures are in {}", options.outdir.string());
  return 0;
}

}  // namespace sdtune
