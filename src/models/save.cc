#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "base/files.h"
#include "formats/safetensors.h"
#include "formats/torch_checkpoint.h"
#include "models/save_folder.h"
#include "models/save_plan.h"

namespace sdtune {
namespace {

// A .ckpt's own count, 0 when it has none. Text of that name in safetensors means something else.
int64_t count_in_source(const ModelSource& source, const char* key) {
  int64_t count = 0;
  if (!source.single_file->is_torch_checkpoint()) return count;
  const auto& metadata = source.single_file->metadata();
  if (const auto found = metadata.find(key); found != metadata.end()) {
    const std::string& text = found->second;
    std::from_chars(text.data(), text.data() + text.size(), count);
  }
  return std::max<int64_t>(count, 0);
}

void save_single_file(const ModelSource& source, const ModelValues& model,
                      const SaveRequest& request) {
  const auto plan = plan_single_file(source, model);
  check_free_space(request.path, bytes_of_plan(plan));
  if (request.format == SaveFormat::kSafetensors) {
    write_safetensors(request.path, plan, request.metadata);
    return;
  }
  CheckpointExtras extras;
  extras.epoch = request.epoch;
  extras.global_step = request.global_step;
  if (source.single_file) {
    extras.epoch += count_in_source(source, "epoch");
    extras.global_step += count_in_source(source, "global_step");
  }
  write_torch_checkpoint(request.path, plan, extras);
}

}  // namespace

void check_can_save(const ModelSource& source, SaveFormat format,
                    const std::filesystem::path& path) {
  if (format != SaveFormat::kSafetensors && format != SaveFormat::kCkpt) {
    check_folder_target(path);
  } else if (!source.single_file) {
    check_single_file_can_tell(
        path.string(), {source.family, source.unet_config, source.vae_config, source.text_config});
  }
}

void save_stable_diffusion(const ModelSource& source, const TrainedParts& trained,
                           const SaveRequest& request) {
  check_can_save(source, request.format, request.path);
  const ModelValues model = values_to_save(source, trained, request.precision);
  if (request.format == SaveFormat::kSafetensors || request.format == SaveFormat::kCkpt) {
    save_single_file(source, model, request);
  } else {
    save_diffusers_folder(source, model, request);
  }
}

}  // namespace sdtune
