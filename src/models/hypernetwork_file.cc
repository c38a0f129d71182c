#include "models/hypernetwork_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/numbers.h"
#include "formats/open_weights.h"
#include "formats/safetensors.h"
#include "models/save_folder.h"
#include "models/weight_values.h"

namespace sdtune {
namespace {

using Metadata = std::map<std::string, std::string>;

constexpr size_t kMaxWidths = 64;
constexpr double kUsualDropout = 0.3;  // of files that say only that there is some
constexpr const char* kDamaged =
    "The file is damaged, or was made by a program that goes beyond the known forms. Get it again "
    "from its source.";

// What a file says of its layers; a file that says nothing is NovelAI's.

std::vector<double> numbers_of(const Metadata& metadata, const char* key,
                               const std::string& where) {
  std::vector<double> numbers;
  const auto found = metadata.find(key);
  if (found == metadata.end()) return numbers;
  for (const std::string_view word : list_words(found->second)) {
    const std::optional<double> number = number_in<double>(word);
    if (!number || numbers.size() > kMaxHypernetworkLayers) {
      throw Error(fmt::format("the hypernetwork's {} is no list of few numbers", key), where,
                  kDamaged);
    }
    numbers.push_back(*number);
  }
  return numbers;
}

bool flag_of(const Metadata& metadata, const char* key, bool otherwise) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return otherwise;
  return found->second == "true" || found->second == "1";
}

// Files from before dropout_structure: after all layers but the last two, or but the last.
std::vector<double> old_dropout(const Metadata& metadata, size_t widths) {
  if (!flag_of(metadata, "use_dropout", false)) return {};
  std::vector<double> dropout(widths, 0);
  const size_t end = flag_of(metadata, "last_layer_dropout", false) ? 1 : 2;
  for (size_t i = 1; i + end < widths; ++i) dropout[i] = kUsualDropout;
  return dropout;
}

HypernetworkLayout layout_of(const WeightFile& file) {
  const Metadata& metadata = file.metadata();
  const std::string where = file.path().string();
  HypernetworkLayout layout;
  if (auto structure = numbers_of(metadata, "layer_structure", where); !structure.empty()) {
    layout.layer_structure = std::move(structure);
  }
  if (const auto found = metadata.find("activation_func"); found != metadata.end()) {
    layout.activation = found->second;
  }
  layout.activate_output = flag_of(metadata, "activate_output", true);
  layout.layer_norm = flag_of(metadata, "is_layer_norm", false);
  layout.dropout = numbers_of(metadata, "dropout_structure", where);
  if (layout.dropout.empty()) layout.dropout = old_dropout(metadata, layout.layer_structure.size());
  check(layout, where);
  return layout;
}

// The number before the first dot of each tensor's name.
std::vector<int64_t> widths_of(const WeightFile& file) {
  std::set<int64_t> widths;
  for (const TensorInfo& info : file.tensors()) {
    const size_t dot = std::min(info.name.find('.'), info.name.size());
    const auto width = number_in<int64_t>(std::string_view(info.name).substr(0, dot));
    if (!width || *width < 1 || *width > kMaxHypernetworkWidth) {
      throw Error(
          fmt::format("the tensor \"{}\" is none of a hypernetwork's", info.name.substr(0, 80)),
          file.path().string(),
          "A hypernetwork's tensors are named by widths, as 768.0.linear.0.weight.");
    }
    widths.insert(*width);
  }
  if (widths.empty() || widths.size() > kMaxWidths) {
    throw Error(
        widths.empty() ? "the file holds no hypernetwork" : "the hypernetwork has too many widths",
        file.path().string(), kDamaged);
  }
  return {widths.begin(), widths.end()};
}

// "768.0.linear.1.bias" was "768.0.linear2.bias" before there was more than one layout.
const TensorInfo* find_tensor(const WeightFile& file, const std::string& name) {
  if (const TensorInfo* info = file.find(name)) return info;
  const std::pair<std::string_view, std::string_view> old_names[] = {{".linear.0.", ".linear1."},
                                                                     {".linear.1.", ".linear2."}};
  for (const auto& [now, then] : old_names) {
    const size_t place = name.find(now);
    if (place == std::string::npos) continue;
    return file.find(std::string(name).replace(place, now.size(), then));
  }
  return nullptr;
}

at::Tensor read_parameter(const WeightFile& file, const std::string& name,
                          const at::Tensor& parameter) {
  const TensorInfo* info = find_tensor(file, name);
  const std::string where = file.path().string();
  if (info == nullptr) {
    throw Error(
        fmt::format("the hypernetwork lacks the tensor \"{}\" that its settings ask for", name),
        where, kDamaged);
  }
  if (info->shape != parameter.sizes().vec() || !dtype_is_floating(info->dtype)) {
    throw Error(fmt::format("the tensor \"{}\" is {} [{}]; floating numbers [{}] were expected",
                            info->name, dtype_name(info->dtype), fmt::join(info->shape, ", "),
                            fmt::join(parameter.sizes(), ", ")),
                where, kDamaged);
  }
  return read_tensor(values_in_file(file, *info), info->shape, at::kFloat);
}

// What both forms say beside the weights, in the order of the web UI.
NestedValue::Dict settings_of(const Hypernetwork& h, const HypernetworkSaveRequest& request) {
  const HypernetworkLayout& layout = h.layout;
  const auto list = [](const std::vector<double>& numbers) {
    NestedValue::List items;
    for (const double n : numbers) {
      if (n == std::floor(n)) {
        items.push_back({static_cast<int64_t>(n)});
      } else {
        items.push_back({n});
      }
    }
    return NestedValue{std::move(items)};
  };
  const auto text = [](std::string value) { return NestedValue{std::move(value)}; };
  const bool drops = !layout.dropout.empty();
  const std::vector<double> dropout =
      drops ? layout.dropout : std::vector<double>(layout.layer_structure.size(), 0);
  return {{text("step"), {request.step}},
          {text("name"), text(request.name)},
          {text("layer_structure"), list(layout.layer_structure)},
          {text("activation_func"), text(layout.activation)},
          {text("is_layer_norm"), {layout.layer_norm}},
          {text("weight_initialization"), text("Normal")},
          {text("use_dropout"), {drops}},
          {text("dropout_structure"), list(dropout)},
          {text("last_layer_dropout"), {dropout[dropout.size() - 2] > 0}},
          {text("activate_output"), {layout.activate_output}},
          {text("sd_checkpoint"), {}},
          {text("sd_checkpoint_name"), text(request.model_name)}};
}

std::string as_text(const NestedValue& value) {
  struct Text {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(int64_t v) const { return fmt::format("{}", v); }
    std::string operator()(double v) const { return fmt::format("{}", v); }
    std::string operator()(const std::string& v) const { return v; }
    std::string operator()(const NestedValue::Tensor&) const { return ""; }
    std::string operator()(const NestedValue::List& items) const {
      std::vector<std::string> texts;
      for (const NestedValue& item : items) texts.push_back(as_text(item));
      return fmt::format("{}", fmt::join(texts, ", "));
    }
    std::string operator()(const NestedValue::Dict&) const { return ""; }
  };
  return std::visit(Text(), value.value);
}

void write_pickled(const Hypernetwork& h, const HypernetworkSaveRequest& request,
                   const std::vector<TensorToWrite>& tensors) {
  NestedValue::Dict root;
  size_t number = 0;
  for (const auto& [width, pair] : h.pairs) {
    NestedValue::List modules;
    for (const char* module : {"0", "1"}) {
      const std::string prefix = fmt::format("{}.{}.", width, module);
      NestedValue::Dict weights;
      for (; number < tensors.size() && tensors[number].info.name.starts_with(prefix); ++number) {
        weights.push_back(
            {{tensors[number].info.name.substr(prefix.size())}, {NestedValue::Tensor{number}}});
      }
      modules.push_back({std::move(weights)});
    }
    root.push_back({{width}, {std::move(modules)}});
  }
  for (auto& entry : settings_of(h, request)) root.push_back(std::move(entry));
  write_nested_checkpoint(request.path, tensors, {std::move(root)});
}

void write_safe(const Hypernetwork& h, const HypernetworkSaveRequest& request,
                const std::vector<TensorToWrite>& tensors) {
  Metadata metadata = request.metadata;
  for (const auto& [key, value] : settings_of(h, request)) {
    if (!std::holds_alternative<std::monostate>(value.value)) {
      metadata[as_text(key)] = as_text(value);
    }
  }
  write_safetensors(request.path, tensors, metadata);
}

}  // namespace

