#include "models/hypernetwork.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/philox.h"
#include "models/unet_2d_condition.h"

namespace sdtune {
namespace {

constexpr double kInitialDeviation = 0.01;
constexpr double kLargestDropout = 0.99;

struct Activation {
  const char* name;
  at::Tensor (*apply)(const at::Tensor&);
};

// "linear" stands for none and takes no place among the layers, unlike torch's Identity.
constexpr Activation kActivations[] = {
    {"linear", nullptr},
    {"relu", [](const at::Tensor& x) { return at::relu(x); }},
    {"leakyrelu", [](const at::Tensor& x) { return at::leaky_relu(x); }},
    {"elu", [](const at::Tensor& x) { return at::elu(x); }},
    {"swish", [](const at::Tensor& x) { return at::hardswish(x); }},
    {"tanh", [](const at::Tensor& x) { return at::tanh(x); }},
    {"sigmoid", [](const at::Tensor& x) { return at::sigmoid(x); }},
    {"celu", [](const at::Tensor& x) { return at::celu(x); }},
    {"gelu", [](const at::Tensor& x) { return at::gelu(x); }},
    {"hardshrink", [](const at::Tensor& x) { return at::hardshrink(x); }},
    {"hardsigmoid", [](const at::Tensor& x) { return at::hardsigmoid(x); }},
    {"hardswish", [](const at::Tensor& x) { return at::hardswish(x); }},
    {"hardtanh", [](const at::Tensor& x) { return at::hardtanh(x); }},
    {"logsigmoid", [](const at::Tensor& x) { return at::log_sigmoid(x); }},
    {"mish", [](const at::Tensor& x) { return at::mish(x); }},
    {"relu6", [](const at::Tensor& x) { return at::relu6(x); }},
    {"selu", [](const at::Tensor& x) { return at::selu(x); }},
    {"silu", [](const at::Tensor& x) { return at::silu(x); }},
    {"softplus", [](const at::Tensor& x) { return at::softplus(x); }},
    {"softshrink", [](const at::Tensor& x) { return at::softshrink(x); }},
    {"softsign", [](const at::Tensor& x) { return x / (1 + x.abs()); }},
    {"tanhshrink", [](const at::Tensor& x) { return x - at::tanh(x); }},
};

const Activation* find_activation(const std::string& name) {
  const auto* found = std::ranges::find(kActivations, name, &Activation::name);
  return found == std::end(kActivations) ? nullptr : found;
}

int64_t scaled(int64_t width, double factor) { return static_cast<int64_t>(width * factor); }

at::Tensor shifted_right(const at::Tensor& z, int64_t bits) {  // as unsigned
  return z.bitwise_right_shift(bits).bitwise_and((int64_t{1} << (64 - bits)) - 1);
}

// SplitMix64's finalizer (Steele et al., 2014) of counters, on whatever device: the same words
// everywhere, without the host drawing millions of them.
at::Tensor hashed(const at::Tensor& counters, uint64_t key) {
  constexpr auto kGolden = static_cast<int64_t>(0x9e3779b97f4a7c15);
  constexpr auto kFirst = static_cast<int64_t>(0xbf58476d1ce4e5b9);
  constexpr auto kSecond = static_cast<int64_t>(0x94d049bb133111eb);
  at::Tensor z = counters * kGolden + static_cast<int64_t>(key);
  z = z.bitwise_xor(shifted_right(z, 30)) * kFirst;
  z = z.bitwise_xor(shifted_right(z, 27)) * kSecond;
  return z.bitwise_xor(shifted_right(z, 31));
}

// x [B, …] with a share of its values 0 and the others grown to make up for it (inverted dropout).
at::Tensor dropped_out(const at::Tensor& x, double share, uint64_t key, int64_t first_sample) {
  const int64_t of_sample = x.numel() / x.size(0);
  const at::Tensor counters =
      at::arange(first_sample * of_sample, first_sample * of_sample + x.numel(),
                 at::TensorOptions(at::kLong).device(x.device()));
  constexpr int kBits = 53;
  const auto limit = static_cast<int64_t>(share * static_cast<double>(int64_t{1} << kBits));
  const at::Tensor kept = shifted_right(hashed(counters, key), 64 - kBits).ge(limit).view_as(x);
  return x * kept * (1 / (1 - share));
}

uint64_t dropout_key(const HypernetworkDraws& draws, uint64_t place, uint64_t layer) {
  Random random(draws.seed, Draw::kDropout, static_cast<uint64_t>(draws.step), place, layer);
  const uint64_t high = random.next();
  return high << 32 | random.next();
}

template <class UNet, class F>
void for_each_attention(UNet& unet, F&& act) {
  const auto within = [&](auto& block) {
    for (auto& transformer : block.attentions) {
      for (auto& inner : transformer.transformer_blocks) {
        act(inner.attn1);
        act(inner.attn2);
      }
    }
  };
  for (auto& block : unet.down_blocks) within(block);
  within(unet.mid_block);
  for (auto& block : unet.up_blocks) within(block);
}

int64_t context_width(const Attention& attention) { return attention.to_k.weight.size(1); }

}  // namespace

std::vector<std::string> hypernetwork_activations() {
  std::vector<std::string> names;
  for (const Activation& activation : kActivations) names.emplace_back(activation.name);
  return names;
}

void check(const HypernetworkLayout& layout, const std::string& where) {
  const std::vector<double>& structure = layout.layer_structure;
  const auto is_factor = [](double f) {
    return f >= kMinHypernetworkFactor && f <= kMaxHypernetworkFactor;
  };
  if (structure.size() < 2 || structure.size() > kMaxHypernetworkLayers + 1 ||
      structure.front() != 1 || structure.back() != 1 ||
      !std::ranges::all_of(structure, is_factor)) {
    throw Error(
        "the layers' widths make no hypernetwork", where,
        fmt::format("they begin and end with 1, as 1,2,1; at most {} layers, factors from "
                    "{} to {}",
                    kMaxHypernetworkLayers, kMinHypernetworkFactor, kMaxHypernetworkFactor));
  }
  if (find_activation(layout.activation) == nullptr) {
    throw Error(fmt::format("there is no activation \"{}\"", layout.activation), where,
                fmt::format("known are {}", fmt::join(hypernetwork_activations(), ", ")));
  }
  const auto is_share = [](double share) { return share >= 0 && share <= kLargestDropout; };
  if (!layout.dropout.empty() && (layout.dropout.size() != structure.size() ||
                                  !std::ranges::all_of(layout.dropout, is_share))) {
    throw Error("the dropout does not fit the layers", where,
                fmt::format("expected is one share for each width, from 0 to {}", kLargestDropout));
  }
}

HypernetworkModule::HypernetworkModule(int64_t width, const HypernetworkLayout& layout) {
  const auto activation = find_activation(layout.activation)->apply;
  const size_t count = layout.layer_structure.size() - 1;
  int64_t place = 0;
  const auto next_name = [&] { return fmt::format("linear.{}", place++); };
  for (size_t i = 0; i < count; ++i) {
    const int64_t out = scaled(width, layout.layer_structure[i + 1]);
    Layer layer{.linear = Linear(scaled(width, layout.layer_structure[i]), out),
                .activation = i + 1 < count || layout.activate_output ? activation : nullptr,
                .norm = std::nullopt,
                .dropout = layout.dropout.empty() ? 0 : layout.dropout[i + 1],
                .linear_name = next_name(),
                .norm_name = ""};
    if (layer.activation != nullptr) ++place;
    if (layout.layer_norm) {
      layer.norm.emplace(out);
      layer.norm_name = next_name();
    }
    if (layer.dropout > 0) ++place;
    layers.push_back(std::move(layer));
  }
}

void HypernetworkModule::visit(ParameterVisitor& v) {
  for (Layer& layer : layers) {
    v(layer.linear_name.c_str(), layer.linear);
    v(layer.norm_name.c_str(), layer.norm);
  }
}

at::Tensor HypernetworkModule::forward(const at::Tensor& x, const HypernetworkCall& call) const {
  at::Tensor y = x;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    y = layer.linear.forward(y);
    if (layer.activation != nullptr) y = layer.activation(y);
    if (layer.norm) y = layer.norm->forward(y);
    if (layer.dropout > 0 && call.draws != nullptr) {
      y = dropped_out(y, layer.dropout, dropout_key(*call.draws, call.place, i),
                      call.draws->sample);
    }
  }
  return at::add(x, y, call.multiplier);
}

