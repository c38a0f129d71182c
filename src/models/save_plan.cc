#include "models/save_plan.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <set>

#include "base/error.h"

namespace sdtune {
namespace {

template <class Model>
void take_parameters(PartValues& values, Model* model) {
  if (!model) return;
  for (auto& [name, tensor] : named_parameters(*model)) values.trained.emplace(name, tensor);
}

// A tensor whose elements are those of `pieces`, one after the other.
TensorToWrite joined(TensorInfo info, std::vector<WeightValues> pieces) {
  const DType dtype = info.dtype;
  auto produce = [pieces = std::move(pieces), dtype](const ByteSink& sink) {
    for (const auto& piece : pieces) write_values(piece, dtype, sink);
  };
  return {std::move(info), std::move(produce)};
}

TensorToWrite copied(const WeightFile& file, const TensorInfo& info) {
  return joined(info, {values_in_file(file, info)});
}

// A tensor of a single file and the weights it joins (OpenCLIP's query, key and value; else one).
struct LdmTensor {
  std::string name;
  std::vector<int64_t> shape;
  const PartValues* part = nullptr;
  std::vector<const BoundWeight*> weights;
};

TensorToWrite planned(const LdmTensor& tensor) {
  const auto& front = *tensor.weights.front();
  const DType dtype = tensor.part->dtype(tensor.part->values(front));
  TensorInfo info{tensor.name, dtype, tensor.shape};
  // Rows of one source tensor, unchanged: one copy of all of it.
  if (tensor.part->trained.empty() && !front.whole) {
    return joined(std::move(info), {values_in_file(*tensor.part->part->file, *front.found)});
  }
  std::vector<WeightValues> pieces;
  for (const auto* weight : tensor.weights) pieces.push_back(tensor.part->values(*weight));
  return joined(std::move(info), std::move(pieces));
}

// The model's tensors under single-file names, in the table's order. Names and shapes are those of
// `file` for the parts that came from it.
std::vector<LdmTensor> ldm_tensors(const ModelValues& model, const WeightFile* file) {
  std::vector<LdmTensor> tensors;
  std::unordered_map<std::string, size_t> by_name;
  for (const auto* part : {&model.unet, &model.vae, &model.text_encoder}) {
    const bool from_file = part->part->file.get() == file;
    for (const auto& weight : part->part->weights) {
      const std::string& name = from_file ? weight.found->name : weight.want.ldm;
      const auto [at, is_new] = by_name.emplace(name, tensors.size());
      if (is_new) {
        tensors.push_back(
            {name, from_file ? weight.found->shape : weight.want.ldm_shape, part, {}});
      }
      tensors[at->second].weights.push_back(&weight);
    }
  }
  return tensors;
}

std::vector<TensorToWrite> plan_from_single_file(const WeightFile& file, const ModelValues& model) {
  const std::vector<LdmTensor> tensors = ldm_tensors(model, &file);
  std::unordered_map<std::string, const LdmTensor*> by_name;
  for (const auto& tensor : tensors) by_name.emplace(tensor.name, &tensor);
  std::vector<TensorToWrite> plan;
  for (const auto& info : file.tensors()) {
    const auto found = by_name.find(info.name);
    plan.push_back(found == by_name.end() ? copied(file, info) : planned(*found->second));
    if (found != by_name.end()) by_name.erase(found);
  }
  // What the file lacked: a VAE that came with --vae.
  for (const auto& tensor : tensors) {
    if (by_name.contains(tensor.name)) plan.push_back(planned(tensor));
  }
  return plan;
}

// The tensors of an SD 2.x single file that the model does not use. Programs that read such files
// expect them: a last block (a copy of the one before), the projection and the scale.
void add_unused_open_clip(std::vector<TensorToWrite>& plan, const ModelSource& source,
                          const ModelValues& model) {
  const std::string prefix{kOpenClipPrefix};
  const int64_t layers = source.text_config.num_hidden_layers;
  const std::string last = fmt::format("{}transformer.resblocks.{}.", prefix, layers - 1);
  const std::string unused = fmt::format("{}transformer.resblocks.{}.", prefix, layers);
  for (auto tensor : ldm_tensors(model, nullptr)) {
    if (!tensor.name.starts_with(last)) continue;
    tensor.name = unused + tensor.name.substr(last.size());
    plan.push_back(planned(tensor));
  }
  const int64_t width = source.text_config.hidden_size;
  const auto& text = model.text_encoder;
  const DType dtype = text.dtype(text.values(text.part->weights.front()));
  const at::Tensor projection = at::ones({width, width});
  plan.push_back(
      joined({prefix + "text_projection", dtype, {width, width}}, {values_of(projection)}));
  plan.push_back(
      joined({prefix + "logit_scale", DType::kI64, {}}, {values_of(at::ones({}, at::kLong))}));
}

void check_parameters(const PartValues& values) {
  if (values.trained.empty()) return;
  for (const auto& weight : values.part->weights) {
    const auto found = values.trained.find(weight.want.name);
    if (found == values.trained.end() ||
        found->second.sizes() != at::IntArrayRef(weight.want.shape)) {
      throw Error(fmt::format("the trained model does not fit its source: parameter \"{}\"",
                              weight.want.name),
                  values.part->file->path().string());
    }
  }
}

}  // namespace

std::optional<DType> cast_type(SavePrecision precision) {
  switch (precision) {
    case SavePrecision::kFloat:
      return DType::kF32;
    case SavePrecision::kFp16:
      return DType::kF16;
    case SavePrecision::kBf16:
      return DType::kBF16;
    case SavePrecision::kAsTrained:
      break;
  }
  return std::nullopt;
}

WeightValues PartValues::values(const BoundWeight& weight) const {
  if (!trained.empty()) return values_of(trained.at(weight.want.name));
  return values_in_source(*part, weight);
}

DType PartValues::dtype(const WeightValues& values) const { return cast.value_or(values.dtype()); }

ModelValues values_to_save(const ModelSource& source, const TrainedParts& trained,
                           SavePrecision precision) {
  ModelValues model{{&source.unet}, {&source.vae}, {&source.text_encoder}};
  take_parameters(model.unet, trained.unet);
  take_parameters(model.text_encoder, trained.text_encoder);
  for (auto* part : {&model.unet, &model.vae, &model.text_encoder}) {
    part->cast = cast_type(precision);
    check_parameters(*part);
  }
  return model;
}

std::vector<TensorToWrite> plan_single_file(const ModelSource& source, const ModelValues& model) {
  if (source.single_file) return plan_from_single_file(*source.single_file, model);
  std::vector<TensorToWrite> plan;
  for (const auto& tensor : ldm_tensors(model, nullptr)) plan.push_back(planned(tensor));
  if (source.family == ModelFamily::kV2) add_unused_open_clip(plan, source, model);
  return plan;
}

std::vector<TensorToWrite> plan_component(const PartValues& values) {
  std::vector<TensorToWrite> plan;
  std::set<const TensorInfo*> known;
  for (const auto& weight : values.part->weights) {
    const WeightValues numbers = values.values(weight);
    plan.push_back(joined({weight.want.name, values.dtype(numbers), weight.want.shape}, {numbers}));
    known.insert(weight.found);
  }
  if (!values.part->own_file) return plan;
  for (const auto& info : values.part->file->tensors()) {
    if (!known.contains(&info)) plan.push_back(copied(*values.part->file, info));
  }
  return plan;
}

}  // namespace sdtune
