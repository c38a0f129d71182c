#include "optim/lr_torch_schedule.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "base/error.h"

namespace sdtune {

namespace {

constexpr double kPi = std::numbers::pi;

struct Request {
  std::string name;
  const OptimizerArguments& arguments;
  double learning_rate;
  int64_t total_steps;

  void read(const std::function<void(ArgumentReader&)>& fields) const {
    read_schedule_settings(arguments, name, fields);
  }
  void need(bool given, const char* key) const {
    if (given) return;
    throw UsageError(fmt::format("{} needs {}", name, key), "--lr_scheduler_args",
                     fmt::format("give {}=...", key));
  }
  // For rates that are given as such and not as a factor.
  void need_learning_rate() const {
    if (learning_rate > 0) return;
    throw UsageError(fmt::format("{} needs a learning rate above 0", name), "--learning_rate");
  }
};

using Factor = std::function<double(int64_t)>;

double as_real(int64_t n) { return static_cast<double>(n); }

Factor constant_lr(const Request& request) {
  double factor = 1.0 / 3;
  int64_t iterations = 5;
  request.read([&](ArgumentReader& read) {
    read.number("factor", factor, 0, 1);
    read.integer("total_iters", iterations, 0);
  });
  return [=](int64_t t) { return t < iterations ? factor : 1.0; };
}

Factor linear_lr(const Request& request) {
  double first = 1.0 / 3, last = 1;
  int64_t iterations = 5;
  request.read([&](ArgumentReader& read) {
    read.number("start_factor", first, 1e-30, 1);
    read.number("end_factor", last, 0, 1);
    read.integer("total_iters", iterations, 1);
  });
  return [=](int64_t t) {
    return first + (last - first) * as_real(std::min(t, iterations)) / as_real(iterations);
  };
}

Factor step_lr(const Request& request) {
  double gamma = 0.1;
  int64_t size = 0;
  request.read([&](ArgumentReader& read) {
    read.integer("step_size", size, 1);
    read.number("gamma", gamma, 0);
  });
  request.need(size > 0, "step_size");
  return [=](int64_t t) { return std::pow(gamma, as_real(t / size)); };
}

Factor multi_step_lr(const Request& request) {
  double gamma = 0.1;
  std::vector<int64_t> milestones;
  request.read([&](ArgumentReader& read) {
    read.integers("milestones", milestones);
    read.number("gamma", gamma, 0);
  });
  request.need(!milestones.empty(), "milestones");
  return [=](int64_t t) {
    const auto reached = std::count_if(milestones.begin(), milestones.end(),
                                       [t](int64_t milestone) { return milestone <= t; });
    return std::pow(gamma, as_real(reached));
  };
}

Factor exponential_lr(const Request& request) {
  double gamma = -1;
  request.read([&](ArgumentReader& read) { read.number("gamma", gamma, 0); });
  request.need(gamma >= 0, "gamma");
  return [=](int64_t t) { return std::pow(gamma, as_real(t)); };
}

Factor polynomial_lr(const Request& request) {
  double power = 1;
  int64_t iterations = 5;
  request.read([&](ArgumentReader& read) {
    read.number("power", power, 0);
    read.integer("total_iters", iterations, 1);
  });
  return [=](int64_t t) {
    return std::pow(1 - as_real(std::min(t, iterations)) / as_real(iterations), power);
  };
}

Factor annealed(const Request& request, double least, std::function<double(int64_t)> done) {
  request.need_learning_rate();
  return [=, rate = request.learning_rate](int64_t t) {
    return (least + (rate - least) * 0.5 * (1 + std::cos(kPi * done(t)))) / rate;
  };
}

Factor cosine_annealing_lr(const Request& request) {
  int64_t period = 0;
  double least = 0;
  request.read([&](ArgumentReader& read) {
    read.integer("T_max", period, 1);
    read.number("eta_min", least, 0);
  });
  request.need(period > 0, "T_max");
  return annealed(request, least, [=](int64_t t) { return as_real(t) / as_real(period); });
}

Factor cosine_annealing_warm_restarts(const Request& request) {
  int64_t first = 0, growth = 1;
  double least = 0;
  request.read([&](ArgumentReader& read) {
    read.integer("T_0", first, 1);
    read.integer("T_mult", growth, 1);
    read.number("eta_min", least, 0);
  });
  request.need(first > 0, "T_0");
  return annealed(request, least, [=](int64_t t) {
    if (growth == 1) return as_real(t % first) / as_real(first);
    int64_t period = first;
    while (t >= period) {
      t -= period;
      period *= growth;
    }
    return as_real(t) / as_real(period);
  });
}

struct OneCycle {
  double highest = 0, start_share = 0.3, div = 25, final_div = 1e4;
  int64_t steps = 0;
  std::string strategy = "cos";
  bool three_phase = false, cycle_momentum = true;

