#include "models/blip_files.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "formats/open_weights.h"
#include "models/component_files.h"
#include "models/weight_checks.h"
#include "models/weight_values.h"

namespace sdtune {
namespace {

constexpr uint64_t kMaxConfigBytes = 1 << 20;
constexpr int64_t kHeadChannels = 64;        // of both of Salesforce's transformers, of any size
constexpr double kOriginalVisionEps = 1e-6;  // Transformers' default is another
constexpr int64_t kTokensAddedToBert = 2;    // [DEC], which begins a caption, and [ENC]
constexpr char kVision[] = "vision_model.";
constexpr char kOriginalVision[] = "visual_encoder.";
constexpr char kDamaged[] = "Get the file again from its source.";

// Parts of names of the vision transformer, in Transformers and in Salesforce's code; the decoder's
// names are the same in both.
constexpr std::pair<const char*, const char*> kOriginalNames[] = {
    {"embeddings.class_embedding", "cls_token"},
    {"embeddings.position_embedding", "pos_embed"},
    {"embeddings.patch_embedding", "patch_embed.proj"},
    {"encoder.layers", "blocks"},
    {"self_attn.projection", "attn.proj"},
    {"self_attn.qkv", "attn.qkv"},
    {"post_layernorm", "norm"},
    {"layer_norm1", "norm1"},
    {"layer_norm2", "norm2"},
};

std::string original_name(const std::string& name) {
  if (!name.starts_with(kVision)) return name;
  std::string result = kOriginalVision + name.substr(std::string_view(kVision).size());
  for (const auto& [ours, theirs] : kOriginalNames) {
    const size_t at = result.find(ours);
    if (at != std::string::npos) result.replace(at, std::string_view(ours).size(), theirs);
  }
  return result;
}

// The bias of the output layer has two names in the libraries, of which files hold either or both.
constexpr char kBias[] = "text_decoder.cls.predictions.bias";
constexpr char kBiasToo[] = "text_decoder.cls.predictions.decoder.bias";

struct BlipSource {
  std::shared_ptr<const WeightFile> file;
  BlipConfig config;
  std::optional<std::string> original_prefix;  // of an original checkpoint's names: "model."

  const TensorInfo* find(const std::string& name) const {
    const std::string wanted = original_prefix ? *original_prefix + original_name(name) : name;
    const TensorInfo* info = file->find(wanted);
    return info || name != kBias ? info : find(kBiasToo);
  }
};

// --- Original checkpoints

class OriginalSizes {
 public:
  OriginalSizes(const WeightFile& file, std::string prefix)
      : file_(file), prefix_(std::move(prefix)) {}

  BlipConfig config() const {
    BlipConfig c;
    read_vision(c.vision);
    read_text(c.text);
    c.text.encoder_hidden_size = c.vision.hidden_size;
    return c;
  }

 private:
  void read_vision(BlipVisionConfig& c) const {
    c.hidden_size = side("visual_encoder.cls_token", 2);
    c.num_attention_heads = heads(c.hidden_size);
    c.num_hidden_layers = layers("visual_encoder.blocks.{}.norm1.weight");
    c.intermediate_size = side("visual_encoder.blocks.0.mlp.fc1.weight", 0);
    c.patch_size = side("visual_encoder.patch_embed.proj.weight", 2);
    const int64_t patches = side("visual_encoder.pos_embed", 1) - 1;
    c.image_size = std::llround(std::sqrt(static_cast<double>(patches))) * c.patch_size;
    c.layer_norm_eps = kOriginalVisionEps;
  }

  void read_text(BlipTextConfig& c) const {
    c.vocab_size = side("text_decoder.bert.embeddings.word_embeddings.weight", 0);
    c.hidden_size = side("text_decoder.bert.embeddings.word_embeddings.weight", 1);
    c.max_position_embeddings = side("text_decoder.bert.embeddings.position_embeddings.weight", 0);
    c.num_attention_heads = heads(c.hidden_size);
    c.num_hidden_layers = layers("text_decoder.bert.encoder.layer.{}.output.dense.weight");
    c.intermediate_size = side("text_decoder.bert.encoder.layer.0.intermediate.dense.weight", 0);
    c.bos_token_id = c.vocab_size - kTokensAddedToBert;
    if (c.sep_token_id >= c.bos_token_id) refuse("its table of words is too short");
  }

  int64_t side(const std::string& name, size_t dimension) const {
    const TensorInfo* info = file_.find(prefix_ + name);
    if (!info || info->shape.size() <= dimension || info->shape[dimension] < 1) {
      refuse(fmt::format("tensor \"{}\" is missing or has no such side", name));
    }
    return info->shape[dimension];
  }

  int64_t layers(const char* pattern) const {
    int64_t count = 0;
    while (file_.find(prefix_ + fmt::format(fmt::runtime(pattern), count))) ++count;
    return count;
  }

  int64_t heads(int64_t channels) const {
    if (channels % kHeadChannels != 0) refuse("its widths are no multiples of 64");
    return channels / kHeadChannels;
  }

  [[noreturn]] void refuse(const std::string& why) const {
    throw Error("the checkpoint is no BLIP captioner: " + why, file_.path().string(), kDamaged);
  }

  const WeightFile& file_;
  std::string prefix_;
};

BlipSource open_original(const fs::path& path) {
  BlipSource source;
  source.file = open_weights(path, CheckpointLayout::kNested);
  for (const char* prefix : {"", "model."}) {
    if (source.file->find(std::string(prefix) + "visual_encoder.cls_token")) {
      source.original_prefix = prefix;
    }
  }
  if (!source.original_prefix) {
    throw Error("the file holds no original BLIP captioner", path.string(),
                "Give one of Salesforce's checkpoints, such as model_large_caption.pth, or the "
                "folder of a Transformers model with its config.json.");
  }
  source.config = OriginalSizes(*source.file, *source.original_prefix).config();
  return source;
}

// --- Transformers folders

BlipSource open_folder(const fs::path& folder) {
  const fs::path config = folder / "config.json";
  if (!fs::is_regular_file(config)) {
    throw Error("the folder is no Transformers model: this file is missing", config.string(),
                "Give a folder that holds config.json and the weights.");
  }
  BlipSource source;
  source.config = parse_blip_config(read_file(config, kMaxConfigBytes), config.string());
  source.file = open_component_weights(folder, kTransformersStems);
  return source;
}

void check_tensor(const BlipSource& source, const TensorInfo& info, const at::Tensor& slot) {
  if (slot.sizes() != at::IntArrayRef(info.shape)) {
    refuse_shape(*source.file, info, slot.sizes(),
                 "The file does not fit its own sizes. Get it again from its source.");
  }
  check_floating(*source.file, info, "Give the original weights, not quantised ones.");
}

}  // namespace

Blip load_blip(const fs::path& path, at::ScalarType type) {
  const BlipSource source = fs::is_directory(path) ? open_folder(path) : open_original(path);
  Blip model(source.config);
  std::vector<std::string> missing;
  visit_parameters(model, [&](const std::string& name, at::Tensor& slot) {
    const TensorInfo* info = source.find(name);
    if (!info) {
      missing.push_back(name);
      return;
    }
    check_tensor(source, *info, slot);
    slot = read_tensor(values_in_file(*source.file, *info), info->shape, type);
  });
  check_none_missing(*source.file, std::move(missing),
                     "The file is incomplete, or it is no BLIP captioner.");
  return model;
}

}  // namespace sdtune
