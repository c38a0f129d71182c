// Where the time of a step goes: every operator that runs on the calling thread, with the
// arithmetic it does, by part of the step and by kind. The CPU's backward pass runs on the calling
// thread too. The outermost operator that has a kind takes the time of all that it calls.
#pragma once

#include <ATen/record_function.h>

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "operator_kinds.h"

namespace sdtune {

enum class StepPart { kForward, kBackward, kClip, kOptimizer };
inline constexpr size_t kStepParts = 4;

class OperatorProfile {
 public:
  OperatorProfile();  // listens while it lives; one at a time in a thread
  ~OperatorProfile();
  OperatorProfile(const OperatorProfile&) = delete;
  OperatorProfile& operator=(const OperatorProfile&) = delete;

  // Operators from now on belong to this part, until leave().
  void enter(StepPart part);
  void leave();

  // Means of so many steps: {"parts": seconds, "kinds": [...], "operators": [...]}; of the
  // operators only those that took longest.
  nlohmann::ordered_json report(int64_t steps) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Call {
    OperatorKind kind;
    std::string key;
    CallWork work;
    Clock::time_point begin;
    double inner_s = 0;  // of the operators it called
  };
  struct Total {
    double seconds = 0, flops = 0;
    int64_t calls = 0;
  };
  struct Key {
    StepPart part;
    OperatorKind kind;
    std::string name;  // with the shapes of its tensors
    auto operator<=>(const Key&) const = default;
  };

  static std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& function);
  static void on_end(const at::RecordFunction& function, at::ObserverContext* context);
  void start(const at::RecordFunction& function);
  void end(const at::RecordFunction& function);

  at::CallbackHandle handle_;
  std::optional<StepPart> part_;
  Clock::time_point entered_;
  double part_s_[kStepParts] = {};
  std::vector<Call> stack_;
  size_t covered_ = 0;  // calls within the outermost that has a kind
  std::map<Key, Total> totals_;
};

// A table of a report, with shares of `product_rate` (FLOP/s).
std::string table_of(const nlohmann::ordered_json& report, double product_rate);

}  // namespace sdtune