  double between(double from, double to, double x) const {
    if (strategy == "linear") return from + (to - from) * x;
    return to + (from - to) / 2 * (1 + std::cos(kPi * x));
  }

  // The absolute rate.
  double rate(int64_t t) const {
    const double first = highest / div, last = first / final_div;
    const double turn = start_share * as_real(steps) - 1, end = as_real(steps) - 1;
    const double at = std::min(as_real(t), end);
    if (at <= turn) return between(first, highest, turn > 0 ? at / turn : 1);
    if (!three_phase) return between(highest, last, (at - turn) / (end - turn));
    const double back = 2 * start_share * as_real(steps) - 2;
    if (at <= back) return between(highest, first, (at - turn) / (back - turn));
    return between(first, last, (at - back) / (end - back));
  }
};

Factor one_cycle_lr(const Request& request) {
  OneCycle cycle{.steps = request.total_steps};
  request.read([&](ArgumentReader& read) {
    read.number("max_lr", cycle.highest, 0);
    read.integer("total_steps", cycle.steps, 2);
    read.number("pct_start", cycle.start_share, 0, 1);
    read.text("anneal_strategy", cycle.strategy, {"cos", "linear"});
    read.number("div_factor", cycle.div, 1e-6);
    read.number("final_div_factor", cycle.final_div, 1e-6);
    read.flag("three_phase", cycle.three_phase);
    read.flag("cycle_momentum", cycle.cycle_momentum);
  });
  request.need(cycle.highest > 0, "max_lr");
  if (cycle.cycle_momentum) {
    throw UsageError("OneCycleLR would also change the optimizer's momentum, which stays here",
                     "--lr_scheduler_args", "add cycle_momentum=False");
  }
  request.need_learning_rate();
  return [=, rate = request.learning_rate](int64_t t) { return cycle.rate(t) / rate; };
}

const std::map<std::string, Factor (*)(const Request&)>& all_classes() {
  static const std::map<std::string, Factor (*)(const Request&)> all = {
      {"ConstantLR", constant_lr},
      {"LinearLR", linear_lr},
      {"StepLR", step_lr},
      {"MultiStepLR", multi_step_lr},
      {"ExponentialLR", exponential_lr},
      {"PolynomialLR", polynomial_lr},
      {"CosineAnnealingLR", cosine_annealing_lr},
      {"CosineAnnealingWarmRestarts", cosine_annealing_warm_restarts},
      {"OneCycleLR", one_cycle_lr},
  };
  return all;
}

}  // namespace

LrSchedule make_torch_lr_schedule(const std::string& class_name,
                                  const OptimizerArguments& arguments, double learning_rate,
                                  int64_t total_steps) {
  constexpr std::string_view kModule = "torch.optim.lr_scheduler.";
  const std::string name =
      class_name.starts_with(kModule) ? class_name.substr(kModule.size()) : class_name;
  const auto found = all_classes().find(name);
  if (found == all_classes().end()) {
    std::vector<std::string> names;
    for (const auto& [known, make] : all_classes()) names.push_back(known);
    throw UsageError(fmt::format("\"{}\" is no schedule that this program has", class_name),
                     "--lr_scheduler_type",
                     fmt::format("there are {}; reduce_lr_on_plateau is a --lr_scheduler",
                                 fmt::join(names, ", ")));
  }
  return {found->second({name, arguments, learning_rate, total_steps})};
}

}  // namespace sdtune
