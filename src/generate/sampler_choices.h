// The samplers as the values of an option.
#pragma once

#include "diffusion/sampler.h"
#include "options/option.h"

namespace sdtune {

inline Choices sampler_choices() {
  Choices choices{};
  for (const std::string_view name : sampler_names()) choices.names.emplace_back(name);
  return choices;
}

}  // namespace sdtune
