// sdtune-bench-plot OUT.png: draws a plot that a benchmark describes on the standard input, as
// {"title", "x_label", "y_label", "y_from_zero", "series": [{"label", "x", "y"}]}, in the look of
// the program's.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "image/plot.h"

namespace sdtune {
namespace {

LinePlot read_plot(std::istream& input) {
  const auto json = nlohmann::json::parse(input);
  LinePlot plot{json.at("title"), json.at("x_label"), json.at("y_label"), {}};
  plot.y_from_zero = json.value("y_from_zero", false);
  for (const auto& series : json.at("series")) {
    LineSeries line{series.at("label"), series.at("x"), series.at("y")};
    line.colour = static_cast<int>(plot.series.size());
    plot.series.push_back(std::move(line));
  }
  return plot;
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("sdtune-bench-plot OUT.png < plot.json\n", stderr);
    return 2;
  }
  try {
    sdtune::write_line_plot(argv[1], sdtune::read_plot(std::cin));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
