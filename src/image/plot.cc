#include "image/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <vips/vips8>

#include "base/error.h"
#include "base/files.h"
#include "image/vips_library.h"

namespace sdtune {
namespace {

constexpr double kScale = 2.0;  // rendered pixels for each SVG unit, for sharp text
constexpr const char* kFont = "DejaVu Sans, Liberation Sans, Arial, sans-serif";
constexpr const char* kInk = "#2b3440";
constexpr const char* kGrid = "#e4e8ee";
constexpr const char* kFrame = "#9aa5b1";
// Told apart by people who see colours differently: after Okabe and Ito.
constexpr std::array<const char*, 6> kPalette = {"#0072b2", "#d55e00", "#009e73",
                                                 "#cc79a7", "#8a6d00", "#56b4e9"};

struct UnrefBlob {
  void operator()(VipsBlob* blob) const { vips_area_unref(VIPS_AREA(blob)); }
};
using Blob = std::unique_ptr<VipsBlob, UnrefBlob>;

struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

// The part of the picture inside the axes and the numbers it shows.
struct Frame {
  double left, top, right, bottom;
  Extent x, y;
  double px(double value) const {
    return left + (value - x.low) / (x.high - x.low) * (right - left);
  }
  double py(double value) const {
    return bottom - (value - y.low) / (y.high - y.low) * (bottom - top);
  }
};

bool is_drawn(const LineSeries& series, size_t i) {
  return std::isfinite(series.x[i]) && std::isfinite(series.y[i]);
}

// A plot of one point or a level line still gets an axis of some length.
void widen_if_empty(Extent& extent) {
  if (extent.low > extent.high) extent = {0.0, 1.0};
  if (extent.low == extent.high) {
    const double room = extent.low == 0.0 ? 1.0 : std::abs(extent.low) * 0.1;
    extent = {extent.low - room, extent.high + room};
  }
}

Frame make_frame(const LinePlot& plot) {
  Frame frame{76.0, 48.0, plot.width - 24.0, plot.height - 56.0, {}, {}};
  for (const LineSeries& series : plot.series) {
    if (series.x.size() != series.y.size()) {
      throw Error(fmt::format("the plot's series \"{}\" has {} x and {} y values", series.label,
                              series.x.size(), series.y.size()));
    }
    for (size_t i = 0; i < series.x.size(); ++i) {
      if (!is_drawn(series, i)) continue;
      frame.x.add(series.x[i]);
      frame.y.add(series.y[i]);
    }
  }
  if (plot.y_from_zero) frame.y.add(0.0);
  widen_if_empty(frame.x);
  widen_if_empty(frame.y);
  const double room = 0.05 * (frame.y.high - frame.y.low);
  const bool starts_at_zero = frame.y.low >= 0.0 && frame.y.low < room;
  frame.y = {starts_at_zero ? 0.0 : frame.y.low - room, frame.y.high + room};
  return frame;
}

std::string escape_xml(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

struct TextStyle {
  const char* anchor = "middle";
  int size = 13;
  const char* extra = "";
};

std::string text_at(double x, double y, const std::string& text, const TextStyle& style) {
  return fmt::format(
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\" {}>{}</text>\n", x, y,
      style.anchor, style.size, style.extra, escape_xml(text));
}

std::string line_between(double x1, double y1, double x2, double y2, const char* colour) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", x1, y1, x2,
      y2, colour);
}

// Ticks of one axis share their digits: 0.10, 0.15, 0.20; very large or small ones get an exponent.
std::string tick_label(double value, double step) {
  const double largest = std::max(std::abs(value), step);
  if (std::abs(value) < step / 2) return "0";
  if (largest >= 1e7 || step < 1e-5) return fmt::format("{:.3g}", value);
  const int digits = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  return fmt::format("{:.{}f}", value, digits);
}

std::string draw_axes(const LinePlot& plot, const Frame& f) {
  std::string svg;
  const auto x_ticks = axis_ticks(f.x.low, f.x.high, 8);
  const auto y_ticks = axis_ticks(f.y.low, f.y.high, 8);
  const auto step_of = [](const std::vector<double>& ticks) {
    return ticks.size() > 1 ? ticks[1] - ticks[0] : 1.0;
  };
  for (double tick : x_ticks) {
    svg += line_between(f.px(tick), f.top, f.px(tick), f.bottom, kGrid);
    svg += text_at(f.px(tick), f.bottom + 19, tick_label(tick, step_of(x_ticks)), {});
  }
  for (double tick : y_ticks) {
    svg += line_between(f.left, f.py(tick), f.right, f.py(tick), kGrid);
    svg += text_at(f.left - 8, f.py(tick) + 4.5, tick_label(tick, step_of(y_ticks)), {"end"});
  }
  svg += line_between(f.left, f.bottom, f.right, f.bottom, kFrame);
  svg += line_between(f.left, f.top, f.left, f.bottom, kFrame);
  svg += text_at(f.left, 29, plot.title, {"start", 17, "font-weight=\"bold\""});
  svg += text_at((f.left + f.right) / 2, plot.height - 14, plot.x_label, {"middle", 14});
  const double middle = (f.top + f.bottom) / 2;
  const std::string turn = fmt::format("transform=\"rotate(-90 20 {:.1f})\"", middle);
  svg += text_at(20, middle, plot.y_label, {"middle", 14, turn.c_str()});
  return svg;
}

// The path of one series. Where many points share a pixel column, only the first, lowest, highest
// and last are drawn: the picture is the same and a run of a million steps stays a small file.
std::string path_of(const LineSeries& series, const Frame& f) {
  std::string path;
  const char* command = "M";
  const auto draw = [&](size_t i) {
    path += fmt::format("{}{:.1f} {:.1f}", command, f.px(series.x[i]), f.py(series.y[i]));
    command = "L";
  };
  size_t i = 0;
  while (i < series.x.size()) {
    if (!is_drawn(series, i)) {
      command = "M";
      ++i;
      continue;
    }
    const double column = std::floor(f.px(series.x[i]) * kScale);
    size_t end = i, low = i, high = i;
    while (end < series.x.size() && is_drawn(series, end) &&
           std::floor(f.px(series.x[end]) * kScale) == column) {
      if (series.y[end] < series.y[low]) low = end;
      if (series.y[end] > series.y[high]) high = end;
      ++end;
    }
    std::array<size_t, 4> drawn = {i, low, high, end - 1};
    std::sort(drawn.begin(), drawn.end());
    std::for_each(drawn.begin(), std::unique(drawn.begin(), drawn.end()), draw);
    i = end;
  }
  return path;
}

std::string stroke_of(const LineSeries& series) {
  const char* colour = kPalette[static_cast<size_t>(series.colour) % kPalette.size()];
  return fmt::format(
      "stroke=\"{}\" stroke-width=\"{}\" stroke-opacity=\"{}\" fill=\"none\" "
      "stroke-linejoin=\"round\" stroke-linecap=\"round\"",
      colour, series.pale ? 1.0 : 2.4, series.pale ? 0.3 : 1.0);
}

// The y, in pixels, that lines have where x is within these.
Extent lines_between(const LinePlot& plot, const Frame& f, double left, double right) {
  Extent lines;
  for (const LineSeries& series : plot.series) {
    for (size_t i = 1; i < series.x.size(); ++i) {
      if (!is_drawn(series, i - 1) || !is_drawn(series, i)) continue;
      const double x0 = f.px(series.x[i - 1]), x1 = f.px(series.x[i]);
      if (x1 < left || x0 > right || x0 == x1) continue;
      const double y0 = f.py(series.y[i - 1]), y1 = f.py(series.y[i]);
      for (const double x : {std::max(x0, left), std::min(x1, right)}) {
        lines.add(y0 + (x - x0) / (x1 - x0) * (y1 - y0));
      }
    }
  }
  return lines;
}

struct Corner {
  double left, top;
};

// For a box of this size: the first that no line crosses, or the one that they leave the most room.
Corner free_corner(const LinePlot& plot, const Frame& f, double width, double height) {
  constexpr double kGap = 8;
  Corner best{};
  double most = -1;
  for (const bool is_top : {true, false}) {
    for (const double left : {f.right - width - kGap, f.left + kGap}) {
      const Extent lines = lines_between(plot, f, left, left + width);
      const double room =
          is_top ? std::min(lines.low, f.bottom) - f.top : f.bottom - std::max(lines.high, f.top);
      const Corner corner = {left, is_top ? f.top + kGap : f.bottom - height - kGap};
      if (room > height + 2 * kGap) return corner;
      if (room > most) best = corner;
      most = std::max(most, room);
    }
  }
  return best;
}

std::string draw_legend(const LinePlot& plot, const Frame& f) {
  size_t longest = 0, rows = 0;
  for (const LineSeries& series : plot.series) {
    if (series.label.empty()) continue;
    longest = std::max(longest, series.label.size());
    ++rows;
  }
  if (rows == 0) return "";
  const double width = 52 + 7.8 * longest, height = 10 + 20.0 * rows;
  const auto [left, top] = free_corner(plot, f, width, height);
  std::string svg = fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"4\" "
      "fill=\"#ffffff\" "
      "fill-opacity=\"0.88\" stroke=\"{}\"/>\n",
      left, top, width, height, kGrid);
  double y = top + 20;
  for (const LineSeries& series : plot.series) {
    if (series.label.empty()) continue;
    svg +=
        fmt::format("<path d=\"M{:.1f} {:.1f}h24\" {}/>\n", left + 10, y - 4.5, stroke_of(series));
    svg += text_at(left + 42, y, series.label, {"start"});
    y += 20;
  }
  return svg;
}

}  // namespace

