#include "train/run_log.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/system.h"
#include "options/option_table.h"
#include "options/toml.h"
#include "train/device_memory.h"

namespace sdtune {

namespace {

// The setting of --log_tracker_config that is heeded; the others are named.
std::string filename_suffix(const std::optional<fs::path>& config) {
  std::string suffix;
  if (!config) return suffix;
  for (const TomlEntry& tracker : parse_toml(read_file(*config), config->string()).entries) {
    for (const TomlEntry& setting : tracker.value.entries) {
      const auto* text = std::get_if<std::string>(&setting.value.scalar);
      if (tracker.key == "tensorboard" && setting.key == "filename_suffix" && text) {
        suffix = *text;
      } else {
        log_warning("{}:{}: \"{}\" of [{}] is passed over", config->string(), setting.value.line,
                    setting.key, tracker.key);
      }
    }
  }
  return suffix;
}

// <logging_dir>/<prefix><YYYYmmddHHMMSS>/<tracker name>
fs::path log_folder(const LogOutputOptions& options) {
  std::string time = local_time_iso8601();
  std::erase_if(time, [](char c) { return c < '0' || c > '9'; });
  return *options.logging_dir / (options.log_prefix.value_or("") + time) / options.log_tracker_name;
}

// The options as a table of Markdown, without secrets and without what tells of this machine.
std::string options_as_markdown(const TrainOptions& options) {
  auto copy = std::make_shared<TrainOptions>(options);
  const OptionTable table = describe(*copy);
  std::string text = "| option | value |\n| --- | --- |\n";
  for (const Option& option : table.options()) {
    const std::string value = toml_text(option.get());
    if (!option.recorded || option.is_path || value.empty()) continue;
    text += "| " + option.name + " | " + value + " |\n";
  }
  return text;
}

std::string name_of(const ParameterGroup& group) {
  const auto begins_with = [&](const char* prefix) {
    return !group.parameters.empty() && group.parameters.front().name.starts_with(prefix);
  };
  if (begins_with("text_encoder.")) return "text_encoder1";
  return begins_with("hypernetwork.") ? "hypernetwork" : "unet";
}

// The rate that the schedule gives a group, before what the rule makes of it.
double scheduled_rate(const Optimizer& optimizer, size_t group, double factor) {
  return optimizer.groups()[group].learning_rate * (optimizer.follows_schedule() ? factor : 1);
}

// lr/unet and so on; lr/d*lr/unet where the rule multiplies the rate by a factor of its own. Of the
// groups of one name the first stands for all.
std::vector<Scalar> rates(const Optimizer& optimizer, double factor) {
  std::vector<Scalar> scalars;
  for (size_t g = 0; g < optimizer.groups().size(); ++g) {
    const std::string name = name_of(optimizer.groups()[g]);
    const auto is_same = [&](const Scalar& scalar) { return scalar.tag == "lr/" + name; };
    if (std::any_of(scalars.begin(), scalars.end(), is_same)) continue;
    const std::optional<double> adapted = optimizer.adapted_rate(g);
    const bool multiplies = adapted && optimizer.follows_schedule();
    const double scheduled = scheduled_rate(optimizer, g, factor);
    scalars.push_back({"lr/" + name, multiplies ? scheduled : adapted.value_or(scheduled)});
    if (multiplies) scalars.push_back({"lr/d*lr/" + name, *adapted});
  }
  return scalars;
}

double seconds_of(const StepResult& result) {
  return result.encode_s + result.unet_s + result.update_s;
}

}  // namespace

nlohmann::ordered_json times_of(const StepResult& result, double data_s, c10::Device device) {
  nlohmann::ordered_json times = {{"data_s", data_s}, {"step_s", seconds_of(result)}};
  if (device.is_cuda()) return times;
  times["encode_s"] = result.encode_s;
  times["unet_s"] = result.unet_s;
  times["update_s"] = result.update_s;
  return times;
}

RunLog::RunLog(const TrainOptions& options, RunFolder& folder, const Optimizer& optimizer,
               c10::Device device, int64_t window)
    : folder_(folder), optimizer_(optimizer), device_(device), window_(window) {
  if (!options.log.logging_dir) return;
  const fs::path logs = log_folder(options.log);
  tensorboard_.emplace(logs, filename_suffix(options.log.log_tracker_config));
  if (options.log.log_config) tensorboard_->text("config", options_as_markdown(options));
  log_info("logs for TensorBoard are written to {}", logs.string());
}

double RunLog::average_loss() const {
  return std::accumulate(recent_losses_.begin(), recent_losses_.end(), 0.0) /
         static_cast<double>(std::max<size_t>(recent_losses_.size(), 1));
}

void RunLog::step(const StepResult& result, const StepFacts& facts, Progress& progress) {
  if (std::isfinite(result.loss)) recent_losses_.push_back(result.loss);
  if (static_cast<int64_t>(recent_losses_.size()) > window_) recent_losses_.pop_front();
  const double rate = static_cast<double>(result.images) / (facts.data_s + seconds_of(result));
  const uint64_t resident = resident_bytes();
  const uint64_t memory = device_.is_cuda() ? bytes_in_use(device_) : resident;
  nlohmann::ordered_json event = {{"step", facts.step},
                                  {"loss", result.loss},
                                  {"lr", optimizer_.rate_in_use(0, facts.lr_factor)},
                                  {"grad_norm", result.grad_norm},
                                  {"updated", result.updated},
                                  {"images", result.images},
                                  {"images_per_s", rate}};
  event.update(times_of(result, facts.data_s, device_));
  event["resident_bytes"] = resident;
  std::vector<Scalar> scalars = {{"loss", result.loss},
                                 {"grad_norm", result.grad_norm},
                                 {"images_per_s", rate},
                                 {"memory/resident_gb", static_cast<double>(resident) / 1e9}};
  if (device_.is_cuda()) {
    event["device_bytes"] = memory;
    scalars.push_back({"memory/device_gb", static_cast<double>(memory) / 1e9});
  }
  folder_.event("step", event);
  std::ranges::move(rates(optimizer_, facts.lr_factor), std::back_inserter(scalars));
  write_scalars(facts.step, scalars);
  progress.update(facts.step, fmt::format("avr_loss={:.4g}, {:.2f} img/s, {:.1f} GB",
                                          average_loss(), rate, static_cast<double>(memory) / 1e9));
}

void RunLog::end_of_epoch(int64_t epoch) {
  const Scalar loss{"loss/epoch", average_loss()};
  write_scalars(epoch, {&loss, 1});
}

void RunLog::validation(int64_t step, const ValidationResult& result, double seconds) {
  const double loss = result.bands.mean();
  folder_.event("validation", {{"step", step},
                               {"loss", loss},
                               {"bands", result.bands.to_json()},
                               {"pictures", result.pictures},
                               {"seconds", seconds}});
  const Scalar scalar{"loss/validation/step_average", loss};
  write_scalars(step, {&scalar, 1});
  log_info("validation at step {}: loss {:.4g}", step, loss);
}

void RunLog::write_scalars(int64_t step, std::span<const Scalar> values) {
  if (!tensorboard_) return;
  try {
    tensorboard_->scalars(step, values);
  } catch (const Error& error) {
    // A reader stops at a record that was cut short, so nothing can follow it.
    log_warning("TensorBoard's file ends at step {}: {} ({})", step, error.what(), error.where());
    tensorboard_.reset();
  }
}

}  // namespace sdtune
