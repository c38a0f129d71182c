// From scores to the words that are written for a picture: thresholds, names, order. The order is
// that of sd-scripts' tag_images_by_wd14_tagger.py; what scores the pictures is onnx_model.h's.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "annotate/tag_list.h"

namespace sdtune {

enum class TagPlace { kLeftOut, kFirst, kLast };

struct TagRules {
  std::map<TagKind, float> thresholds;  // least score of each kind but ratings and qualities
  std::string separator = ", ";
  bool by_score = false;  // highest first, instead of the list's order
  bool remove_underscore = false;
  bool expand_characters = false;  // "name_(series)" becomes name, separator, series
  bool characters_first = false;
  TagPlace rating = TagPlace::kLeftOut;  // the likeliest one
  TagPlace quality = TagPlace::kLeftOut;
  std::vector<std::pair<std::string, std::string>> replacements;  // names as they are written
  std::set<std::string> undesired;
  std::vector<std::string> always_first;
};

// "a,b;c,d" with "\," and "\;" for what belongs to a name. UsageError for anything else.
std::vector<std::pair<std::string, std::string>> parse_replacements(const std::string& text);

// The tags of a list with separators between, without white space at their ends and empty ones.
std::vector<std::string> listed_tags(const std::string& text, const std::string& separator);

// Every tag under the name by which it is written.
class TagWriter {
 public:
  TagWriter(std::vector<Tag> tags, TagRules rules);

  size_t size() const { return tags_.size(); }

  // The tags of a picture with these scores, one for each of the list. A score equal to the
  // threshold is enough. What comes first is put there one by one, so of several characters, and of
  // several names of always_first, the last one leads. No tag comes twice.
  std::vector<std::string> tags_of(std::span<const float> scores) const;

  // Names of replacements that no tag of the list has.
  std::vector<std::string> unused_replacements() const { return unused_; }

 private:
  void add_best(TagKind kind, TagPlace place, std::span<const float> scores,
                std::vector<std::string>& chosen) const;

  std::vector<Tag> tags_;
  TagRules rules_;
  std::vector<std::string> unused_;
};

}  // namespace sdtune
