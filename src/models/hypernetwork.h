// Hypernetworks: small networks that change what a U-Net's attentions make their keys and values
// from, one pair for each width of context. The model itself stays as it is. Layers, names and
// numbers are those of NovelAI's files (2022) and of the web UI that extended them; the files stand
// in hypernetwork_file.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/layers.h"

namespace sdtune {

struct UNet2DConditionModel;

inline constexpr size_t kMaxHypernetworkLayers = 32;
inline constexpr double kMinHypernetworkFactor = 0.01, kMaxHypernetworkFactor = 64;
inline constexpr int64_t kMaxHypernetworkWidth = 65536;

struct HypernetworkLayout {
  std::vector<double> layer_structure = {1, 2, 1};  // widths before, between and after the layers,
                                                    // in widths of the context
  std::string activation = "linear";                // after each layer but the last
  bool activate_output = false;                     // after the last too
  bool layer_norm = false;                          // after each layer and its activation
  std::vector<double> dropout;  // after all of that: the share set to 0 in training, for each of
                                // layer_structure's widths, 0 for the first; empty for none
};

// The names of activations: those of torch's modules without parameters, in small letters, and
// "swish", by which these files mean hardswish.
std::vector<std::string> hypernetwork_activations();

// Error(what, where, hint) for a layout that no network can be made of.
void check(const HypernetworkLayout& layout, const std::string& where);

// The step that dropout draws for. `sample` is the place of the batch's first picture in the global
// batch, so that a picture's draws do not depend on the batches.
struct HypernetworkDraws {
  uint64_t seed = 0;
  int64_t step = 0;
  int64_t sample = 0;
};

// How a network is applied at one place.
struct HypernetworkCall {
  double multiplier = 1;
  const HypernetworkDraws* draws = nullptr;  // null: no dropout
  uint64_t place = 0;                        // of the network among all that a U-Net calls
};

struct HypernetworkModule {
  HypernetworkModule(int64_t width, const HypernetworkLayout& layout);
  void visit(ParameterVisitor& v);
  // x + multiplier · net(x): [B, n, width], the same shape.
  at::Tensor forward(const at::Tensor& x, const HypernetworkCall& call) const;

  struct Layer {
    Linear linear;
    at::Tensor (*activation)(const at::Tensor&);  // null for none
    std::optional<LayerNorm> norm;
    double dropout;
    std::string linear_name, norm_name;  // "linear.0": activations and dropout count too
  };
  std::vector<Layer> layers;
};

struct HypernetworkPair {
  HypernetworkPair(int64_t width, const HypernetworkLayout& layout);
  void visit(ParameterVisitor& v);

  HypernetworkModule keys, values;
};

struct Hypernetwork {
  // Parameters are meta tensors until loaded or drawn. `layout` must pass check().
  Hypernetwork(const std::vector<int64_t>& widths, const HypernetworkLayout& layout);
  // "<width>.<0 for keys, 1 for values>.linear.<place>.weight" and so on, widths ascending.
  void visit(ParameterVisitor& v);

  HypernetworkLayout layout;
  double multiplier = 1;
  std::optional<HypernetworkDraws> draws;  // set while training: dropout is on
  std::map<int64_t, HypernetworkPair> pairs;
};

// The widths of context that the U-Net's attentions have, ascending: 320, 640, 768 and 1280 for SD
// 1.x.
std::vector<int64_t> context_widths(const UNet2DConditionModel& unet);

// Weights N(0, 0.01²), of norms too, and biases 0, so that training starts near the model as it is:
// new fp32 CPU tensors, a pure function of the seed.
void draw_weights(Hypernetwork& hypernetwork, uint64_t seed);

// From now on the U-Net and its copies apply the hypernetwork in every attention whose width of
// context it has. It must stay where it is while they live; its multiplier and draws count as they
// are at each pass. Error when it has none of the widths.
void attach(UNet2DConditionModel& unet, const Hypernetwork& hypernetwork);

}  // namespace sdtune
