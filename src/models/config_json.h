// The config.json files of Diffusers and Transformers: read into the three configurations, and
// written back so that those libraries load them. A file that asks for something these models do
// not have is refused by the key and its value; keys that change nothing are ignored. Missing keys
// have the libraries' own defaults.
#pragma once

#include <filesystem>
#include <string>

#include "models/config.h"

namespace sdtune {

// Errors name the file, the key and what was found. At most 1 MiB is read.
UNetConfig read_unet_config(const std::filesystem::path& file);
VaeConfig read_vae_config(const std::filesystem::path& file);
ClipTextConfig read_clip_text_config(const std::filesystem::path& file);

// The same from the file's text; `where` stands in errors.
UNetConfig parse_unet_config(const std::string& text, const std::string& where);
VaeConfig parse_vae_config(const std::string& text, const std::string& where);
ClipTextConfig parse_clip_text_config(const std::string& text, const std::string& where);

// JSON text, two spaces of indentation, a newline at the end. Reading it gives the same
// configuration.
std::string unet_config_json(const UNetConfig& config);
std::string vae_config_json(const VaeConfig& config);
std::string clip_text_config_json(const ClipTextConfig& config);

}  // namespace sdtune
