#include "train/previews.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/log.h"
#include "base/system.h"
#include "generate/draw_pictures.h"
#include "generate/picture_text.h"
#include "image/contact_sheet.h"
#include "image/decode.h"
#include "image/encode.h"
#include "train/model_copies.h"

namespace sdtune {

namespace {

constexpr int64_t kMostChunks = 3;
constexpr size_t kMostColumns = 12;

// The averages of --ema, where they are kept, on the device.
ModelCopies models_to_show(const Trainee& trainee) {
  ModelCopies models = model_copies(trainee, trainee.ema.has_value());
  const auto place = [&](const std::string&, at::Tensor& p) { p = p.to(trainee.device); };
  visit_parameters(models.unet, place);
  visit_parameters(models.text_encoder, place);
  if (models.hypernetwork) visit_parameters(*models.hypernetwork, place);
  return models;
}

PictureModels picture_models(const Trainee& trainee, const ModelCopies& models,
                             bool zero_terminal_snr) {
  const bool predicts_v = trainee.source->prediction == PredictionType::kV;
  const NoiseSchedule schedule = scaled_linear_schedule();
  return {models.unet,
          *trainee.vae,
          {models.text_encoder, trainee.tokenizer, text_family(trainee.source->family),
           trainee.clip_skip, EmbNormalize::kOriginal, kMostChunks},
          predicts_v,
          // What predicts the noise cannot begin where nothing but noise is.
          zero_terminal_snr && predicts_v ? with_zero_terminal_snr(schedule) : schedule,
          trainee.device};
}

// The pictures that the record tells of, by step and prompt.
struct Drawn {
  std::map<int64_t, std::map<int64_t, fs::path>> paths;
  std::map<int64_t, std::string> prompts;
};

Drawn read_drawn(const fs::path& run_folder) {
  Drawn drawn;
  visit_events(run_folder, "sample", [&](const nlohmann::json& event) {
    const auto prompt = event.value("index", int64_t{0});
    drawn.paths[event.value("step", int64_t{0})][prompt] = event.value("path", "");
    drawn.prompts[prompt] = event.value("prompt", "");
  });
  return drawn;
}

// The first, the last, and others evenly between.
std::vector<int64_t> steps_to_show(const Drawn& drawn) {
  std::vector<int64_t> steps;
  for (const auto& [step, paths] : drawn.paths) steps.push_back(step);
  if (steps.size() <= kMostColumns) return steps;
  std::vector<int64_t> some;
  for (size_t i = 0; i < kMostColumns; ++i) {
    some.push_back(steps[i * (steps.size() - 1) / (kMostColumns - 1)]);
  }
  return some;
}

Image cell_of(const std::map<int64_t, fs::path>& paths, int64_t prompt) {
  const auto found = paths.find(prompt);
  if (found == paths.end() || !fs::exists(found->second)) return {};
  return sheet_cell(decode_image(found->second));
}

ContactSheet sheet_of(const Drawn& drawn, const std::vector<int64_t>& steps) {
  ContactSheet sheet;
  for (const int64_t step : steps) sheet.columns.push_back(fmt::format("step {}", step));
  for (const auto& [index, prompt] : drawn.prompts) {
    SheetRow row{prompt, {}};
    for (const int64_t step : steps) row.pictures.push_back(cell_of(drawn.paths.at(step), index));
    sheet.rows.push_back(std::move(row));
  }
  return sheet;
}

}  // namespace

Previews::Previews(const TrainOptions& options, std::vector<PromptLine> prompts, RunFolder& record,
                   const Rank& rank)
    : options_(options), record_(record), rank_(rank), prompts_(std::move(prompts)) {
  for (size_t i = 0; i < prompts_.size(); ++i) {
    PictureRequest& request = prompts_[i].request;
    request.seed = prompts_[i].seeds.empty()
                       ? drawn_seed(static_cast<uint64_t>(*options.run.seed), i)
                       : prompts_[i].seeds[0];
  }
}

bool Previews::is_due(int64_t step, bool ends_epoch, int64_t epochs_done) const {
  const PreviewOptions& preview = options_.preview;
  if (preview.sample_every_n_epochs) {
    return ends_epoch && epochs_done % *preview.sample_every_n_epochs == 0;
  }
  return preview.sample_every_n_steps && step % *preview.sample_every_n_steps == 0;
}

void Previews::draw(Trainee& trainee, int64_t step, int64_t epochs_done) {
  try {
    draw_all(trainee, step, epochs_done);
  } catch (const std::exception& error) {
    const std::string what = error.what();
    const std::string reason = what.substr(0, what.find("\nException raised from "));
    log_warning("the pictures of step {} were not drawn: {}", step, reason);
    record_.event("sample_failed", {{"step", step}, {"reason", reason}});
  }
}

void Previews::draw_all(Trainee& trainee, int64_t step, int64_t epochs_done) {
  const at::NoGradGuard no_grad;
  const AveragedWeights averaged(*trainee.optimizer);
  const ModelCopies copies = models_to_show(trainee);
  const PictureModels models = picture_models(trainee, copies, options_.noise.zero_terminal_snr);
  DrawSettings settings;
  settings.goes_on = [] { return stop_signal() == 0; };
  make_writable_folder(options_.run.output_dir / "sample");
  int drawn = 0;
  for (size_t i = rank_.rank; i < prompts_.size(); i += rank_.world_size) {
    const PictureRequest& request = prompts_[i].request;
    const std::vector<Image> pictures = draw_pictures(models, settings, {&request, 1});
    if (pictures.empty()) return;
    const fs::path path = path_for(i, step, epochs_done);
    write_png(path, pictures[0], picture_text(request));
    record_.event("sample", {{"step", step},
                             {"index", i},
                             {"path", path.string()},
                             {"prompt", request.prompt},
                             {"seed", request.seed}});
    ++drawn;
  }
  log_info("drew {} pictures at step {}", drawn, step);
}

fs::path Previews::path_for(size_t prompt, int64_t step, int64_t epochs_done) const {
  const bool by_epochs = step == 0 || options_.preview.sample_every_n_epochs;
  std::string name = options_.run.output_name ? *options_.run.output_name + "_" : "";
  name += by_epochs ? fmt::format("e{:06}", epochs_done) : fmt::format("{:06}", step);
  name += fmt::format("_{:02}_{}", prompt, time_for_name());
  if (!prompts_[prompt].seeds.empty()) name += fmt::format("_{}", prompts_[prompt].seeds[0]);
  return options_.run.output_dir / "sample" / (name + ".png");
}

void draw_preview_sheet(const fs::path& output_dir, const fs::path& run_folder) {
  const Drawn drawn = read_drawn(run_folder);
  if (drawn.paths.empty()) return;
  const fs::path path = output_dir / "sample" / "contact-sheet.png";
  write_png(path, draw_contact_sheet(sheet_of(drawn, steps_to_show(drawn))));
  log_info("the pictures drawn on the way are in {}", path.string());
}

void draw_before_and_after(const fs::path& run_folder, const fs::path& path) {
  const Drawn drawn = read_drawn(run_folder);
  if (drawn.paths.empty()) return;
  const int64_t first = drawn.paths.begin()->first, last = drawn.paths.rbegin()->first;
  ContactSheet sheet = sheet_of(drawn, {first, last});
  sheet.columns = {"before", fmt::format("after {} steps", last)};
  write_png(path, draw_contact_sheet(sheet));
}

}  // namespace sdtune
