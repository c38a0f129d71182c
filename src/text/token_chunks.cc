#include "text/token_chunks.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"

namespace sdtune {
namespace {

// <|startoftext|>, the caption, <|endoftext|>, padding: max_token_length + 2 ids.
std::vector<int64_t> whole_sequence(const std::vector<int32_t>& caption, TextFamily family,
                                    int max_token_length) {
  std::vector<int64_t> ids(static_cast<size_t>(max_token_length) + 2, pad_id(family));
  const size_t kept = std::min(caption.size(), static_cast<size_t>(max_token_length));
  ids[0] = kBos;
  std::copy_n(caption.begin(), kept, ids.begin() + 1);
  ids[kept + 1] = kEos;
  return ids;
}

}  // namespace

std::vector<int64_t> token_chunks(const ClipTokenizer& tokenizer, std::string_view caption,
                                  TextFamily family, int max_token_length) {
  return token_chunks(tokenizer.encode(caption, family), family, max_token_length);
}

std::vector<int64_t> token_chunks(const std::vector<int32_t>& caption_ids, TextFamily family,
                                  int max_token_length) {
  if (max_token_length != 75 && max_token_length != 150 && max_token_length != 225) {
    throw UsageError(fmt::format("max_token_length is {}", max_token_length), "--max_token_length",
                     "use 75, 150 or 225");
  }
  const std::vector<int64_t> ids = whole_sequence(caption_ids, family, max_token_length);
  if (max_token_length == kChunkTokens) return ids;
  std::vector<int64_t> rows;
  for (int begin = 1; begin <= max_token_length; begin += kChunkTokens) {
    rows.push_back(kBos);
    rows.insert(rows.end(), ids.begin() + begin, ids.begin() + begin + kChunkTokens);
    rows.push_back(ids.back());
    if (family == TextFamily::kV1) continue;
    // 2.x pads with another id than it ends with: a row needs its own <|endoftext|>.
    int64_t* row = &rows[rows.size() - kChunkLength];
    const int64_t pad = pad_id(family);
    if (row[kChunkLength - 2] != kEos && row[kChunkLength - 2] != pad) row[kChunkLength - 1] = kEos;
    if (row[1] == pad) row[1] = kEos;
  }
  return rows;
}

int64_t count_tokens(const ClipTokenizer& tokenizer, std::string_view caption, TextFamily family) {
  return std::ssize(tokenizer.encode(caption, family));
}

}  // namespace sdtune
