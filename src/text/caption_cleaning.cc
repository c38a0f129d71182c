#include "text/caption_cleaning.h"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <vector>

#include "text/python_unicode.h"
#include "text/split.h"
#include "text/white_space.h"

namespace sdtune {
namespace {

constexpr std::string_view kHairOrnament = "hair ornament";

using TagList = std::vector<std::string_view>;
using IsOfKind = bool (*)(std::string_view tag);

// Letters, digits, "_" and "-", at least one.
bool is_word(std::string_view text) {
  const std::u32string characters = decode_utf8(text);
  return !characters.empty() && std::all_of(characters.begin(), characters.end(), [](char32_t c) {
    const CharacterKind kind = character_kind(c);
    return kind == CharacterKind::kLetter || kind == CharacterKind::kNumber || c == U'_' ||
           c == U'-';
  });
}

// "<word> hair" for " hair".
bool is_word_and(std::string_view tag, std::string_view ending) {
  return tag.ends_with(ending) && is_word(tag.substr(0, tag.size() - ending.size()));
}

template <size_t kCount>
bool is_one_of(std::string_view tag, const std::array<std::string_view, kCount>& tags) {
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

bool is_hair_length(std::string_view tag) {
  return is_one_of<3>(tag, {"long hair", "short hair", "medium hair"});
}

bool is_hair_cut(std::string_view tag) { return is_one_of<2>(tag, {"bob cut", "hime cut"}); }

bool is_eyes(std::string_view tag) { return is_word_and(tag, " eyes"); }

bool is_sleeves(std::string_view tag) {
  return tag == "sleeveless" || is_word_and(tag, " sleeves");
}

bool is_hairstyle(std::string_view tag) {
  return is_one_of<9>(tag, {"ponytail", "braid", "ahoge", "twintails", "single hair bun",
                            "single side bun", "two side up", "two tails", "sidelocks"}) ||
         is_word_and(tag, " bun") || is_word_and(tag, " braid");
}

// A length that all the people share is no contradiction and does not count.
bool is_hair_without_length(std::string_view tag) {
  return is_word_and(tag, " hair") && !is_hair_length(tag);
}

constexpr IsOfKind kKindsOfOnePerson[] = {is_hair_length, is_hair_cut,  is_eyes,
                                          is_sleeves,     is_hairstyle, is_hair_without_length};

std::string with_spaces_for_underscores(std::string_view tags) {
  constexpr std::string_view kFace = "^_^";
  std::string result;
  while (!tags.empty()) {
    if (tags.starts_with(kFace)) {
      result += kFace;
      tags.remove_prefix(kFace.size());
    } else {
      result += tags[0] == '_' ? ' ' : tags[0];
      tags.remove_prefix(1);
    }
  }
  return result;
}

TagList filled_tags(std::string_view text) {
  TagList tags = split(text, ",");
  for (std::string_view& tag : tags) tag = strip(tag);
  std::erase_if(tags, [](std::string_view tag) { return tag.empty(); });
  return tags;
}

// A rating that stands first is kept: without it nothing would be left.
void remove_rating_and_rest(TagList& tags) {
  if (tags.empty()) return;
  const auto is_rating = [](std::string_view tag) { return tag.starts_with("rating"); };
  tags.erase(std::find_if(tags.begin() + 1, tags.end(), is_rating), tags.end());
}

bool names_several_people(const TagList& tags) {
  return std::any_of(tags.begin(), tags.end(), [](std::string_view tag) {
    return tag.find("girls") != std::string_view::npos ||
           tag.find("boys") != std::string_view::npos;
  });
}

void remove_where_several(TagList& tags, IsOfKind is_of_kind) {
  if (std::count_if(tags.begin(), tags.end(), is_of_kind) > 1) std::erase_if(tags, is_of_kind);
}

// "shirt" beside "white shirt".
void remove_endings_of_longer_tags(TagList& tags) {
  std::unordered_set<std::string_view> endings;
  for (const std::string_view tag : tags) {
    const size_t space = tag.rfind(' ');
    if (space == std::string_view::npos) continue;
    endings.insert(tag.substr(space + 1));
    if (tag != kHairOrnament && tag.ends_with(" hair ornament")) endings.insert(kHairOrnament);
  }
  std::erase_if(tags, [&](std::string_view tag) {
    return endings.contains(tag) && (tag == kHairOrnament || is_word(tag));
  });
}

struct Replacement {
  std::string_view from;
  std::string_view to;
};

// In this order.
constexpr Replacement kReplacements[] = {
    {"anime anime", "anime"},
    {"young ", ""},
    {"anime girl", "girl"},
    {"cartoon female", "girl"},
    {"cartoon lady", "girl"},
    {"cartoon character", "girl"},
    {"cartoon woman", "girl"},
    {"cartoon women", "girls"},
    {"cartoon girl", "girl"},
    {"anime female", "girl"},
    {"anime lady", "girl"},
    {"anime character", "girl"},
    {"anime woman", "girl"},
    {"anime women", "girls"},
    {"lady", "girl"},
    {"female", "girl"},
    {"woman", "girl"},
    {"women", "girls"},
    {"people", "girls"},
    {"person", "girl"},
    {"a cartoon figure", "a figure"},
    {"a cartoon image", "an image"},
    {"a cartoon picture", "a picture"},
    {"a cartoon drawing", "a drawing"},
    {"an anime cartoon image", "an image"},
    {"a cartoon anime drawing", "a drawing"},
    {"girl girl", "girl"},
};

// What passes over the text until one changes nothing would give, in one pass: for these rules the
// order of replacements makes no difference, and passes could be as many as the text is long.
std::string replace_until_stable(std::string_view text, const Replacement& rule) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    result += c;
    while (result.ends_with(rule.from)) {
      result.resize(result.size() - rule.from.size());
      result += rule.to;
    }
  }
  return result;
}

}  // namespace

std::string clean_tags(std::string_view tags) {
  const std::string text = with_spaces_for_underscores(tags);
  TagList list = filled_tags(text);
  remove_rating_and_rest(list);
  if (names_several_people(list)) {
    for (const IsOfKind is_of_kind : kKindsOfOnePerson) remove_where_several(list, is_of_kind);
  }
  remove_endings_of_longer_tags(list);
  return join(list, ", ");
}

std::string clean_caption(std::string_view caption) {
  std::string text(caption);
  for (const Replacement& rule : kReplacements) text = replace_until_stable(text, rule);
  return text;
}

}  // namespace sdtune
