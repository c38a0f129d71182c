#include "text/clip_vocabulary.h"

namespace sdtune {

std::vector<std::string> clip_token_texts() {
  std::vector<std::string> texts;
  texts.reserve(kClipVocabularySize);
  for (const std::string& text : clip_byte_texts()) texts.push_back(text);
  for (int id = 0; id < kEndOfWordOffset; ++id) texts.push_back(texts[id] + kEndOfWord);
  for (const ClipMerge& merge : kClipMerges)
    texts.push_back(texts[merge.left] + texts[merge.right]);
  texts.push_back("<|startoftext|>");
  texts.push_back("<|endoftext|>");
  return texts;
}

std::string vocab_json() {
  const std::vector<std::string> texts = clip_token_texts();
  std::string json = "{";
  for (size_t id = 0; id < texts.size(); ++id) {
    json += id == 0 ? "\"" : ", \"";
    for (const char c : texts[id]) {
      if (c == '"' || c == '\\') json += '\\';
      json += c;
    }
    json += "\": " + std::to_string(id);
  }
  return json + "}\n";
}

std::string merges_text() {
  const std::vector<std::string> texts = clip_token_texts();
  std::string text = "#version: 0.2\n";
  for (const ClipMerge& merge : kClipMerges) {
    text += texts[merge.left] + " " + texts[merge.right] + "\n";
  }
  return text;
}

}  // namespace sdtune
