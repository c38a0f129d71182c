#include "text/word_piece_files.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "text/split.h"

namespace sdtune {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxBytes = 32 << 20;
constexpr size_t kMaxPieces = 1 << 22;
constexpr std::array<std::string_view, 7> kSpecial = {"[PAD]",  "[UNK]", "[CLS]", "[SEP]",
                                                      "[MASK]", "[DEC]", "[ENC]"};
constexpr const char* kWanted = "Give a vocab.txt or a tokenizer.json of a BERT tokenizer.";

[[noreturn]] void refuse(const std::string& what, const fs::path& file) {
  throw Error(what, file.string(), kWanted);
}

WordPieces read_text_vocabulary(const fs::path& file) {
  const std::string text = read_file(file, kMaxBytes);
  WordPieces words;
  words.tidy_text = true;  // BertTokenizer's own default
  for (std::string_view piece : split(text, "\n")) {
    if (piece.ends_with('\r')) piece.remove_suffix(1);
    if (words.pieces.size() == kMaxPieces) refuse("the vocabulary is too long", file);
    if (std::find(kSpecial.begin(), kSpecial.end(), piece) != kSpecial.end()) {
      words.special.push_back(static_cast<int64_t>(words.pieces.size()));
    }
    words.pieces.emplace_back(piece);
  }
  return words;
}

Json parse_object(const fs::path& file) {
  Json json = Json::parse(read_file(file, kMaxBytes), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) refuse("the file is no JSON object", file);
  return json;
}

// The flag at `key` of the object at `section`; `fallback` where there is none.
bool flag(const Json& json, const char* section, const char* key, bool fallback) {
  const auto part = json.find(section);
  if (part == json.end() || !part->is_object()) return fallback;
  const auto value = part->find(key);
  return value != part->end() && value->is_boolean() ? value->get<bool>() : fallback;
}

void put(WordPieces& words, const std::string& piece, const Json& id, const fs::path& file) {
  if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMaxPieces) {
    refuse("the id of \"" + piece + "\" is no small number", file);
  }
  const auto place = id.get<size_t>();
  if (place >= words.pieces.size()) words.pieces.resize(place + 1);
  words.pieces[place] = piece;
}

void put_added(WordPieces& words, const Json& added, const fs::path& file) {
  for (const Json& token : added) {
    const bool is_whole = token.is_object() && token.contains("id") && token.contains("content") &&
                          token["content"].is_string();
    if (!is_whole) refuse("an entry of \"added_tokens\" has no id or no text", file);
    put(words, token["content"].get<std::string>(), token["id"], file);
    const auto special = token.find("special");
    if (special != token.end() && special->is_boolean() && special->get<bool>()) {
      words.special.push_back(token["id"].get<int64_t>());
    }
  }
}

WordPieces read_json_vocabulary(const fs::path& file) {
  const Json json = parse_object(file);
  const auto model = json.find("model");
  const bool is_word_piece = model != json.end() && model->is_object() &&
                             model->value("type", Json("WordPiece")) == "WordPiece" &&
                             model->contains("vocab") && (*model)["vocab"].is_object();
  if (!is_word_piece) refuse("the tokenizer is none of the WordPiece kind", file);
  WordPieces words;
  for (const auto& [piece, id] : (*model)["vocab"].items()) put(words, piece, id, file);
  const auto added = json.find("added_tokens");
  if (added != json.end() && added->is_array()) put_added(words, *added, file);
  words.lower_case = flag(json, "normalizer", "lowercase", true);
  words.tidy_pieces = flag(json, "decoder", "cleanup", false);
  return words;
}

void heed_settings(WordPieces& words, const fs::path& file) {
  if (!fs::is_regular_file(file)) return;
  const Json json = parse_object(file);
  const auto read = [&](const char* key, bool& value) {
    const auto found = json.find(key);
    if (found != json.end() && found->is_boolean()) value = found->get<bool>();
  };
  read("do_lower_case", words.lower_case);
  read("clean_up_tokenization_spaces", words.tidy_text);
}

}  // namespace

WordPieces read_word_pieces(const fs::path& path) {
  if (!fs::is_directory(path)) {
    return path.extension() == ".json" ? read_json_vocabulary(path) : read_text_vocabulary(path);
  }
  const fs::path json = path / "tokenizer.json";
  const fs::path text = path / "vocab.txt";
  if (!has_word_pieces(path)) refuse("the folder has neither tokenizer.json nor vocab.txt", path);
  WordPieces words =
      fs::is_regular_file(json) ? read_json_vocabulary(json) : read_text_vocabulary(text);
  heed_settings(words, path / "tokenizer_config.json");
  return words;
}

bool has_word_pieces(const fs::path& folder) {
  return fs::is_regular_file(folder / "tokenizer.json") ||
         fs::is_regular_file(folder / "vocab.txt");
}

}  // namespace sdtune
