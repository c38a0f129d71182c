#include "commands/caption.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>
#include <thread>

#include "annotate/blip_captioner.h"
#include "annotate/blip_pixels.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/rank.h"
#include "base/system.h"
#include "commands/caption_output.h"
#include "commands/device.h"
#include "commands/name_list.h"
#include "data/merge_metadata.h"
#include "data/metadata.h"
#include "data/picture_tree.h"
#include "image/decode.h"
#include "options/command_line.h"
#include "train/precision.h"

namespace sdtune {
namespace {

constexpr double kPenaltyOfDraws = 1.1;  // make_captions.py's, of words that are there already

void validate(const MakeCaptionsOptions& options) {
  const std::string& extension = options.caption_extension;
  if (extension.empty() || extension == ".") {
    throw UsageError("an extension is missing", "--caption_extension", "give one, as in .caption");
  }
  if (is_image_name(caption_file("name", extension))) {
    throw UsageError("captions would be written over the pictures", "--caption_extension",
                     "give another one, as in .caption");
  }
  if (options.num_beams > 1 && !options.beam_search) {
    log_warning("--num_beams has no part where words are drawn; --beam_search makes use of it");
  }
  if (!fs::exists(options.caption_weights)) {
    const bool is_address = options.caption_weights.string().find(":/") != std::string::npos;
    throw Error("there is no captioner", options.caption_weights.string(),
                is_address ? "Download the file, and name it with --caption_weights."
                           : "Name with --caption_weights a folder of Transformers' BLIP, as "
                             "Salesforce/blip-image-captioning-large has it, or Salesforce's "
                             "model_large_caption.pth.");
  }
}

std::vector<CaptionedPicture> pictures_in_folder(const MakeCaptionsOptions& options) {
  MergeOptions keys;
  keys.train_data_dir = options.train_data_dir;
  keys.full_path = options.full_path;
  std::vector<CaptionedPicture> pictures;
  for (const fs::path& picture : picture_tree(options.train_data_dir, options.recursive)) {
    pictures.push_back({options.train_data_dir / picture, metadata_key(keys, picture)});
  }
  if (pictures.empty()) {
    throw Error("there are no pictures in this folder", options.train_data_dir.string(),
                options.recursive ? "" : "--recursive looks into its sub-folders too");
  }
  return pictures;
}

std::vector<CaptionedPicture> pictures_in_metadata(const MakeCaptionsOptions& options) {
  std::vector<CaptionedPicture> pictures;
  for (const Sample& sample : read_metadata(*options.in_json, options.train_data_dir)) {
    pictures.push_back({sample.image, sample.key, !sample.caption.empty()});
  }
  return pictures;
}

// Without those whose caption would stand where an earlier one's does.
std::vector<CaptionedPicture> without_repeated(std::vector<CaptionedPicture> pictures,
                                               const MakeCaptionsOptions& options) {
  std::set<std::string> places;
  std::vector<fs::path> repeated;
  std::erase_if(pictures, [&](const CaptionedPicture& one) {
    const std::string place = options.output_path
                                  ? one.key
                                  : caption_file(one.picture, options.caption_extension).string();
    const bool is_new = places.insert(place).second;
    if (!is_new) repeated.push_back(one.picture);
    return !is_new;
  });
  if (!repeated.empty()) {
    log_warning(
        "{} pictures share the name of another one without its extension, and its caption: {}",
        repeated.size(), first_names(repeated));
  }
  return pictures;
}

std::unique_ptr<CaptionOutput> output_of(const MakeCaptionsOptions& options,
                                         const std::vector<CaptionedPicture>& pictures) {
  if (options.output_path) {
    return caption_metadata({*options.output_path, options.in_json, options.overwrite});
  }
  std::set<fs::path> folders;
  for (const CaptionedPicture& one : pictures) folders.insert(one.picture.parent_path());
  for (const fs::path& folder : folders) {
    remove_stale_temporaries(folder.empty() ? fs::path(".") : folder);
  }
  return caption_files(options.caption_extension);
}

// Processes of one machine share its GPUs.
at::Device device_of_process(const std::string& name) {
  const at::Device device = choose_device(name);
  if (!device.is_cuda()) return device;
  const auto count = static_cast<int>(std::max<size_t>(at::getNumGPUs(), 1));
  return {at::kCUDA, static_cast<c10::DeviceIndex>(rank_from_environment().local_rank % count)};
}

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
  captioner.device = device_of_process(options.device);
  captioner.type =
      choose_precision({.mixed_precision = options.mixed_precision}, captioner.device).compute;
  return captioner;
}

int reader_threads(const MakeCaptionsOptions& options) {
  const int64_t cores = std::max(std::thread::hardware_concurrency(), 1u);
  const int64_t asked = options.max_data_loader_n_workers.value_or(cores);
  return static_cast<int>(std::clamp<int64_t>(asked, 1, 256));
}

std::vector<CaptionWork> work_of(const std::vector<CaptionedPicture>& pictures,
                                 const MakeCaptionsOptions& options, const CaptionOutput& output) {
  const bool has_all_to_do = options.overwrite && !options.output_path;
  std::vector<CaptionWork> work;
  for (const CaptionedPicture& one : pictures) {
    work.push_back({one.picture, !has_all_to_do && output.has(one)});
  }
  return work;
}

// With the captioner, which is read for this alone.
CaptionReport write_captions(const std::vector<CaptionedPicture>& pictures,
                             const MakeCaptionsOptions& options, CaptionOutput& output) {
  const std::vector<CaptionWork> work = work_of(pictures, options, output);
  const auto is_done = [](const CaptionWork& one) { return one.done; };
  if (std::all_of(work.begin(), work.end(), is_done)) {
    return {.done_before = static_cast<int64_t>(work.size())};
  }
  const BlipCaptioner blip(captioner_options(options));
  const Captioner captioner{
      .prepare = [&](const Image& image) { return blip_square(image, blip.image_size()); },
      .write = [&](std::span<const ReadyPicture> ready) { return blip.write(ready); }};
  const CaptionSink sink{
      .keep =
          [&](size_t place, const std::string& caption) {
            output.keep(pictures[place], caption);
            if (options.debug) log_info("{}: {}", pictures[place].picture.string(), caption);
          },
      .fail = [&](size_t place,
                  const std::string& reason) { output.fail(pictures[place], reason); }};
  return caption_pictures(work, captioner,
                          {.batch_size = options.batch_size,
                           .threads = reader_threads(options),
                           .rank = rank_from_environment()},
                          sink);
}

}  // namespace

int run_caption(std::span<const std::string> args) {
  MakeCaptionsOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  validate(options);
  install_stop_signals();
  const std::vector<CaptionedPicture> pictures = without_repeated(
      options.in_json ? pictures_in_metadata(options) : pictures_in_folder(options), options);
  const std::unique_ptr<CaptionOutput> output = output_of(options, pictures);
  const CaptionReport report = write_captions(pictures, options, *output);
  const bool is_whole = output->finish(pictures);
  log_info("wrote {} captions; {} pictures had one already, {} could not be read", report.captioned,
           report.done_before, report.failed);
  if (stop_signal() != 0) {
    log_info("stopped; what was written is kept, and the same command goes on from there");
    return 128 + stop_signal();
  }
  if (!is_whole) log_info("the last process to end writes {}", options.output_path->string());
  return report.failed > 0 ? 1 : 0;
}

}  // namespace sdtune
