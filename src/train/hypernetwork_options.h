// Options of `sdtune train` for training a hypernetwork in place of the model, with the names of
// the sd-scripts release that had it and those of its layers.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "options/option.h"

namespace sdtune {

struct HypernetworkOptions {
  std::optional<std::string> module;
  std::optional<std::filesystem::path> weights;
  std::string layer_structure = "1,2,1";
  std::string activation = "linear";
  bool layer_norm = false;
  double dropout = 0;

  bool trains() const { return module.has_value(); }

  template <class V>
  void visit(V& v) {
    v.group("Hypernetwork");
    v("hypernetwork_module", module,
      "Train a hypernetwork of this kind; the U-Net and the text encoder stay as they are.",
      Choices{"hypernetwork_nai"});
    v("hypernetwork_weights", weights,
      "The hypernetwork to start from, a .pt or .safetensors file or an id; its layers are taken "
      "as they are.");
    v("hypernetwork_layer_structure", layer_structure,
      "Widths before, between and after its layers, as multiples of the context's.");
    v("hypernetwork_activation", activation,
      "What follows each layer but the last, \"swish\" being hardswish as in other programs.",
      Choices{"linear",   "relu",       "leakyrelu", "elu",        "swish",       "tanh",
              "sigmoid",  "celu",       "gelu",      "hardshrink", "hardsigmoid", "hardswish",
              "hardtanh", "logsigmoid", "mish",      "relu6",      "selu",        "silu",
              "softplus", "softshrink", "softsign",  "tanhshrink"});
    v("hypernetwork_layer_norm", layer_norm, "Normalise after each layer and its activation.");
    v("hypernetwork_dropout", dropout,
      "Share of the values between layers that is set to 0 in training.", Range{0, 0.99});
  }
};

}  // namespace sdtune
