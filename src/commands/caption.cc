#include "commands/caption.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "annotate/blip_captioner.h"
#include "annotate/blip_pixels.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/rank.h"
#include "base/system.h"
#include "commands/device.h"
#include "commands/model_ids.h"
#include "options/command_line.h"
#include "train/precision.h"

namespace sdtune {
namespace {

constexpr double kPenaltyOfDraws = 1.1;  // make_captions.py's, of words that are there already

BlipCaptionerOptions captioner_options(const MakeCaptionsOptions& options) {
  BlipCaptionerOptions captioner;
  captioner.weights = options.caption_weights;
  captioner.vocabulary = options.caption_vocabulary.value_or("");
  captioner.prompt = options.prompt;
  captioner.search = {.sample = !options.beam_search,
                      .num_beams = options.num_beams,
                      .top_p = options.top_p,
                      .top_k = options.top_k,
                      .max_length = options.max_length,
                      .min_length = options.min_length,
                      .repetition_penalty = options.beam_search ? 1.0 : kPenaltyOfDraws,
                      .seed = static_cast<uint64_t>(options.seed)};
  captioner.device = choose_device(options.device);
  captioner.type = choose_precision({.mixed_precision = options.mixed_precision}, captioner.device,
                                    computes_bf16(captioner.device))
                       .compute;
  return captioner;
}

CaptionReport write_with(const BlipCaptioner& blip, const MakeCaptionsOptions& options,
                         WordsJob& job) {
  const Captioner captioner{
      .prepare = [&](const Image& image) { return blip_square(image, blip.image_size()); },
      .write = [&](std::span<const ReadyPicture> ready) { return blip.write(ready); }};
  const CaptionSink sink{
      .keep =
          [&](size_t place, const std::string& caption) {
            const CaptionedPicture& picture = job.pictures[place];
            job.output->keep(picture, caption);
            if (options.debug) log_info("{}: {}", picture.picture.string(), caption);
          },
      .fail = [&](size_t place,
                  const std::string& reason) { job.output->fail(job.pictures[place], reason); }};
  return caption_pictures(job.work, captioner,
                          {.batch_size = options.batch_size,
                           .threads = reader_threads(options.max_data_loader_n_workers),
                           .rank = rank_from_environment()},
                          sink);
}

}  // namespace

void check_options(const MakeCaptionsOptions& options) {
  check_extension(options.caption_extension);
  if (options.num_beams > 1 && !options.beam_search) {
    log_warning("--num_beams has no part where words are drawn; --beam_search makes use of it");
  }
}

WordsJob open_captions(const MakeCaptionsOptions& options) {
  return open_words({.train_data_dir = options.train_data_dir,
                     .extension = options.caption_extension,
                     .output_path = options.output_path,
                     .in_json = options.in_json,
                     .full_path = options.full_path,
                     .recursive = options.recursive,
                     .overwrite = options.overwrite});
}

void find_captioner(MakeCaptionsOptions& options) {
  fs::path& weights = options.caption_weights;
  weights = local_model(weights, ModelUse::kCaptioner);
  if (fs::exists(weights)) return;
  const bool is_address = weights.string().find(":/") != std::string::npos;
  throw Error("there is no captioner", weights.string(),
              is_address ? "Download the file, and name it with --caption_weights."
                         : "Name with --caption_weights a folder of Transformers' BLIP, an id as "
                           "Salesforce/blip-image-captioning-large, or Salesforce's "
                           "model_large_caption.pth.");
}

int write_captions(const MakeCaptionsOptions& options, WordsJob& job) {
  if (job.is_done()) return finish_words(job, all_done(job));
  return finish_words(job, write_with(BlipCaptioner(captioner_options(options)), options, job));
}

int run_caption(std::span<const std::string> args) {
  MakeCaptionsOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  check_options(options);
  WordsJob job = open_captions(options);
  if (!job.is_done()) find_captioner(options);
  install_stop_signals();
  return write_captions(options, job);
}

}  // namespace sdtune
