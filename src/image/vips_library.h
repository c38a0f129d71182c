// The one place that starts libvips and words its errors. For this folder's own sources only:
// nothing above src/image/ sees libvips.
#pragma once

#include <string>

namespace sdtune {

// Starts libvips on the first call, from any thread: one thread for each operation (the callers'
// pools give the parallelism), no operation cache, warnings not printed. Throws Error.
void start_vips();

// Frees what libvips keeps for the calling thread; nothing where libvips was never started.
void end_vips_thread();

// The reason out of a libvips message: its first line without the operation's name.
std::string vips_reason(const std::string& message);

}  // namespace sdtune
