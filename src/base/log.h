// Messages for people, on stderr: log_info("read {} pictures", n). Levels and files are set once by
// the command. Not for progress (progress.h) and not for records of a run (train/events.h).
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace sdtune {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  std::string file;            // empty: stderr
  bool only_rank_zero = true;  // warnings and errors are always shown
};

void configure_log(const LogOptions& options);

// Writes one line; lines of several threads do not mix, and a progress line on the terminal is
// cleared before and drawn again after it.
void log_line(LogLevel level, const std::string& text);

template <class... Args>
void log_debug(fmt::format_string<Args...> text, Args&&... args) {
  log_line(LogLevel::kDebug, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void log_info(fmt::format_string<Args...> text, Args&&... args) {
  log_line(LogLevel::kInfo, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> text, Args&&... args) {
  log_line(LogLevel::kWarning, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> text, Args&&... args) {
  log_line(LogLevel::kError, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace sdtune
