#include "data/doctor_captions.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>

#include "base/philox.h"
#include "data/doctor_work.h"
#include "text/prompt_weights.h"
#include "text/python_unicode.h"
#include "text/split.h"
#include "text/token_chunks.h"
#include "text/white_space.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;

constexpr int kWildcardDraws = 16;
constexpr size_t kLongestTag = 40;  // bytes; longer parts are sentences, whose spelling is free
constexpr size_t kTagsShown = 3;

// The rules that leave a caption whole, so that its longest form is seen.
CaptionOptions without_drops(CaptionOptions options) {
  options.shuffle_caption = false;
  options.token_warmup_step = 0;
  options.caption_dropout_rate = 0;
  options.caption_dropout_every_n_epochs = 0;
  options.caption_tag_dropout_rate = 0;
  return options;
}

void count_picture(const ClipTokenizer& tokenizer, const CaptionOptions& rules,
                   const DoctorOptions& options, CheckedPicture& picture) {
  const std::string composed = compose_caption(picture.sample.caption, picture.sample.tags, rules);
  const CaptionOptions whole = without_drops(rules);
  const int draws = is_constant(composed, whole) ? 1 : kWildcardDraws;
  for (int i = 0; i < draws; ++i) {
    Random random(static_cast<uint64_t>(i), Draw::kCaption);
    std::string caption = draw_caption(composed, whole, {}, random);
    const int64_t tokens = caption_tokens(tokenizer, caption, options);
    if (i > 0 && tokens <= picture.tokens) continue;
    picture.tokens = tokens;
    picture.caption = std::move(caption);
  }
}

// For a picture without any text: whether its caption file is there, but empty.
bool has_caption_file(const CheckedPicture& picture, const SubsetOptions& subset) {
  if (!subset.metadata_file.empty()) return false;
  fs::path file = picture.sample.image;
  std::error_code ignored;
  return fs::is_regular_file(file.replace_extension() += subset.caption_extension, ignored);
}

void note_missing(size_t index, const SubsetOptions& subset, Diagnosis& diagnosis) {
  const CheckedPicture& picture = diagnosis.pictures[index];
  const bool is_empty = has_caption_file(picture, subset);
  const std::string expected = picture.sample.image.stem().string() + subset.caption_extension;
  const std::string detail = is_empty                       ? expected + " is empty"
                             : subset.metadata_file.empty() ? "there is no " + expected
                                                            : "no caption and no tags";
  diagnosis.findings.push_back(
      {is_empty ? FindingKind::kEmptyCaption : FindingKind::kMissingCaption,
       picture.name,
       detail,
       {index}});
}

void note_picture(size_t index, const SubsetOptions& subset, const DoctorOptions& options,
                  Diagnosis& diagnosis) {
  const CheckedPicture& picture = diagnosis.pictures[index];
  const Sample& sample = picture.sample;
  if (strip(sample.caption).empty() && strip(sample.tags).empty()) {
    note_missing(index, subset, diagnosis);
    return;
  }
  const auto add = [&](FindingKind kind, const std::string& detail) {
    diagnosis.findings.push_back({kind, picture.name, detail, {index}});
  };
  if (picture.tokens > options.max_token_length) {
    add(FindingKind::kLongCaption,
        fmt::format("{} tokens, the last {} are cut off (--max_token_length={})", picture.tokens,
                    picture.tokens - options.max_token_length, options.max_token_length));
  }
  const auto oddities =
      caption_oddities(sample.caption, sample.tags, subset.caption, options.weighted_captions);
  if (!oddities.empty()) {
    add(FindingKind::kOddTags, fmt::format("{}", fmt::join(oddities, "; ")));
  }
}

std::vector<std::string> tags_of(const std::string& text, const CaptionOptions& options) {
  std::vector<std::string> tags;
  for (const std::string_view part : split(text, options.caption_separator)) {
    tags.emplace_back(strip(part));
  }
  return tags;
}

std::string lowered(const std::string& text) { return encode_utf8(lower(decode_utf8(text))); }

// What two spellings of one tag have in common.
std::string plain_spelling(std::string tag) {
  std::replace(tag.begin(), tag.end(), '_', ' ');
  return lowered(tag);
}

void check_spellings(const std::vector<SubsetOptions>& subsets, Diagnosis& diagnosis) {
  std::unordered_map<std::string, std::map<std::string, int64_t>> spellings;
  for (const CheckedPicture& picture : diagnosis.pictures) {
    const CaptionOptions& options = subsets[picture.subset].caption;
    const auto tags =
        tags_of(compose_caption(picture.sample.caption, picture.sample.tags, options), options);
    if (tags.size() < 2) continue;
    for (const std::string& tag : tags) {
      if (!tag.empty() && tag.size() <= kLongestTag) ++spellings[plain_spelling(tag)][tag];
    }
  }
  std::map<std::string, std::string> odd;  // in the alphabet's order
  for (const auto& [plain, counts] : spellings) {
    if (counts.size() < 2) continue;
    std::vector<std::string> shown;
    for (const auto& [tag, count] : counts) shown.push_back(fmt::format("\"{}\" x {}", tag, count));
    odd[plain] = fmt::format("{}", fmt::join(shown, ", "));
  }
  for (const auto& [plain, shown] : odd) {
    diagnosis.findings.push_back({FindingKind::kTagSpelling, plain, shown, {}});
  }
}

