// The program that test_schedules.py runs: takes the options of a schedule as `sdtune train` does,
// and prints the learning rate of each step as the trainer asks for it, one a line.

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/error.h"
#include "options/command_line.h"
#include "options/option_table.h"
#include "train/lr_plot.h"

namespace {

struct ScheduleToolOptions {
  sdtune::ScheduleOptions schedule;
  double learning_rate = 1;
  int64_t max_train_steps = 100;

  template <class V>
  void visit(V& v) {
    schedule.visit(v);
    v("learning_rate", learning_rate, "Peak learning rate.");
    v("max_train_steps", max_train_steps, "Steps to print.");
  }
};

}  // namespace

int main(int count, char** words) {
  const std::vector<std::string> arguments(words + 1, words + count);
  ScheduleToolOptions options;
  sdtune::OptionTable table = sdtune::describe(options);
  try {
    if (!sdtune::parse_command_line(table, arguments)) return 0;
    const sdtune::RunSchedule run =
        sdtune::make_run_schedule(options.schedule, options.learning_rate, options.max_train_steps);
    for (int64_t step = 0; step < options.max_train_steps; ++step) {
      fmt::print("{}\n", options.learning_rate * run.schedule.factor(step));
    }
  } catch (const sdtune::Error& error) {
    fmt::print(stderr, "{}: {} {}\n", error.where(), error.what(), error.hint());
    return error.exit_code();
  }
  return 0;
}
