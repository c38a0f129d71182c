// The 256 symbols that CLIP's byte-pair vocabulary starts from: one printable character for each
// byte, as in GPT-2. Shared by the program and by the build step that embeds the merges. Header
// only.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace sdtune {

inline constexpr int kClipMergeCount = 49152 - 256 - 2;
// Ids: the bytes, the bytes that end a word, the merges, <|startoftext|>, <|endoftext|>.
inline constexpr int kFirstMergeId = 512;
inline constexpr int kEndOfWordOffset = 256;
inline constexpr const char* kEndOfWord = "</w>";

struct ClipAlphabet {
  std::array<uint16_t, 256> id_of_byte;         // a byte's id within the vocabulary, 0..255
  std::array<uint16_t, 256> character_of_byte;  // the character that stands for it in the files
};

// Printable bytes stand for themselves and come first; the others follow as U+0100 and up.
constexpr ClipAlphabet make_clip_alphabet() {
  ClipAlphabet alphabet{};
  const auto printable = [](int byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
  };
  uint16_t id = 0;
  for (int byte = 0; byte < 256; ++byte) {
    if (!printable(byte)) continue;
    alphabet.id_of_byte[byte] = id++;
    alphabet.character_of_byte[byte] = static_cast<uint16_t>(byte);
  }
  uint16_t substitute = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    if (printable(byte)) continue;
    alphabet.id_of_byte[byte] = id++;
    alphabet.character_of_byte[byte] = substitute++;
  }
  return alphabet;
}

inline constexpr ClipAlphabet kClipAlphabet = make_clip_alphabet();

// The texts of ids 0..255, in UTF-8.
inline std::array<std::string, 256> clip_byte_texts() {
  std::array<std::string, 256> texts;
  for (int byte = 0; byte < 256; ++byte) {
    const uint16_t character = kClipAlphabet.character_of_byte[byte];
    std::string& text = texts[kClipAlphabet.id_of_byte[byte]];
    if (character < 0x80) {
      text = static_cast<char>(character);
    } else {
      text = {static_cast<char>(0xC0 | character >> 6),
              static_cast<char>(0x80 | (character & 0x3F))};
    }
  }
  return texts;
}

}  // namespace sdtune
