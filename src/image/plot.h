// Line plots as PNG files: loss and learning-rate curves that can be read without any other
// program. The plot is drawn as SVG text and rendered by libvips. Not interactive; the dashboard
// draws its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sdtune {

struct LineSeries {
  std::string label;      // in the legend; empty: not listed
  std::vector<double> x;  // ascending
  std::vector<double> y;  // as many; a value that is not finite breaks the line
  bool pale = false;      // raw values behind a smoothed line: drawn thin and light
  int colour = 0;         // index into the palette; a raw and a smoothed series share theirs
};

struct LinePlot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<LineSeries> series;  // the later lie on top
  int width = 900;                 // pixels
  int height = 500;
  bool y_from_zero = false;  // for ratios, whose noise would look large in a range of their own
};

// The plot as SVG text. Pure, for tests. Throws Error when a series has unequal x and y.
std::string line_plot_svg(const LinePlot& plot);

// Renders and writes it, replacing `path` atomically. Throws Error.
void write_line_plot(const std::filesystem::path& path, const LinePlot& plot);

// About `count` round numbers (1, 2 or 5 times a power of ten) that lie in [low, high].
std::vector<double> axis_ticks(double low, double high, int count);

}  // namespace sdtune