Hypernetwork load_hypernetwork(const std::filesystem::path& path) {
  const std::unique_ptr<WeightFile> file = open_weights(path, CheckpointLayout::kNested);
  const std::vector<int64_t> widths = widths_of(*file);
  Hypernetwork hypernetwork(widths, layout_of(*file));
  size_t read = 0;
  visit_parameters(hypernetwork, [&](const std::string& name, at::Tensor& parameter) {
    parameter = read_parameter(*file, name, parameter);
    ++read;
  });
  if (read != file->tensors().size()) {
    throw Error(fmt::format("the hypernetwork holds {} tensors; its settings ask for {}",
                            file->tensors().size(), read),
                path.string(), kDamaged);
  }
  return hypernetwork;
}

void save_hypernetwork(Hypernetwork& hypernetwork, const HypernetworkSaveRequest& request) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : named_parameters(hypernetwork)) {
    const DType dtype = cast_type(request.precision).value_or(dtype_of(tensor.scalar_type()));
    tensors.push_back(
        {{name, dtype, tensor.sizes().vec()}, [tensor = tensor, dtype](const ByteSink& sink) {
           write_values(values_of(tensor), dtype, sink);
         }});
  }
  check_free_space(request.path, bytes_of_plan(tensors));
  if (request.path.extension() == ".safetensors") {
    write_safe(hypernetwork, request, tensors);
  } else {
    write_pickled(hypernetwork, request, tensors);
  }
}

}  // namespace sdtune
