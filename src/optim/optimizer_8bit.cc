#include "optim/optimizer_8bit.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/optimizer_8bit.h"
#include "optim/adamw.h"
#include "optim/optimizer_table.h"

namespace sdtune {

namespace {

std::vector<std::string> moment_names(Rule8bit rule) {
  switch (rule) {
    case Rule8bit::kAdam:
      return {"exp_avg", "exp_avg_sq"};
    case Rule8bit::kAdEMAMix:
      return {"exp_avg", "exp_avg_slow", "exp_avg_sq"};
    case Rule8bit::kLion:
      return {"exp_avg"};
    case Rule8bit::kMomentum:
      return {"momentum_buffer"};
  }
  return {};
}

// The warm-up of AdEMAMix's paper, §3: alpha rises evenly, and so does the half-life of beta3.
void warm_up(const Optimizer8bitOptions& options, Update8bit& update) {
  const auto time = static_cast<double>(update.time);
  if (options.t_alpha > 0) {
    update.alpha *= std::min(1.0, time / static_cast<double>(options.t_alpha));
  }
  if (options.t_beta3 > 0) {
    const double share = time / static_cast<double>(options.t_beta3);
    const double first = std::log(update.beta1), last = std::log(update.beta3);
    const double now = std::exp(first * last / ((1 - share) * last + share * first));
    if (share < 1) update.beta3 = std::min(now, update.beta3);
  }
}

// What the package takes and this program can only do in one way.
void read_fixed(ArgumentReader& arguments, int64_t bits) {
  int64_t given_bits = bits, percentile = 100;
  bool block_wise = true, amsgrad = false;
  arguments.integer("optim_bits", given_bits, 1);
  arguments.integer("percentile_clipping", percentile, 1);
  arguments.flag("block_wise", block_wise);
  arguments.flag("amsgrad", amsgrad);
  const auto refuse = [](const std::string& what, const std::string& hint) {
    throw UsageError(what, "--optimizer_args", hint);
  };
  if (given_bits != bits && !(bits == 8 && given_bits == 32)) {
    refuse(fmt::format("optim_bits={} does not fit this optimizer", given_bits),
           "choose --optimizer_type by its name: AdamW, AdamW8bit, …");
  }
  if (percentile != 100) {
    refuse("percentile_clipping is not there", "leave it at 100 and use --max_grad_norm");
  }
  if (!block_wise) refuse("states are always quantized block by block", "leave block_wise away");
  if (amsgrad) refuse("amsgrad is not there with 8-bit or paged states", "use AdamW");
}

void read_momentum(ArgumentReader& arguments, Update8bit& update) {
  double dampening = 0;
  arguments.number("momentum", update.beta1, 0, 1);
  arguments.number("dampening", dampening, 0);
  arguments.flag("nesterov", update.nesterov);
  if (update.beta1 == 0) {
    throw UsageError("SGD8bit's state is its momentum, which is 0", "--optimizer_args",
                     "momentum=0.9, or --optimizer_type=SGD");
  }
  if (dampening != 0) {
    throw UsageError("8-bit SGD has no dampening", "--optimizer_args", "use SGD");
  }
}

void read_rule(ArgumentReader& arguments, Optimizer8bitOptions& options) {
  Update8bit& update = options.update;
  arguments.number("weight_decay", update.weight_decay, 0);
  arguments.integer("min_8bit_size", options.min_8bit_size, 0);
  if (update.rule == Rule8bit::kMomentum) {
    read_momentum(arguments, update);
  } else if (update.rule == Rule8bit::kAdEMAMix) {
    double betas[] = {update.beta1, update.beta2, update.beta3};
    arguments.numbers("betas", betas, 0, 1);
    update.beta1 = betas[0];
    update.beta2 = betas[1];
    update.beta3 = betas[2];
    arguments.number("alpha", update.alpha);
    arguments.integer("t_alpha", options.t_alpha, 0);
    arguments.integer("t_beta3", options.t_beta3, 0);
  } else {
    arguments.betas("betas", update.beta1, update.beta2);
  }
  if (states_of(update.rule) > 1) arguments.number("eps", update.eps, 0);
}

OptimizerEntry entry_8bit(const std::string& name, const Update8bit& update, bool paged) {
  return {name, [update, paged](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
            Optimizer8bitOptions options = {.update = update};
            bool on_host = paged;
            read_rule(arguments, options);
            read_fixed(arguments, 8);
            arguments.flag("is_paged", on_host);
            auto optimizer = std::make_unique<Optimizer8bit>(std::move(groups), options);
            if (on_host) optimizer->keep_state_on_host();
            return optimizer;
          }};
}

OptimizerEntry entry_paged_adamw(const std::string& name) {
  return {name, [](std::vector<ParameterGroup> groups, ArgumentReader& arguments) {
            AdamWOptions options;
            int64_t unused = 0;
            arguments.betas("betas", options.beta1, options.beta2);
            arguments.number("eps", options.eps, 0);
            arguments.number("weight_decay", options.weight_decay, 0);
            arguments.integer("min_8bit_size", unused, 0);
            read_fixed(arguments, 32);
            auto optimizer = std::make_unique<AdamW>(std::move(groups), options);
            optimizer->keep_state_on_host();
            return optimizer;
          }};
}

}  // namespace

Optimizer8bit::Optimizer8bit(std::vector<ParameterGroup> groups, Optimizer8bitOptions options)
    : TensorOptimizer(std::move(groups)), options_(options), is_on_cpu_(are_on_cpu(groups_)) {}

// Only what is counted on the host changed; see apply().
void Optimizer8bit::forget_update(size_t group, size_t index) {
  state_of(group, index)["step"].sub_(1);
}

void Optimizer8bit::add_state(const at::Tensor& parameter, ParameterState& state) const {
  const Rule8bit rule = options_.update.rule;
  const std::vector<std::string> names = moment_names(rule);
  for (size_t i = 0; i < names.size(); ++i) {
    if (parameter.numel() < options_.min_8bit_size) {
      state.add(names[i], at::zeros(parameter.sizes(), parameter.options().dtype(at::kFloat)));
      continue;
    }
    Quantized8bit zeros = zeros_8bit(parameter, state_is_signed(rule, static_cast<int>(i)));
    state.add(names[i] + "_codes", zeros.codes);
    state.add(names[i] + "_absmax", zeros.absmax);
  }
  state.add("step", state_number(0));
}

void Optimizer8bit::apply(TensorUpdate& update) {
  ParameterState& state = update.state;
  Update8bit now = options_.update;
  now.rate = update.rate;
  now.gradient_scale = update.gradient_scale;
  now.rounding_key = update.rounding_key;
  now.time = static_cast<int64_t>(count_step(state));
  warm_up(options_, now);
  std::vector<Quantized8bit> moments;
  for (const std::string& name : moment_names(now.rule)) {
    if (update.weight.numel() < options_.min_8bit_size) {
      moments.push_back({state[name], {}});
    } else {
      moments.push_back({state[name + "_codes"], state[name + "_absmax"]});
    }
  }
  update_8bit(update.weight, update.gradient, moments, now, update.device_scale);
}

OptimizerTable optimizers_8bit() {
  const Update8bit adam = {.rule = Rule8bit::kAdam};
  const Update8bit adamw = {.rule = Rule8bit::kAdam, .weight_decay = 0.01};
  const Update8bit lion = {.rule = Rule8bit::kLion, .beta2 = 0.99};
  const Update8bit sgd = {.rule = Rule8bit::kMomentum};
  const Update8bit nesterov = {.rule = Rule8bit::kMomentum, .nesterov = true};
  const Update8bit ademamix = {.rule = Rule8bit::kAdEMAMix, .weight_decay = 0.01};
  return {entry_8bit("AdamW8bit", adamw, false),
          entry_8bit("Adam8bit", adam, false),
          entry_8bit("Lion8bit", lion, false),
          entry_8bit("SGD8bit", sgd, false),
          entry_8bit("SGDNesterov8bit", nesterov, false),
          entry_8bit("AdEMAMix8bit", ademamix, false),
          entry_8bit("PagedAdamW8bit", adamw, true),
          entry_8bit("PagedAdam8bit", adam, true),
          entry_8bit("PagedLion8bit", lion, true),
          entry_8bit("PagedAdEMAMix8bit", ademamix, true),
          entry_paged_adamw("PagedAdamW"),
          entry_paged_adamw("PagedAdamW32bit")};
}

}  // namespace sdtune
