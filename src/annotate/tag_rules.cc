#include "annotate/tag_rules.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "text/split.h"
#include "text/white_space.h"

namespace sdtune {
namespace {

constexpr size_t kLongestEmoticon = 3;  // characters, as in ^_^

size_t characters(std::string_view utf8) {
  return static_cast<size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

std::string without_underscores(std::string name) {
  if (characters(name) > kLongestEmoticon) std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

// name_(costume)_(series) is of a series; the costume belongs to the name.
std::string expanded(const std::string& name, const std::string& separator) {
  const size_t open = name.rfind('(');
  if (!name.ends_with(')') || open == std::string::npos || open == 0) return name;
  std::string character = name.substr(0, open);
  if (character.ends_with('_')) character.pop_back();
  return character + separator + name.substr(open + 1, name.size() - open - 2);
}

void put_first(std::vector<std::string>& tags, const std::string& tag) {
  tags.insert(tags.begin(), tag);
}

[[noreturn]] void refuse_replacement(const std::string& part) {
  throw UsageError(fmt::format("'{}' is not a tag, a comma and a tag", part), "--tag_replacement",
                   R"(write old,new;old,new with \, and \; for what belongs to a tag)");
}

}  // namespace

std::vector<std::pair<std::string, std::string>> parse_replacements(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> replacements;
  std::vector<std::string> names(1);
  const auto close = [&] {
    if (names.size() == 1 && names[0].empty()) return;
    if (names.size() != 2 || names[0].empty())
      refuse_replacement(fmt::format("{}", fmt::join(names, ",")));
    replacements.emplace_back(names[0], names[1]);
    names.assign(1, "");
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_escape =
        text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == ',' || text[i + 1] == ';');
    if (is_escape) {
      names.back() += text[++i];
    } else if (text[i] == ',') {
      names.emplace_back();
    } else if (text[i] == ';') {
      close();
    } else {
      names.back() += text[i];
    }
  }
  close();
  return replacements;
}

std::vector<std::string> listed_tags(const std::string& text, const std::string& separator) {
  std::vector<std::string> tags;
  const std::string_view bare = strip(separator);
  for (const std::string_view part : split(text, bare.empty() ? separator : bare)) {
    if (const std::string_view tag = strip(part); !tag.empty()) tags.emplace_back(tag);
  }
  return tags;
}

TagWriter::TagWriter(std::vector<Tag> tags, TagRules rules)
    : tags_(std::move(tags)), rules_(std::move(rules)) {
  std::map<std::string, std::string> replaced(rules_.replacements.begin(),
                                              rules_.replacements.end());
  std::set<std::string> found;
  for (Tag& tag : tags_) {
    if (rules_.expand_characters && tag.kind == TagKind::kCharacter) {
      tag.name = expanded(tag.name, rules_.separator);
    }
    if (rules_.remove_underscore) tag.name = without_underscores(std::move(tag.name));
    if (const auto other = replaced.find(tag.name); other != replaced.end()) {
      found.insert(tag.name);
      tag.name = other->second;
    }
  }
  for (const auto& [name, unused] : rules_.replacements) {
    if (!found.contains(name)) unused_.push_back(name);
  }
}

void TagWriter::add_best(TagKind kind, TagPlace place, std::span<const float> scores,
                         std::vector<std::string>& chosen) const {
  if (place == TagPlace::kLeftOut) return;
  std::optional<size_t> best;
  for (size_t i = 0; i < tags_.size(); ++i) {
    if (tags_[i].kind == kind && (!best || scores[i] > scores[*best])) best = i;
  }
  if (!best || tags_[*best].name.empty() || rules_.undesired.contains(tags_[*best].name)) return;
  const std::string& name = tags_[*best].name;
  std::erase(chosen, name);
  chosen.insert(place == TagPlace::kFirst ? chosen.begin() : chosen.end(), name);
}

std::vector<std::string> TagWriter::tags_of(std::span<const float> scores) const {
  std::vector<size_t> order(tags_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (rules_.by_score) {
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  }
  std::vector<std::string> chosen;
  std::set<std::string> seen;
  for (const size_t i : order) {
    const auto threshold = rules_.thresholds.find(tags_[i].kind);
    if (threshold == rules_.thresholds.end() || !(scores[i] >= threshold->second)) continue;
    const std::string& name = tags_[i].name;
    if (name.empty() || rules_.undesired.contains(name) || !seen.insert(name).second) continue;
    const bool is_first = rules_.characters_first && tags_[i].kind == TagKind::kCharacter;
    chosen.insert(is_first ? chosen.begin() : chosen.end(), name);
  }
  add_best(TagKind::kQuality, rules_.quality, scores, chosen);
  add_best(TagKind::kRating, rules_.rating, scores, chosen);
  for (const std::string& name : rules_.always_first) {
    if (std::erase(chosen, name) > 0) put_first(chosen, name);
  }
  return chosen;
}

}  // namespace sdtune
