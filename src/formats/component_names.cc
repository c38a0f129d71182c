#include "formats/component_names.h"

#include <array>

namespace sdtune {
namespace {

constexpr std::array kVariants = {"", "fp32", "bf16", "fp16", "non_ema"};

// "model.safetensors" and "fp16" -> "model.fp16.safetensors", as Diffusers names variants.
std::string with_variant(const std::string& name, const std::string& variant) {
  if (variant.empty()) return name;
  const size_t dot = name.rfind('.');
  return name.substr(0, dot) + "." + variant + name.substr(dot);
}

}  // namespace

std::vector<std::string> weight_file_names(const WeightStems& stems) {
  std::vector<std::string> names;
  for (const std::string& file :
       {std::string(stems.safetensors) + ".safetensors", std::string(stems.bin) + ".bin"}) {
    for (const char* variant : kVariants) {
      names.push_back(with_variant(file, variant));
      names.push_back(with_variant(file + ".index.json", variant));
    }
  }
  return names;
}

}  // namespace sdtune
