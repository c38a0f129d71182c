#include "commands/sample_plan.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/philox.h"
#include "generate/dynamic_prompt.h"
#include "generate/prompt_file.h"
#include "generate/prompt_line.h"
#include "image/decode.h"
#include "image/png_text.h"
#include "image/resize.h"

namespace sdtune {

namespace {

constexpr int kStartStep = 32;  // sides of pictures to start from are cut to multiples of it
constexpr int kLeastSide = 64, kGreatestSide = 8192;

// The picture, or those of the folder by name.
std::vector<fs::path> pictures_at(const std::optional<fs::path>& path) {
  if (!path) return {};
  if (!fs::is_directory(*path)) return {*path};
  std::vector<fs::path> pictures;
  for (const fs::directory_entry& entry : fs::directory_iterator(*path)) {
    if (entry.is_regular_file() && is_image_name(entry.path())) pictures.push_back(entry.path());
  }
  if (pictures.empty()) throw Error("the folder has no pictures", path->string());
  std::sort(pictures.begin(), pictures.end());
  return pictures;
}

std::vector<NumberedLine> lines_of(const PromptInputOptions& input) {
  if (input.prompt) return {{*input.prompt, "--prompt"}};
  if (!input.from_file) return {};
  std::vector<NumberedLine> lines = read_prompt_lines(*input.from_file);
  if (lines.empty()) {
    throw UsageError("there are no prompts", input.from_file->string(),
                     "write one prompt in each line");
  }
  return lines;
}

// Braces in what was drawn from are text: the choices have been made.
std::string with_text_braces(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '{' || c == '}') result += '\\';
    result += c;
  }
  return result;
}

// What the picture was drawn from, by its PNG file, as a line.
std::string line_in(const fs::path& picture) {
  std::string prompt, negative;
  for (const auto& [keyword, text] : read_png_text(MappedFile(picture).bytes())) {
    if (keyword == "prompt") prompt = text;
    if (keyword == "negative-prompt") negative = text;
  }
  if (prompt.empty()) {
    throw UsageError("there is no prompt, and none in the picture", picture.string(),
                     "give --prompt or --from_file");
  }
  return with_text_braces(negative.empty() ? prompt : prompt + " --n " + negative);
}

std::shared_ptr<const Image> read_start(const fs::path& path, const PictureRequest& request) {
  if (path.empty()) return nullptr;
  return std::make_shared<const Image>(resize(decode_image(path), request.width / 8 * 8,
                                              request.height / 8 * 8, Interpolation::kLanczos));
}

int cut_side(int side) {
  return std::clamp(side / kStartStep * kStartStep, kLeastSide, kGreatestSide);
}

}  // namespace

SamplePlan::SamplePlan(const SampleOptions& options, uint64_t seed)
    : options_(options), seed_(seed) {
  const std::vector<fs::path> starts = pictures_at(options.start.image_path);
  const std::vector<fs::path> masks = pictures_at(options.start.mask_path);
  std::vector<NumberedLine> lines = lines_of(options.input);
  if (lines.empty()) {
    for (const fs::path& start : starts) lines.push_back({line_in(start), start.string()});
  }
  // Each prompt and each picture has its turn at least once.
  for (size_t i = 0; i < std::max(lines.size(), starts.size()); ++i) {
    const NumberedLine& line = lines[i % lines.size()];
    entries_.push_back({line.text, line.place, starts.empty() ? "" : starts[i % starts.size()],
                        masks.empty() ? "" : masks[i % masks.size()]});
  }
}

SamplePlan::Texts SamplePlan::texts_of(const Entry& entry, int64_t round, size_t row) const {
  Texts texts;
  for (int64_t i = 0; i < options_.input.images_per_prompt; ++i) {
    Random random(seed_, Draw::kPrompt, static_cast<uint64_t>(round), row,
                  static_cast<uint64_t>(i));
    std::vector<std::string> some = expand_dynamic_prompt(entry.line, random);
    if (some.size() > 1) return {std::move(some), true};
    texts.all.push_back(std::move(some[0]));
  }
  return texts;
}

PictureRequest SamplePlan::defaults_for(const Entry& entry) const {
  PictureRequest request;
  request.steps = options_.steps;
  request.scale = options_.scale;
  request.negative_scale = options_.negative_scale;
  request.sampler = options_.sampler;
  request.strength = options_.start.strength;
  if (!entry.start.empty() && !(options_.W && options_.H)) {
    const Size size = image_size(entry.start);
    request.width = cut_side(size.width);
    request.height = cut_side(size.height);
  }
  request.width = options_.W.value_or(request.width);
  request.height = options_.H.value_or(request.height);
  return request;
}

// A run of one picture has the seed that was given.
uint64_t SamplePlan::seed_for(int64_t round) const {
  const PromptInputOptions& input = options_.input;
  if (options_.input.seed && entries_.size() * input.images_per_prompt * input.n_iter == 1) {
    return seed_;
  }
  const int64_t number = input.iter_same_seed ? round : drawn_;
  return drawn_seed(seed_, static_cast<uint64_t>(number));
}

void SamplePlan::add(const Entry& entry, int64_t round, size_t row,
                     std::vector<PlannedPicture>& all) {
  const PictureRequest defaults = defaults_for(entry);
  const Texts texts = texts_of(entry, round, row);
  std::shared_ptr<const Image> start, mask;
  for (size_t i = 0; i < texts.all.size(); ++i) {
    const std::string& text = texts.all[i];
    const PromptLine line = parse_prompt_line(text, defaults, entry.place);
    PlannedPicture picture{line.request, text == entry.line ? "" : entry.line, line.file_name, row};
    if (texts.are_enumerated && i > 0) {
      picture.request.seed = all.back().request.seed;
    } else {
      picture.request.seed = i < line.seeds.size() ? line.seeds[i] : seed_for(round);
    }
    if (!start) start = read_start(entry.start, line.request);
    if (!mask) mask = read_start(entry.mask, line.request);
    picture.request.start = start;
    picture.request.mask = mask;
    if (options_.use_original_file_name && !entry.start.empty() && picture.file_name.empty()) {
      picture.file_name = entry.start.stem().string();
    }
    all.push_back(std::move(picture));
    ++drawn_;
  }
}

std::vector<PlannedPicture> SamplePlan::round(int64_t number) {
  std::vector<size_t> order(entries_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  if (options_.input.shuffle_prompts) {
    Random(seed_, Draw::kPrompt, static_cast<uint64_t>(number)).shuffle(order);
  }
  std::vector<PlannedPicture> all;
  for (const size_t row : order) add(entries_[row], number, row, all);
  return all;
}

}  // namespace sdtune
