// sdtune-roundtrip IN OUT [options]: opens a model, loads it, changes it when asked, and saves it.
//   --format safetensors|ckpt|diffusers|diffusers_safetensors   --precision float|fp16|bf16
//   --v2  --v_parameterization  --vae PATH
//   --touch-unet SEED, --touch-text SEED   adds noise to the part's parameters, which counts as
//   training
//   --unet-dtype fp32|fp16|bf16            loads the U-Net in this type
//   --no-load                              saves without loading anything
//   --extra FOLDER                         its files, such as tokenizer/, go into a Diffusers
//   target
//   --meta KEY=VALUE  --epoch N  --global-step N
// Prints one JSON line: the peak of resident memory before and after saving.
#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/system.h"
#include "models/stable_diffusion.h"

namespace sdtune {
namespace {

struct Request {
  ModelRequest model;
  SaveRequest save;
  std::optional<uint64_t> touch_unet, touch_text;
  at::ScalarType unet_dtype = at::kFloat;
  bool load = true;
};

template <class Value>
Value chosen(const std::map<std::string, Value>& values, const std::string& word) {
  const auto found = values.find(word);
  if (found == values.end())
    throw UsageError(fmt::format("\"{}\" is not one of the choices", word));
  return found->second;
}

std::vector<std::pair<std::string, std::string>> files_below(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files.emplace_back(fs::relative(entry.path(), folder).string(), read_file(entry.path()));
  }
  return files;
}

Request parse(int argc, char** argv) {
  Request request;
  std::vector<std::string> paths;
  const std::map<std::string, std::function<void()>> flags = {
      {"--v2", [&] { request.model.v2 = true; }},
      {"--v_parameterization", [&] { request.model.v_parameterization = true; }},
      {"--no-load", [&] { request.load = false; }}};
  const std::map<std::string, std::function<void(const std::string&)>> options = {
      {"--format",
       [&](const std::string& v) {
         request.save.format =
             chosen<SaveFormat>({{"safetensors", SaveFormat::kSafetensors},
                                 {"ckpt", SaveFormat::kCkpt},
                                 {"diffusers", SaveFormat::kDiffusers},
                                 {"diffusers_safetensors", SaveFormat::kDiffusersSafetensors}},
                                v);
       }},
      {"--precision",
       [&](const std::string& v) {
         request.save.precision = chosen<SavePrecision>({{"float", SavePrecision::kFloat},
                                                         {"fp16", SavePrecision::kFp16},
                                                         {"bf16", SavePrecision::kBf16}},
                                                        v);
       }},
      {"--unet-dtype",
       [&](const std::string& v) {
         request.unet_dtype = chosen<at::ScalarType>(
             {{"fp32", at::kFloat}, {"fp16", at::kHalf}, {"bf16", at::kBFloat16}}, v);
       }},
      {"--vae", [&](const std::string& v) { request.model.vae = v; }},
      {"--touch-unet", [&](const std::string& v) { request.touch_unet = std::stoull(v); }},
      {"--touch-text", [&](const std::string& v) { request.touch_text = std::stoull(v); }},
      {"--extra", [&](const std::string& v) { request.save.extra_files = files_below(v); }},
      {"--epoch", [&](const std::string& v) { request.save.epoch = std::stoll(v); }},
      {"--global-step", [&](const std::string& v) { request.save.global_step = std::stoll(v); }},
      {"--meta", [&](const std::string& v) {
         request.save.metadata[v.substr(0, v.find('='))] = v.substr(v.find('=') + 1);
       }}};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (const auto flag = flags.find(word); flag != flags.end()) {
      flag->second();
    } else if (const auto option = options.find(word); option != options.end() && i + 1 < argc) {
      option->second(argv[++i]);
    } else if (word.starts_with("--")) {
      throw UsageError(fmt::format("unknown or incomplete option {}", word));
    } else {
      paths.push_back(word);
    }
  }
  if (paths.size() != 2) throw UsageError("two paths are needed: IN OUT");
  request.model.path = paths[0];
  request.save.path = paths[1];
  return request;
}

template <class Model>
Model* touched(Model& model, std::optional<uint64_t> seed) {
  if (!seed) return nullptr;
  at::Generator generator = at::detail::createCPUGenerator(*seed);
  for (auto& [name, parameter] : named_parameters(model)) {
    parameter.add_(at::randn(parameter.sizes(), generator, at::kFloat), 0.01);
  }
  return &model;
}

void run(const Request& request) {
  const auto source = open_model(request.model);
  std::optional<UNet2DConditionModel> unet;
  std::optional<AutoencoderKL> vae;
  std::optional<ClipTextModel> text_encoder;
  TrainedParts trained;
  if (request.load) {
    unet.emplace(load_unet(*source, request.unet_dtype));
    vae.emplace(load_vae(*source));
    text_encoder.emplace(load_text_encoder(*source));
    trained.unet = touched(*unet, request.touch_unet);
    trained.text_encoder = touched(*text_encoder, request.touch_text);
  }
  const uint64_t before = peak_resident_bytes();
  save_stable_diffusion(*source, trained, request.save);
  fmt::print("{{\"peak_before\": {}, \"peak_after\": {}}}\n", before, peak_resident_bytes());
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) {
  try {
    sdtune::run(sdtune::parse(argc, argv));
    return 0;
  } catch (const sdtune::Error& error) {
    fmt::print(stderr, "error: {}\n  {}\n  {}\n", error.what(), error.where(), error.hint());
    return error.exit_code();
  }
}
