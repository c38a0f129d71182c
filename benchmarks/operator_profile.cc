#include "operator_profile.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

namespace sdtune {

namespace {

constexpr size_t kListedOperators = 40;
constexpr size_t kListedTensors = 3;
constexpr const char* kPartNames[kStepParts] = {"forward", "backward", "clip", "optimizer"};

thread_local OperatorProfile* listening = nullptr;

double seconds_between(std::chrono::steady_clock::time_point from,
                       std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string key_of(const at::RecordFunction& function) {
  std::string key = function.name();
  size_t listed = 0;
  for (const c10::IValue& value : function.inputs()) {
    if (!value.isTensor() || !value.toTensor().defined()) continue;
    if (listed++ == kListedTensors) break;
    key += fmt::format(" [{}]", fmt::join(value.toTensor().sizes(), ","));
  }
  return key;
}

}  // namespace

OperatorProfile::OperatorProfile() {
  listening = this;
  handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(&on_start, &on_end)
                                           .needsInputs(true)
                                           .needsOutputs(true)
                                           .scopes({at::RecordScope::FUNCTION}));
}

OperatorProfile::~OperatorProfile() {
  at::removeCallback(handle_);
  listening = nullptr;
}

void OperatorProfile::enter(StepPart part) {
  leave();
  part_ = part;
  entered_ = Clock::now();
}

void OperatorProfile::leave() {
  if (part_) part_s_[static_cast<size_t>(*part_)] += seconds_between(entered_, Clock::now());
  part_.reset();
}

std::unique_ptr<at::ObserverContext> OperatorProfile::on_start(const at::RecordFunction& function) {
  if (listening != nullptr) listening->start(function);
  return nullptr;
}

void OperatorProfile::on_end(const at::RecordFunction& function, at::ObserverContext*) {
  if (listening != nullptr) listening->end(function);
}

void OperatorProfile::start(const at::RecordFunction& function) {
  if (covered_ > 0) {
    ++covered_;
    return;
  }
  const OperatorKind kind = kind_of(function.name());
  if (kind != OperatorKind::kOther) covered_ = 1;
  stack_.push_back({kind, kind == OperatorKind::kOther ? function.name() : key_of(function),
                    CallWork(function.name(), function.inputs()), Clock::now()});
}

void OperatorProfile::end(const at::RecordFunction& function) {
  if (covered_ > 1) {
    --covered_;
    return;
  }
  if (stack_.empty()) return;
  covered_ = 0;
  const Call call = std::move(stack_.back());
  stack_.pop_back();
  const double seconds = seconds_between(call.begin, Clock::now());
  if (!stack_.empty()) stack_.back().inner_s += seconds;
  if (!part_) return;
  Total& total = totals_[{*part_, call.kind, call.key}];
  total.seconds += seconds - call.inner_s;
  total.flops += call.work.flops(function.outputs());
  ++total.calls;
}

nlohmann::ordered_json OperatorProfile::report(int64_t steps) const {
  const auto n = static_cast<double>(steps);
  nlohmann::ordered_json result;
  double rest[kStepParts];  // between the operators
  for (size_t i = 0; i < kStepParts; ++i) {
    result["parts"][kPartNames[i]] = part_s_[i] / n;
    rest[i] = part_s_[i] / n;
  }
  std::map<std::pair<StepPart, OperatorKind>, Total> kinds;
  std::vector<std::pair<Key, Total>> longest(totals_.begin(), totals_.end());
  for (const auto& [key, total] : totals_) {
    Total& sum = kinds[{key.part, key.kind}];
    sum.seconds += total.seconds / n;
    sum.flops += total.flops / n;
    sum.calls += total.calls;
    rest[static_cast<size_t>(key.part)] -= total.seconds / n;
  }
  const auto add_kind = [&](size_t part, const char* kind, double seconds, double flops) {
    result["kinds"].push_back(
        {{"part", kPartNames[part]}, {"kind", kind}, {"seconds", seconds}, {"flops", flops}});
  };
  for (const auto& [key, total] : kinds) {
    add_kind(static_cast<size_t>(key.first), name_of(key.second), total.seconds, total.flops);
  }
  for (size_t i = 0; i < kStepParts; ++i) add_kind(i, "between operators", rest[i], 0);
  std::sort(longest.begin(), longest.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  longest.resize(std::min(longest.size(), kListedOperators));
  for (const auto& [key, total] : longest) {
    result["operators"].push_back({{"part", kPartNames[static_cast<size_t>(key.part)]},
                                   {"operator", key.name},
                                   {"calls", static_cast<double>(total.calls) / n},
                                   {"seconds", total.seconds / n},
                                   {"flops", total.flops / n}});
  }
  return result;
}

namespace {

// A line's end: arithmetic, its rate, and its share of what the machine can do.
std::string arithmetic(double seconds, double flops, double product_rate) {
  if (flops == 0 || seconds <= 0) return fmt::format("{:>8} {:>8} {:>5}", "", "", "");
  return fmt::format("{:8.1f} {:8.1f} {:4.0f}%", flops / 1e9, flops / seconds / 1e9,
                     100 * flops / seconds / product_rate);
}

}  // namespace

std::string table_of(const nlohmann::ordered_json& report, double product_rate) {
  std::string table;
  const auto line = [&](const std::string& what, double seconds, double flops) {
    table += fmt::format("{:9.1f} {}  {}\n", 1e3 * seconds,
                         arithmetic(seconds, flops, product_rate), what);
  };
  const auto heading = [&](const char* what) {
    table += fmt::format("{:>9} {:>8} {:>8} {:>5}  {}\n", "ms", "GFLOP", "GFLOP/s", "rate", what);
  };
  heading(fmt::format("of {:.1f} GFLOP/s", product_rate / 1e9).c_str());
  for (const auto& [part, seconds] : report["parts"].items()) line("all of " + part, seconds, 0);
  heading("kinds");
  for (const auto& row : report["kinds"]) {
    line(fmt::format("{}: {}", std::string(row["part"]), std::string(row["kind"])), row["seconds"],
         row["flops"]);
  }
  heading("operators that took longest, with calls in a step");
  for (const auto& row : report["operators"]) {
    line(fmt::format("{:.0f} x {}: {}", double(row["calls"]), std::string(row["part"]),
                     std::string(row["operator"])),
         row["seconds"], row["flops"]);
  }
  return table;
}

}  // namespace sdtune
