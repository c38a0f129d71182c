#include "commands/check.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "commands/check_html.h"
#include "data/doctor_report.h"
#include "options/command_line.h"
#include "train/dataset_setup.h"

namespace sdtune {
namespace {

// Reads JSON up to the first value that tells a dataset configuration from metadata: there each
// entry is an object, here `datasets` is a list.
class KindOfJson final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool is_config() const { return is_config_; }

  bool null() override { return scalar(); }
  bool boolean(bool) override { return scalar(); }
  bool number_integer(number_integer_t) override { return scalar(); }
  bool number_unsigned(number_unsigned_t) override { return scalar(); }
  bool number_float(number_float_t, const string_t&) override { return scalar(); }
  bool string(string_t&) override { return scalar(); }
  bool binary(binary_t&) override { return scalar(); }
  bool key(string_t& name) override {
    if (depth_ == 1) key_ = name;
    return true;
  }
  bool start_object(size_t) override {
    if (depth_ == 1 && key_ != "general") return false;
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(size_t) override {
    is_config_ = is_config_ || depth_ == 1;
    ++depth_;
    return !is_config_;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;  // whoever reads the file says what is wrong with it
  }

 private:
  bool scalar() const { return depth_ != 1; }

  int depth_ = 0;
  std::string key_;
  bool is_config_ = false;
};

bool is_config_json(const fs::path& file) {
  const MappedFile mapped(file);
  const auto* text = reinterpret_cast<const char*>(mapped.bytes().data());
  KindOfJson kind;
  nlohmann::json::sax_parse(text, text + mapped.bytes().size(), &kind);
  return kind.is_config();
}

void set_once(std::optional<fs::path>& option, const fs::path& value, const char* name) {
  if (option) {
    throw UsageError(
        fmt::format("the dataset is named twice: {} and {}", value.string(), option->string()),
        fmt::format("DATASET, {}", name), "give one of them");
  }
  option = value;
}

// Turns the word DATASET into the option it stands for.
void resolve_dataset(const fs::path& path, DataOptions& data) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    set_once(data.train_data_dir, path, "--train_data_dir");
    return;
  }
  if (!fs::exists(path, ignored)) {
    throw Error("there is no such folder or file", path.string(), "correct DATASET");
  }
  const std::string extension = path.extension().string();
  if (extension == ".toml" || (extension == ".json" && is_config_json(path))) {
    set_once(data.dataset_config, path, "--dataset_config");
  } else if (extension == ".json" || extension == ".jsonl") {
    set_once(data.in_json, path, "--in_json");
  } else {
    throw UsageError(
        "a dataset is a folder, a .json or .jsonl of metadata, or a .toml or .json of "
        "datasets",
        path.string(), "correct DATASET");
  }
}

DoctorOptions doctor_options(const CheckOptions& options) {
  const DataOptions& data = options.train.dataset;
  DoctorOptions doctor;
  doctor.threads = loader_threads(data);
  doctor.small_buckets = data.buckets.small_buckets;
  doctor.decode_pictures = !options.no_near_duplicates;
  doctor.max_token_length = data.captions.max_token_length;
  doctor.weighted_captions = data.captions.weighted_captions;
  doctor.family = options.train.model.v2 ? TextFamily::kV2 : TextFamily::kV1;
  return doctor;
}

SavePlan save_plan(const TrainOptions& options) {
  SavePlan plan;
  plan.every_n_steps = options.save.save_every_n_steps;
  plan.every_n_epochs = options.save.save_every_n_epochs;
  plan.save_state = options.save.save_state;
  plan.save_state_on_train_end = options.save.save_state_on_train_end;
  plan.is_v2 = options.model.v2;
  plan.trains_text_encoder = options.run.train_text_encoder;
  if (options.save.save_precision)
    plan.bytes_per_weight = *options.save.save_precision == "float" ? 4 : 2;
  const fs::path& model = options.model.pretrained_model_name_or_path;
  std::error_code ignored;
  if (!model.empty() && fs::is_regular_file(model, ignored)) {
    plan.model_bytes = fs::file_size(model, ignored);
  }
  return plan;
}

void add_budget(const TrainOptions& options, CheckReport& report) {
  const Dataset& dataset = report.diagnosis.dataset;
  const RunOptions& run = options.run;
  const CacheFlags& cache = options.dataset.cache;
  report.steps = plan_steps(
      dataset, {run.max_train_steps, run.max_train_epochs, run.gradient_accumulation_steps});
  report.checkpoints = checkpoint_needs(report.steps, save_plan(options));
  report.latent_bytes = latent_bytes(dataset, cache.cache_posterior);
  report.keeps_latents = cache.cache_latents_to_disk ? LatentKeeping::kDisk
                         : cache.cache_latents       ? LatentKeeping::kMemory
                                                     : LatentKeeping::kNone;
  if (dataset.items.empty()) return;
  if (!run.output_dir.empty()) {
    report.places.push_back({"checkpoints", run.output_dir, report.checkpoints.total(),
                             free_bytes_near(run.output_dir)});
  }
  if (report.keeps_latents == LatentKeeping::kDisk) {
    const fs::path folder = dataset.items[0].image.parent_path();
    report.places.push_back(
        {"latents", folder.empty() ? "." : folder, report.latent_bytes, free_bytes_near(folder)});
  }
  for (Finding& finding : check_room(report.places)) {
    report.diagnosis.findings.push_back(std::move(finding));
  }
  sort_by_kind(report.diagnosis.findings);
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void write_report(const CheckOptions& options, const CheckReport& report) {
  const bool is_json_printed = options.json && *options.json == "-";
  if (options.json && !is_json_printed) write_file(*options.json, report_json(report));
  if (options.html) {
    write_file(*options.html, report_html(report, loader_threads(options.train.dataset)));
  }
  print(is_json_printed ? report_json(report) : report_text(report));
}

}  // namespace

int run_check(std::span<const std::string> args) {
  CheckOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  DataOptions& data = options.train.dataset;
  if (options.dataset) resolve_dataset(*options.dataset, data);
  validate(data);
  CheckReport report;
  report.are_pixels_checked = !options.no_near_duplicates;
  report.diagnosis = examine(dataset_options(data), doctor_options(options));
  add_budget(options.train, report);
  write_report(options, report);
  return options.strict && count_of(report.diagnosis.findings, Severity::kError) > 0 ? 1 : 0;
}

}  // namespace sdtune
