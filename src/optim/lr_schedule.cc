#include "optim/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "base/error.h"
#include "base/numbers.h"

namespace sdtune {

namespace {

constexpr double kPi = std::numbers::pi;
constexpr const char* kArguments = "--lr_scheduler_args";

double share(double part, int64_t whole) {
  return part / static_cast<double>(std::max<int64_t>(1, whole));
}

using Factor = std::function<double(int64_t)>;

// Warm-up from 0, then `after` of the share p of the rest that is done.
Factor warmed_up(const LrScheduleSettings& s, std::function<double(double p)> after) {
  return [warmup = s.warmup_steps, rest = s.total_steps - s.warmup_steps,
          after = std::move(after)](int64_t step) {
    if (step < warmup) return share(static_cast<double>(step), warmup);
    return after(share(static_cast<double>(step - warmup), rest));
  };
}

void refuse_arguments(const LrScheduleSettings& s) {
  read_schedule_settings(s.arguments, s.name, [](ArgumentReader&) {});
}

Factor constant(const LrScheduleSettings& s) {
  refuse_arguments(s);
  if (s.warmup_steps != 0) {
    throw UsageError(fmt::format("the {} schedule has no warm-up", s.name), "--lr_warmup_steps",
                     s.name == "constant" ? "use --lr_scheduler=constant_with_warmup" : "");
  }
  return [](int64_t) { return 1.0; };
}

Factor constant_with_warmup(const LrScheduleSettings& s) {
  refuse_arguments(s);
  return warmed_up(s, [](double) { return 1.0; });
}

Factor linear(const LrScheduleSettings& s) {
  refuse_arguments(s);
  return warmed_up(s, [](double p) { return std::max(0.0, 1 - p); });
}

Factor cosine(const LrScheduleSettings& s) {
  double cycles = 0.5;
  read_schedule_settings(s.arguments, s.name,
                         [&](ArgumentReader& read) { read.number("num_cycles", cycles, 0, 1e6); });
  return warmed_up(
      s, [cycles](double p) { return std::max(0.0, 0.5 * (1 + std::cos(2 * kPi * cycles * p))); });
}

Factor cosine_with_restarts(const LrScheduleSettings& s) {
  refuse_arguments(s);
  return warmed_up(s, [cycles = static_cast<double>(s.num_cycles)](double p) {
    if (p >= 1) return 0.0;
    return 0.5 * (1 + std::cos(kPi * std::fmod(cycles * p, 1.0)));
  });
}

Factor polynomial(const LrScheduleSettings& s) {
  double end = 1e-7;
  read_schedule_settings(s.arguments, s.name,
                         [&](ArgumentReader& read) { read.number("lr_end", end, 0, 1); });
  const double rate = s.learning_rate;
  if (rate <= end) {
    throw UsageError(fmt::format("the polynomial schedule ends at {}, so the learning rate must be "
                                 "above it",
                                 end),
                     "--learning_rate");
  }
  return warmed_up(s, [end, rate, power = s.power](double p) {
    const double left = std::pow(1 - std::min(p, 1.0), power);
    return ((rate - end) * (p >= 1 ? 0 : left) + end) / rate;
  });
}

Factor inverse_sqrt(const LrScheduleSettings& s) {
  refuse_arguments(s);
  const int64_t whole = s.timescale.value_or(s.warmup_steps > 0 ? s.warmup_steps : 10000);
  return [warmup = s.warmup_steps, scale = static_cast<double>(whole)](int64_t step) {
    if (step < warmup) return share(static_cast<double>(step), warmup);
    return 1 / std::sqrt((static_cast<double>(step - warmup) + scale) / scale);
  };
}

double least_ratio(const LrScheduleSettings& s) {
  if (!s.min_lr_ratio) {
    throw UsageError(fmt::format("the {} schedule needs the least ratio it falls to", s.name),
                     "--lr_scheduler_min_lr_ratio", "give one from 0 to 1, as 0.1");
  }
  return *s.min_lr_ratio;
}

double cosine_to(double least, double cycles, double p) {
  return std::max(0.0, 0.5 * (1 + std::cos(kPi * cycles * p)) * (1 - least) + least);
}

Factor cosine_with_min_lr(const LrScheduleSettings& s) {
  refuse_arguments(s);
  return warmed_up(s, [least = least_ratio(s), cycles = static_cast<double>(s.num_cycles)](
                          double p) { return cosine_to(least, cycles, p); });
}

Factor cosine_warmup_with_min_lr(const LrScheduleSettings& s) {
  std::optional<double> start;
  read_schedule_settings(s.arguments, s.name,
                         [&](ArgumentReader& read) { read.number("warmup_lr_rate", start); });
  return [=, warmup = s.warmup_steps, rest = s.total_steps - s.warmup_steps, least = least_ratio(s),
          cycles = static_cast<double>(s.num_cycles)](int64_t step) -> double {
    const auto at = static_cast<double>(step);
    if (step < warmup && !start) return share(at + 1, warmup);
    if (step < warmup) return *start + (1 - *start) * share(at, warmup - 1);
    return cosine_to(least, cycles, share(static_cast<double>(step - warmup) + 1, rest));
  };
}

// What a ramp of warmup_stable_decay has reached when the share x of it is done, from 0 to 1.
double risen(const std::string& ramp, double x) {
  if (ramp == "linear") return x;
  return ramp == "cosine" ? 0.5 * (1 - std::cos(kPi * x)) : 1 - std::sqrt(1 - x);
}

double fallen(const std::string& ramp, double cycles, double x) {
  if (ramp == "linear") return 1 - x;
  return ramp == "cosine" ? 0.5 * (1 + std::cos(kPi * cycles * x)) : 1 - std::sqrt(x);
}

Factor warmup_stable_decay(const LrScheduleSettings& s) {
  std::string warmup_type = "linear", decay_type = "cosine";
  read_schedule_settings(s.arguments, s.name, [&](ArgumentReader& read) {
    read.text("warmup_type", warmup_type, {"linear", "cosine", "1-sqrt"});
    read.text("decay_type", decay_type, {"linear", "cosine", "1-sqrt"});
  });
  const int64_t stable_end = s.total_steps - s.decay_steps;
  if (stable_end < s.warmup_steps) {
    throw UsageError(fmt::format("{} steps of warm-up and {} of decay are more than all {}",
                                 s.warmup_steps, s.decay_steps, s.total_steps),
                     "--lr_warmup_steps, --lr_decay_steps");
  }
  return [=, warmup = s.warmup_steps, decay = s.decay_steps, least = s.min_lr_ratio.value_or(0),
          cycles = static_cast<double>(s.num_cycles)](int64_t step) {
    const auto at = static_cast<double>(step);
    if (step < warmup) return risen(warmup_type, share(at, warmup)) * (1 - least) + least;
    if (step < stable_end) return 1.0;
    if (step >= stable_end + decay) return least;
    const double x = share(at - static_cast<double>(stable_end), decay);
    return std::max(0.0, fallen(decay_type, cycles, x) * (1 - least) + least);
  };
}

struct PiecewiseRules {
  std::vector<std::pair<int64_t, double>> until;  // ascending: the factor below this step
  double last = 1;
};

[[noreturn]] void refuse_rules(const std::string& text) {
  throw UsageError(fmt::format("step_rules \"{}\" cannot be read", text), kArguments,
                   "write factor:until-step pairs and the last factor: "
                   "step_rules=\"1:10,0.1:20,0.005\"");
}

template <class Number>
Number read_number(std::string_view text, const std::string& whole) {
  const std::optional<Number> number = number_in<Number>(text);
  if (!number) refuse_rules(whole);
  return *number;
}

PiecewiseRules read_rules(const std::string& text) {
  std::string_view rest = text;
  PiecewiseRules rules;
  for (size_t comma = rest.find(','); comma != rest.npos; comma = rest.find(',')) {
    const std::string_view rule = rest.substr(0, comma);
    const size_t colon = rule.find(':');
    if (colon == rule.npos) refuse_rules(text);
    rules.until.emplace_back(read_number<int64_t>(rule.substr(colon + 1), text),
                             read_number<double>(rule.substr(0, colon), text));
    rest.remove_prefix(comma + 1);
  }
  rules.last = read_number<double>(rest, text);
  std::sort(rules.until.begin(), rules.until.end());
  return rules;
}

Factor piecewise_constant(const LrScheduleSettings& s) {
  std::string text;
  read_schedule_settings(s.arguments, s.name,
                         [&](ArgumentReader& read) { read.text("step_rules", text, {}); });
  constant(LrScheduleSettings{.name = s.name, .warmup_steps = s.warmup_steps});
  return [rules = read_rules(text)](int64_t step) {
    for (const auto& [until, factor] : rules.until) {
      if (step < until) return factor;
    }
    return rules.last;
  };
}

const std::map<std::string, Factor (*)(const LrScheduleSettings&)>& all_schedules() {
  static const std::map<std::string, Factor (*)(const LrScheduleSettings&)> all = {
      {"constant", constant},
      {"adafactor", constant},
      {"constant_with_warmup", constant_with_warmup},
      {"linear", linear},
      {"cosine", cosine},
      {"cosine_with_restarts", cosine_with_restarts},
      {"polynomial", polynomial},
      {"inverse_sqrt", inverse_sqrt},
      {"cosine_with_min_lr", cosine_with_min_lr},
      {"cosine_warmup_with_min_lr", cosine_warmup_with_min_lr},
      {"warmup_stable_decay", warmup_stable_decay},
      {"piecewise_constant", piecewise_constant},
  };
  return all;
}

// The word, its value put in quotes when it is no literal.
std::string quoted_where_needed(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos) return word;
  const std::string value = word.substr(equals + 1);
  try {
    parse_python_literal(value);
    return word;
  } catch (const Error&) {
    std::string quoted = word.substr(0, equals) + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') quoted += '\\';
      quoted += c;
    }
    return quoted + "'";
  }
}

}  // namespace

LrSchedule make_lr_schedule(const LrScheduleSettings& settings) {
  const auto found = all_schedules().find(settings.name);
  if (found == all_schedules().end()) {
    throw UsageError("there is no such learning-rate schedule: " + settings.name, "--lr_scheduler");
  }
  return {found->second(settings)};
}

OptimizerArguments read_schedule_arguments(const std::vector<std::string>& words) {
  std::vector<std::string> quoted;
  for (const std::string& word : words) quoted.push_back(quoted_where_needed(word));
  try {
    return OptimizerArguments(quoted);
  } catch (const UsageError& error) {
    throw UsageError(error.what(), kArguments, error.hint());
  }
}

void read_schedule_settings(const OptimizerArguments& arguments, const std::string& schedule,
                            const std::function<void(ArgumentReader&)>& read) {
  try {
    ArgumentReader reader(arguments);
    read(reader);
    reader.refuse_others("the schedule " + schedule);
  } catch (const UsageError& error) {
    throw UsageError(error.what(), kArguments, error.hint());
  }
}

}  // namespace sdtune
