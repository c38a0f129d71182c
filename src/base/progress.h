// One progress line with count, rate and time left: redrawn in place on a terminal, a plain line
// every `plain_interval_s` elsewhere. The form is the one users know from tqdm:
//   steps:  12%|███▌      | 12/100 [00:35<04:17,  2.93s/it, avr_loss=0.123]
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sdtune {

struct ProgressOptions {
  std::string label;  // "steps"
  int64_t total = 0;  // 0: unknown
  int64_t start = 0;  // a resumed job's first count; not part of the rate
  std::string unit = "it";
  double plain_interval_s = 30;  // between lines when stderr is no terminal
};

class Progress {
 public:
  explicit Progress(ProgressOptions options);
  ~Progress();  // calls finish()
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Sets the count done so far; `note` stands at the line's end ("avr_loss=0.123, 1.2 img/s").
  void update(int64_t done, const std::string& note = "");
  void finish();

  // The line as it would be drawn after `elapsed_s` seconds, `width` columns wide. Pure, for tests.
  static std::string render(const ProgressOptions& options, int64_t done, double elapsed_s,
                            const std::string& note, int width);

 private:
  void draw(bool last);

  ProgressOptions options_;
  int64_t done_ = 0;
  int64_t drawn_done_ = -1;  // what the line drawn last showed
  std::string note_;
  std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point drawn_;
  bool finished_ = false;
};

// "00:35", "1:02:03": for progress lines and closing messages.
std::string format_duration(double seconds);

}  // namespace sdtune
