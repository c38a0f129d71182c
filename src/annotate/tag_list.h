// The tags that a tagger knows, in the order of its scores, as the files beside it name them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sdtune {

enum class TagKind { kRating, kGeneral, kCharacter, kCopyright, kArtist, kMeta, kModel, kQuality };

struct Tag {
  std::string name;
  TagKind kind = TagKind::kGeneral;
};

// selected_tags.csv of the WD14 family: a head with tag_id,name,category,count, then a line for
// each score. Categories are Danbooru's numbers, and 9 for ratings. Error naming the line.
std::vector<Tag> read_selected_tags(const std::filesystem::path& path);

// tag_mapping.json: {"0": {"tag": "1girl", "category": "General"}, …}, each number from 0 on once.
// Error naming the number.
std::vector<Tag> read_tag_mapping(const std::filesystem::path& path);

// tags.txt of DeepDanbooru: a tag on each line; ratings begin with "rating:".
std::vector<Tag> read_danbooru_tags(const std::filesystem::path& path);

}  // namespace sdtune
