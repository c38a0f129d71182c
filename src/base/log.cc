#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>

#include "base/progress_line.h"
#include "base/rank.h"
#include "base/system.h"

namespace sdtune {

namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> make_logger(const LogOptions& options) {
  spdlog::sink_ptr sink;
  if (options.file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file, /*truncate=*/true);
  }
  auto logger = std::make_shared<spdlog::logger>("sdtune", std::move(sink));
  logger->set_pattern("%H:%M:%S %L %v");
  logger->flush_on(spdlog::level::trace);
  const bool quiet = options.only_rank_zero && rank_from_environment().rank != 0;
  logger->set_level(quiet ? spdlog::level::warn : to_spdlog(options.level));
  return logger;
}

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = make_logger({});
  return instance;
}

}  // namespace

void configure_log(const LogOptions& options) { logger() = make_logger(options); }

void log_line(LogLevel level, const std::string& text) {
  const std::lock_guard lock(progress_line::mutex());
  progress_line::clear();
  logger()->log(to_spdlog(level), "{}", text);
  progress_line::redraw();
}

}  // namespace sdtune