HypernetworkPair::HypernetworkPair(int64_t width, const HypernetworkLayout& layout)
    : keys(width, layout), values(width, layout) {}

void HypernetworkPair::visit(ParameterVisitor& v) {
  v("0", keys);
  v("1", values);
}

Hypernetwork::Hypernetwork(const std::vector<int64_t>& widths, const HypernetworkLayout& l)
    : layout(l) {
  for (const int64_t width : widths) pairs.try_emplace(width, width, layout);
}

void Hypernetwork::visit(ParameterVisitor& v) {
  for (auto& [width, pair] : pairs) v(std::to_string(width).c_str(), pair);
}

std::vector<int64_t> context_widths(const UNet2DConditionModel& unet) {
  std::set<int64_t> widths;
  for_each_attention(unet, [&](const Attention& a) { widths.insert(context_width(a)); });
  return {widths.begin(), widths.end()};
}

void draw_weights(Hypernetwork& hypernetwork, uint64_t seed) {
  uint64_t index = 0;
  visit_parameters(hypernetwork, [&](const std::string& name, at::Tensor& slot) {
    Random random(seed, Draw::kWeights, index++);
    slot = at::zeros(slot.sizes(), at::kFloat);
    if (name.ends_with(".bias")) return;
    random.fill_normal({slot.mutable_data_ptr<float>(), static_cast<size_t>(slot.numel())});
    slot.mul_(kInitialDeviation);
  });
}

void attach(UNet2DConditionModel& unet, const Hypernetwork& hypernetwork) {
  uint64_t place = 0;
  bool fits = false;
  for_each_attention(unet, [&](Attention& attention) {
    const uint64_t first = place;
    place += 2;  // counted for those without a pair too, so that a draw's place is the attention's
    const auto found = hypernetwork.pairs.find(context_width(attention));
    if (found == hypernetwork.pairs.end()) return;
    fits = true;
    attention.sources = [&hypernetwork, &pair = found->second, first](const at::Tensor& context) {
      const auto& draws = hypernetwork.draws;
      HypernetworkCall call{hypernetwork.multiplier, draws ? &*draws : nullptr, first};
      const at::Tensor keys = pair.keys.forward(context, call);
      ++call.place;
      return KeyValueSources{keys, pair.values.forward(context, call)};
    };
  });
  if (fits) return;
  std::vector<int64_t> own;
  for (const auto& [width, pair] : hypernetwork.pairs) own.push_back(width);
  throw Error(fmt::format("the hypernetwork fits no attention of this model: it is for widths of "
                          "{}, and the model has {}",
                          fmt::join(own, ", "), fmt::join(context_widths(unet), ", ")),
              "", "take a hypernetwork that was made for this family of models");
}

}  // namespace sdtune
