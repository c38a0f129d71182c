#include "train/save_model.h"

#include "generate/prompt_states.h"
#include "models/hypernetwork_file.h"
#include "models/modelspec.h"
#include "text/tokenizer_files.h"
#include "train/hypernetwork_training.h"
#include "train/model_copies.h"

namespace sdtune {

namespace {

SaveFormat source_format(const ModelSource& source) {
  if (!source.single_file) {
    return source.unet.file->is_torch_checkpoint() ? SaveFormat::kDiffusers
                                                   : SaveFormat::kDiffusersSafetensors;
  }
  return source.single_file->is_torch_checkpoint() ? SaveFormat::kCkpt : SaveFormat::kSafetensors;
}

std::map<std::string, std::string> metadata(const Trainee& trainee, const TrainOptions& options) {
  const ModelspecOptions& given = options.modelspec;
  ModelspecFields fields;
  fields.family = trainee.source->family;
  fields.prediction = trainee.source->prediction;
  fields.title = given.title.value_or(base_name(options));
  fields.version = SDTUNE_VERSION;
  if (options.dataset.buckets.resolution) {
    fields.resolution = {options.dataset.buckets.resolution->width,
                         options.dataset.buckets.resolution->height};
  }
  const NoiseOptions& noise = options.noise;
  if (noise.min_timestep || noise.max_timestep) {
    fields.timestep_range = {noise.min_timestep.value_or(0), noise.max_timestep.value_or(1000)};
  }
  if (options.run.clip_skip > 0) fields.clip_skip = options.run.clip_skip;
  fields.author = given.author.value_or("");
  fields.description = given.description.value_or("");
  fields.license = given.license.value_or("");
  fields.tags = given.tags.value_or("");
  fields.usage_hint = given.usage_hint.value_or("");
  fields.merged_from = given.merged_from.value_or("");
  fields.trigger_phrase = given.trigger_phrase.value_or("");
  fields.preprocessor = given.preprocessor.value_or("");
  fields.is_negative_embedding = given.is_negative_embedding.value_or("");
  if (given.thumbnail) fields.thumbnail = given.thumbnail->string();
  return modelspec_metadata(fields);
}

SaveFormat format_of(const Trainee& trainee, const TrainOptions& options) {
  return save_format(options.save, source_format(*trainee.source));
}

void save_trained_hypernetwork(const Trainee& trainee, const TrainOptions& options,
                               SaveMoment moment, const Position& position) {
  HypernetworkSaveRequest request;
  request.path = hypernetwork_path(options, moment);
  request.precision = save_precision(options.save.save_precision);
  request.step = position.step;
  request.name = base_name(options);
  request.model_name = options.model.found_model.empty()
                           ? trainee.source->path.stem().string()
                           : options.model.pretrained_model_name_or_path.string();
  request.metadata = metadata(trainee, options);
  request.metadata["modelspec.architecture"] += "/hypernetwork";
  const AveragedWeights averaged(*trainee.optimizer);
  save_hypernetwork(*model_copies(trainee, moment.ema).hypernetwork, request);
}

}  // namespace

SavePrecision save_precision(const std::optional<std::string>& name) {
  if (!name) return SavePrecision::kAsTrained;
  if (*name == "fp16") return SavePrecision::kFp16;
  return *name == "bf16" ? SavePrecision::kBf16 : SavePrecision::kFloat;
}

std::filesystem::path trained_model_path(const Trainee& trainee, const TrainOptions& options,
                                         SaveMoment moment) {
  return trainee.hypernetwork ? hypernetwork_path(options, moment)
                              : model_path(options, format_of(trainee, options), moment);
}

void check_can_save(const Trainee& trainee, const TrainOptions& options) {
  metadata(trainee, options);
  if (trainee.hypernetwork) return;
  const SaveFormat format = format_of(trainee, options);
  check_can_save(*trainee.source, format, model_path(options, format, {}));
}

void save_trained_model(Trainee& trainee, const TrainOptions& options, SaveMoment moment,
                        const Position& position) {
  if (trainee.hypernetwork) {
    save_trained_hypernetwork(trainee, options, moment, position);
    return;
  }
  SaveRequest request;
  request.format = format_of(trainee, options);
  request.path = model_path(options, request.format, moment);
  request.precision = save_precision(options.save.save_precision);
  // An epoch's own save counts it as done, others do not.
  const bool ends_epoch = position.batch == 0 && position.epoch > 0;
  request.epoch = position.epoch - (ends_epoch && moment.kind != SaveMoment::Kind::kEpoch ? 1 : 0);
  request.global_step = position.step;
  request.metadata = metadata(trainee, options);
  request.extra_files = tokenizer_files(text_family(trainee.source->family));
  const AveragedWeights averaged(*trainee.optimizer);
  ModelCopies copies = model_copies(trainee, moment.ema);
  const TrainedParts parts{&copies.unet,
                           trainee.trains_text_encoder ? &copies.text_encoder : nullptr};
  save_stable_diffusion(*trainee.source, parts, request);
}

}  // namespace sdtune
