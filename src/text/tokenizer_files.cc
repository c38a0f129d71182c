#include "text/tokenizer_files.h"

#include <fmt/format.h>

#include "text/clip_vocabulary.h"

namespace sdtune {

std::vector<std::pair<std::string, std::string>> tokenizer_files(TextFamily family) {
  const char* pad = family == TextFamily::kV2 ? "!" : "<|endoftext|>";
  const std::string special = fmt::format(
      R"("bos_token": "<|startoftext|>",
  "eos_token": "<|endoftext|>",
  "pad_token": "{}",
  "unk_token": "<|endoftext|>")",
      pad);
  return {
      {"tokenizer/vocab.json", vocab_json()},
      {"tokenizer/merges.txt", merges_text()},
      {"tokenizer/special_tokens_map.json", fmt::format("{{\n  {}\n}}\n", special)},
      {"tokenizer/tokenizer_config.json",
       fmt::format("{{\n  {},\n  \"do_lower_case\": true,\n  \"model_max_length\": 77,\n"
                   "  \"tokenizer_class\": \"CLIPTokenizer\"\n}}\n",
                   special)},
  };
}

}  // namespace sdtune
