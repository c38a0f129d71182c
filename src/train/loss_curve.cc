#include "train/loss_curve.h"

#include <map>
#include <nlohmann/json.hpp>

#include "image/plot.h"
#include "train/run_folder.h"

namespace sdtune {

namespace {

// Step to loss.
std::map<double, double> read_losses(const std::filesystem::path& run_folder) {
  std::map<double, double> losses;
  visit_events(run_folder, "step", [&](const nlohmann::json& event) {
    if (event["loss"].is_number())
      losses[event["step"].get<double>()] = event["loss"].get<double>();
  });
  return losses;
}

}  // namespace

void draw_loss_curve(const std::filesystem::path& run_folder) {
  const std::map<double, double> losses = read_losses(run_folder);
  if (losses.size() < 2) return;
  LineSeries raw{.label = "each step", .pale = true};
  LineSeries smooth{.label = "moving average"};
  // An exponential average over about a twentieth of the run, its start corrected as Adam's moments
  // are.
  const double keep = 1 - 1 / std::max(1.0, static_cast<double>(losses.size()) / 20);
  double average = 0, weight = 0;
  for (const auto& [step, loss] : losses) {
    average = keep * average + (1 - keep) * loss;
    weight = keep * weight + (1 - keep);
    raw.x.push_back(step);
    raw.y.push_back(loss);
    smooth.x.push_back(step);
    smooth.y.push_back(average / weight);
  }
  write_line_plot(
      run_folder / "loss.png",
      {.title = "Training loss", .x_label = "step", .y_label = "loss", .series = {raw, smooth}});
}

}  // namespace sdtune
