#include "image/vips_library.h"

#include <vips/vips.h>

#include <atomic>
#include <mutex>

#include "base/error.h"

namespace sdtune {
namespace {

std::atomic<bool> is_started = false;

void discard(const char*, GLogLevelFlags, const char*, void*) {}

}  // namespace

void start_vips() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Decoders warn about matters that change no pixel; what fails comes back as an error.
    const auto levels = static_cast<GLogLevelFlags>(G_LOG_LEVEL_MASK & ~G_LOG_LEVEL_ERROR);
    g_log_set_handler("VIPS", levels, discard, nullptr);
    if (VIPS_INIT("sdtune") != 0) {
      throw Error("libvips could not be started", "", vips_reason(vips_error_buffer()));
    }
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    is_started = true;
  });
}

void end_vips_thread() {
  if (is_started) vips_thread_shutdown();
}

std::string vips_reason(const std::string& message) {
  std::string line = message.substr(0, message.find('\n'));
  const size_t colon = line.find(": ");
  if (colon != std::string::npos && line.find(' ') > colon) line.erase(0, colon + 2);
  return line.empty() ? "the data is damaged" : line;
}

}  // namespace sdtune
