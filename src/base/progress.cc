#include "base/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/log.h"
#include "base/progress_line.h"
#include "base/system.h"

namespace sdtune {

namespace progress_line {

namespace {
std::string drawn;
void put(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}
}  // namespace

std::mutex& mutex() {
  static std::mutex instance;
  return instance;
}

void set(const std::string& line) {
  drawn = line;
  put("\r" + line + "\x1b[K");
}

void clear() {
  if (!drawn.empty()) put("\r\x1b[K");
}

void redraw() {
  if (!drawn.empty()) put(drawn);
}

void forget() {
  if (!drawn.empty()) put("\n");
  drawn.clear();
}

}  // namespace progress_line

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::max(0.0, seconds));
  if (whole >= 3600)
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{:02}:{:02}", whole / 60, whole % 60);
}

namespace {

std::string format_rate(double per_second, const std::string& unit) {
  if (per_second <= 0) return fmt::format("?{}/s", unit);
  if (per_second < 1) return fmt::format("{:5.2f}s/{}", 1 / per_second, unit);
  return fmt::format("{:5.2f}{}/s", per_second, unit);
}

// A bar of `width` cells with eighths of a cell, as block characters.
std::string bar(double part, int width) {
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::clamp(part, 0.0, 1.0) * width * 8);
  std::string text;
  for (int i = 0; i < eighths / 8; ++i) text += "█";
  text += kEighths[eighths % 8];
  text.append(width - eighths / 8 - (eighths % 8 ? 1 : 0), ' ');
  return text;
}

// The beginning of `text` that leaves the last of `width` columns free, where terminals wrap.
std::string cut(const std::string& text, int width) {
  int columns = 0;
  size_t end = 0;
  for (; end < text.size(); ++end) {
    const bool starts_character = (text[end] & 0xC0) != 0x80;
    if (starts_character && ++columns >= width) break;
  }
  return text.substr(0, end);
}

}  // namespace

std::string Progress::render(const ProgressOptions& options, int64_t done, double elapsed_s,
                             const std::string& note, int width) {
  const double rate = elapsed_s > 0 ? static_cast<double>(done - options.start) / elapsed_s : 0;
  const std::string rate_text = format_rate(rate, options.unit) + (note.empty() ? "" : ", " + note);
  if (options.total <= 0) {
    return cut(fmt::format("{}: {}{} [{}, {}]", options.label, done, options.unit,
                           format_duration(elapsed_s), rate_text),
               width);
  }
  const double part = static_cast<double>(done) / static_cast<double>(options.total);
  const std::string left =
      rate > 0 ? format_duration(static_cast<double>(options.total - done) / rate) : "?";
  const std::string head = fmt::format("{}: {:3}%|", options.label, static_cast<int>(part * 100));
  const std::string tail = fmt::format("| {}/{} [{}<{}, {}]", done, options.total,
                                       format_duration(elapsed_s), left, rate_text);
  const int room = width - static_cast<int>(head.size() + tail.size()) - 1;
  return cut(head + bar(part, std::clamp(room, 3, 30)) + tail, width);
}

Progress::Progress(ProgressOptions options)
    : options_(std::move(options)),
      done_(options_.start),
      begin_(std::chrono::steady_clock::now()),
      drawn_(begin_ - std::chrono::hours(1)) {}

Progress::~Progress() { finish(); }

void Progress::update(int64_t done, const std::string& note) {
  done_ = done;
  note_ = note;
  const double interval = stderr_is_terminal() ? 0.1 : options_.plain_interval_s;
  const auto now = std::chrono::steady_clock::now();
  if (std::chrono::duration<double>(now - drawn_).count() < interval) return;
  drawn_ = now;
  draw(false);
}

void Progress::draw(bool last) {
  const auto now = std::chrono::steady_clock::now();
  const double elapsed = std::chrono::duration<double>(now - begin_).count();
  if (stderr_is_terminal()) {
    const std::lock_guard lock(progress_line::mutex());
    progress_line::set(render(options_, done_, elapsed, note_, terminal_width()));
    if (last) progress_line::forget();
  } else if (done_ != drawn_done_) {
    constexpr int kNeverCut = 1000;
    log_line(LogLevel::kInfo, render(options_, done_, elapsed, note_, kNeverCut));
  }
  drawn_done_ = done_;
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  draw(true);
}

}  // namespace sdtune
