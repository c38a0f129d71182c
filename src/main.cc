// sdtune COMMAND [options]. The one place that catches, prints and picks the exit code.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/system.h"
#include "commands/dispatch.h"

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> args(argv + (argc > 0 ? 1 : 0), argv + argc);
    // Threads that wait must not spin: with any other program on the machine a step then takes up
    // to fifty times as long (docs/decisions/0004-waiting-threads.md). The OpenMP library reads
    // this when it is loaded.
    if (sdtune::will_compute(args)) {
      sdtune::restart_with_variable("OMP_WAIT_POLICY", "passive", argv);
    }
    const int exit_code = sdtune::dispatch(args);
    if (std::fflush(stdout) != 0) {
      throw sdtune::Error("the output could not be written", "standard output",
                          "make room on the disk, or write elsewhere");
    }
    return exit_code;
  } catch (const std::exception& error) {
    const sdtune::Failure failure = sdtune::describe_failure(error);
    std::fflush(stdout);
    std::fputs(failure.message.c_str(), stderr);
    return failure.exit_code;
  }
}
