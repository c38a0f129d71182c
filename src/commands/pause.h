// `sdtune pause OUTPUT_DIR`: asks the run that writes there to keep its state and end, and waits
// until it has. The run answers through its folder (train/run_control.h), so it may be on another
// machine that shares the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "options/option.h"

namespace sdtune {

struct PauseOptions {
  std::filesystem::path output_dir;
  int64_t timeout = 600;

  template <class V>
  void visit(V& v) {
    v("output_dir", output_dir, "The --output_dir of the run, or its run folder.", Positional{},
      Required{});
    v("timeout", timeout, "Seconds to wait for the run to end.", Range{1, 1e6});
  }
};

int run_pause(std::span<const std::string> args);

}  // namespace sdtune