bool has_entity(std::string_view text) {
  static constexpr std::array kEntities = {"&amp;", "&lt;", "&gt;", "&quot;", "&nbsp;", "&#"};
  return std::any_of(kEntities.begin(), kEntities.end(),
                     [text](const char* entity) { return text.find(entity) != text.npos; });
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f;
  });
}

// "(words:1.2)"
bool has_weight(std::string_view text) {
  for (size_t colon = text.find(':'); colon != text.npos; colon = text.find(':', colon + 1)) {
    const size_t end = text.find_first_not_of("0123456789.", colon + 1);
    if (end == text.npos || end == colon + 1 || text[end] != ')') continue;
    if (text.rfind('(', colon) != text.npos) return true;
  }
  return false;
}

// "{a|b}"
bool has_wildcard(std::string_view text) {
  const size_t open = text.find('{');
  if (open == text.npos) return false;
  const size_t close = text.find('}', open);
  return close != text.npos && text.substr(open, close - open).find('|') != std::string_view::npos;
}

void add_tag_oddities(const std::string& line, const CaptionOptions& options,
                      std::vector<std::string>& oddities) {
  const std::vector<std::string> tags = tags_of(line, options);
  if (tags.size() > 1 &&
      std::any_of(tags.begin(), tags.end(), [](const std::string& tag) { return tag.empty(); })) {
    oddities.emplace_back("an empty tag");
  }
  std::map<std::string, int> counts;
  std::vector<std::string> repeated;
  for (const std::string& tag : tags) {
    if (!tag.empty() && ++counts[lowered(tag)] == 2) repeated.push_back("\"" + tag + "\"");
  }
  if (repeated.empty()) return;
  const bool is_longer = repeated.size() > kTagsShown;
  if (is_longer) repeated.resize(kTagsShown);
  oddities.push_back(
      fmt::format("more than once: {}{}", fmt::join(repeated, ", "), is_longer ? ", …" : ""));
}

}  // namespace

int64_t caption_tokens(const ClipTokenizer& tokenizer, const std::string& caption,
                       const DoctorOptions& options) {
  if (!options.weighted_captions) return count_tokens(tokenizer, caption, options.family);
  int64_t tokens = 0;
  for (const WeightedText& piece : parse_prompt_weights(caption)) {
    tokens += count_tokens(tokenizer, piece.text, options.family);
  }
  return tokens;
}

std::vector<std::string> caption_oddities(const std::string& caption, const std::string& tags,
                                          const CaptionOptions& options, bool weighted_captions) {
  std::vector<std::string> oddities;
  std::string whole = caption;
  if (!caption.empty() && !tags.empty()) whole += options.caption_separator;
  whole += tags;
  const auto lines = std::count(whole.begin(), whole.end(), '\n') + 1;
  if (!options.enable_wildcard && lines > 1) {
    oddities.push_back(fmt::format("{} lines, of which only the first is used", lines));
  }
  if (has_control_character(whole)) oddities.emplace_back("a control character");
  if (whole.find("\xef\xbf\xbd") != whole.npos) {
    oddities.emplace_back("characters that were lost in another encoding (U+FFFD)");
  }
  if (has_entity(whole)) oddities.emplace_back("an entity of HTML, as &amp;");
  if (!options.enable_wildcard && has_wildcard(whole)) {
    oddities.emplace_back("{…|…}, but --enable_wildcard is not given");
  }
  if (!weighted_captions && has_weight(whole)) {
    oddities.emplace_back("(…:number), but --weighted_captions is not given");
  }
  add_tag_oddities(whole, options, oddities);
  return oddities;
}

void check_captions(const std::vector<SubsetOptions>& subsets, const DoctorOptions& options,
                    Diagnosis& diagnosis) {
  const ClipTokenizer tokenizer;
  std::vector<CheckedPicture>& pictures = diagnosis.pictures;
  work_through(pictures.size(), {.label = "counting tokens", .threads = options.threads},
               [&](size_t i) {
                 const CaptionOptions& rules = subsets[pictures[i].subset].caption;
                 count_picture(tokenizer, rules, options, pictures[i]);
               });
  for (size_t i = 0; i < pictures.size(); ++i) {
    const int64_t tokens = pictures[i].tokens;
    ++diagnosis.caption_lengths[tokens <= 75 ? 0 : tokens <= 150 ? 1 : tokens <= 225 ? 2 : 3];
    const CheckedPicture& first = pictures[pictures[i].first];
    if (pictures[i].first != i && first.caption == pictures[i].caption) continue;
    note_picture(i, subsets[pictures[i].subset], options, diagnosis);
  }
  check_spellings(subsets, diagnosis);
}

}  // namespace sdtune
