#include "generate/prompt_line.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/log.h"
#include "options/option_table.h"
#include "text/split.h"
#include "text/white_space.h"

namespace sdtune {

namespace {

// sd-scripts' options for SDXL, ControlNet, Deep Shrink, gradual latents and LoRA networks.
constexpr std::array<std::string_view, 24> kNotHere = {
    "am",   "c",    "cn",   "ow",   "oh",  "nw",  "nh",  "ct",  "cl",  "g",    "ctr",  "rcfg",
    "dsd1", "dst1", "dsd2", "dst2", "dsr", "glt", "glr", "gle", "gls", "glsn", "glus", "fs"};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

void warn_about(const std::string& name, const std::string& place) {
  if (std::find(kNotHere.begin(), kNotHere.end(), name) != kNotHere.end()) {
    log_warning("{}: --{} is passed over, what it is for is not built here", place, name);
  } else {
    log_warning("{}: there is no option --{} for a prompt, it is passed over", place, name);
  }
}

}  // namespace

PromptLine parse_prompt_line(std::string_view line, const PictureRequest& defaults,
                             const std::string& place) {
  PromptLine result;
  result.request = defaults;
  OptionTable table = describe(result);
  // A line may begin with an option: its prompt is empty.
  std::string text(1, ' ');
  text += strip(line);
  const std::vector<std::string_view> parts = split(text, " --");
  result.request.prompt = strip(parts[0]);
  for (size_t i = 1; i < parts.size(); ++i) {
    const size_t end = std::min(parts[i].find(' '), parts[i].size());
    const std::string name = lower(parts[i].substr(0, end));
    const std::string value(strip(parts[i].substr(end)));
    const Option* option = name == "prompt" ? nullptr : table.find(name);
    if (!option) {
      warn_about(name, place);
    } else if (option->name == "seed") {
      for (const std::string_view seed : split(value, ",")) {
        const OptionValue number = parse_value(*option, std::string(strip(seed)), place);
        result.seeds.push_back(static_cast<uint64_t>(std::get<int64_t>(number)));
      }
    } else if (option->name == "negative_scale" && lower(value) == "none") {
      result.request.negative_scale.reset();
    } else {
      option->set(parse_value(*option, value, place));
    }
  }
  return result;
}

}  // namespace sdtune