std::vector<double> axis_ticks(double low, double high, int count) {
  const double rough = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = power;
  for (double factor : {1.0, 2.0, 5.0, 10.0}) {
    step = factor * power;
    if (step >= rough * (1 - 1e-9)) break;
  }
  std::vector<double> ticks;
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (double k = first; k <= last && ticks.size() < 100; ++k) ticks.push_back(k * step);
  return ticks;
}

std::string line_plot_svg(const LinePlot& plot) {
  const Frame frame = make_frame(plot);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\" font-family=\"{2}\" fill=\"{3}\">\n<rect width=\"{0}\" height=\"{1}\" "
      "fill=\"#ffffff\"/>\n",
      plot.width, plot.height, kFont, kInk);
  svg += draw_axes(plot, frame);
  for (const LineSeries& series : plot.series) {
    svg += fmt::format("<path d=\"{}\" {}/>\n", path_of(series, frame), stroke_of(series));
  }
  svg += draw_legend(plot, frame);
  return svg + "</svg>\n";
}

void write_line_plot(const fs::path& path, const LinePlot& plot) {
  start_vips();
  const std::string svg = line_plot_svg(plot);
  using vips::VImage;
  try {
    const Blob source(vips_blob_new(nullptr, svg.data(), svg.size()));
    auto* options = VImage::option()->set("scale", kScale)->set("unlimited", true);
    const VImage image =
        VImage::svgload_buffer(source.get(), options)
            .flatten(VImage::option()->set("background", std::vector<double>{255}));
    const Blob png(image.pngsave_buffer(VImage::option()->set("strip", true)));
    size_t length = 0;
    const auto* data = static_cast<const std::byte*>(vips_blob_get(png.get(), &length));
    AtomicFile file(path);
    file.write({data, length});
    file.commit();
  } catch (const vips::VError& error) {
    throw Error(fmt::format("the plot could not be drawn: {}", vips_reason(error.what())),
                path.string());
  }
}

}  // namespace sdtune
