#include "text/prompt_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "text/token_chunks.h"

namespace sdtune {
namespace {

const double kBracketStep = std::log(1.1);

struct Symbol {
  enum class Kind { kText, kOpenRound, kOpenSquare, kCloseRound, kCloseSquare };
  Kind kind = Kind::kText;
  std::string_view text;
  double step = 0;  // an opening round bracket's logarithm of its factor
};
using Kind = Symbol::Kind;

struct Number {
  double value = 0;
  size_t length = 0;
};

// The number that `text` begins with, digits and a point with or without a sign, when ")" follows.
std::optional<Number> number_before_close(std::string_view text) {
  const size_t sign = text.starts_with('+') || text.starts_with('-') ? 1 : 0;
  const size_t end = text.find_first_not_of("0123456789.", sign);
  if (end == std::string_view::npos || text[end] != ')') return std::nullopt;
  double value = 0;
  const auto [stop, error] =
      std::from_chars(text.data() + sign, text.data() + end, value, std::chars_format::fixed);
  if (error != std::errc() || stop != text.data() + end) return std::nullopt;
  return Number{text[0] == '-' ? -value : value, end};
}

double step_of(double weight) {
  return std::log(std::clamp<double>(weight, kLeastPromptWeight, kGreatestPromptWeight));
}

// The brackets and the text between them. A round bracket's factor stands at its end, but is known
// here with its beginning: what is inside can then be weighed in one pass.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Symbol> run() {
    while (!text_.empty()) take_one();
    return std::move(symbols_);
  }

 private:
  void push(Kind kind, size_t length) {
    symbols_.push_back({kind, text_.substr(0, length)});
    text_.remove_prefix(length);
  }

  void open(Kind kind, std::vector<size_t>& opened) {
    opened.push_back(symbols_.size());
    push(kind, 1);
    symbols_.back().step = kBracketStep;
  }

  void close_round(double step, size_t length) {
    symbols_[open_round_.back()].step = step;
    open_round_.pop_back();
    push(Kind::kCloseRound, length);
  }

  void take_one() {
    switch (text_[0]) {
      case '\\':
        return take_escape();
      case '(':
        return open(Kind::kOpenRound, open_round_);
      case '[':
        return open(Kind::kOpenSquare, open_square_);
      case ')':
        if (open_round_.empty()) return push(Kind::kText, 1);
        return close_round(kBracketStep, 1);
      case ']':
        if (open_square_.empty()) return push(Kind::kText, 1);
        open_square_.pop_back();
        return push(Kind::kCloseSquare, 1);
      case ':':
        return take_colon();
      default:
        return push(Kind::kText, std::min(text_.find_first_of("\\()[]:"), text_.size()));
    }
  }

  void take_escape() {
    text_.remove_prefix(1);
    const bool is_escaped =
        !text_.empty() && std::string_view("\\()[]").find(text_[0]) != std::string_view::npos;
    if (is_escaped) push(Kind::kText, 1);
  }

  void take_colon() {
    if (!open_round_.empty()) {
      if (const auto number = number_before_close(text_.substr(1))) {
        return close_round(step_of(number->value), number->length + 2);
      }
    }
    push(Kind::kText, 1);
  }

  std::string_view text_;
  std::vector<Symbol> symbols_;
  std::vector<size_t> open_round_;
  std::vector<size_t> open_square_;
};

// The factors of the brackets around a place, as a sum of logarithms: thousands of brackets cannot
// overflow. Round brackets nest among themselves, and square ones all weigh the same, so it does
// not matter that "( [ ) ]" crosses.
class Nesting {
 public:
  void pass(const Symbol& symbol) {
    switch (symbol.kind) {
      case Kind::kOpenRound:
        return round_.push_back(round_.back() + symbol.step);
      case Kind::kCloseRound:
        return round_.pop_back();
      case Kind::kOpenSquare:
        ++square_;
        return;
      case Kind::kCloseSquare:
        --square_;
        return;
      case Kind::kText:
        return;
    }
  }

  float weight() const {
    const double weight = std::exp(round_.back() - static_cast<double>(square_) * kBracketStep);
    return std::clamp(static_cast<float>(weight), kLeastPromptWeight, kGreatestPromptWeight);
  }

 private:
  std::vector<double> round_ = {0};
  int64_t square_ = 0;
};

}  // namespace

std::vector<WeightedText> parse_prompt_weights(std::string_view text) {
  std::vector<WeightedText> pieces;
  Nesting nesting;
  for (const Symbol& symbol : Lexer(text).run()) {
    nesting.pass(symbol);
    if (symbol.kind != Kind::kText) continue;
    const float weight = nesting.weight();
    if (pieces.empty() || pieces.back().weight != weight) pieces.push_back({"", weight});
    pieces.back().text += symbol.text;
  }
  if (pieces.empty()) pieces.emplace_back();
  return pieces;
}

WeightedTokens weighted_token_chunks(const ClipTokenizer& tokenizer, std::string_view caption,
                                     TextFamily family, int max_token_length) {
  std::vector<int32_t> tokens;
  std::vector<float> token_weights;
  for (const WeightedText& piece : parse_prompt_weights(caption)) {
    const std::vector<int32_t> ids = tokenizer.encode(piece.text, family);
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    token_weights.resize(tokens.size(), piece.weight);
    if (std::ssize(tokens) >= max_token_length) break;
  }
  WeightedTokens result;
  result.ids = token_chunks(tokens, family, max_token_length);
  result.weights.assign(result.ids.size(), 1.0F);
  const size_t kept = std::min(tokens.size(), static_cast<size_t>(max_token_length));
  for (size_t i = 0; i < kept; ++i) {
    result.weights[i / kChunkTokens * kChunkLength + 1 + i % kChunkTokens] = token_weights[i];
  }
  return result;
}

std::vector<float> joined_weights(const std::vector<float>& weights) {
  if (weights.empty() || weights.size() % kChunkLength != 0) {
    throw Error(fmt::format("{} weights are no rows of {}", weights.size(), kChunkLength));
  }
  std::vector<float> joined = {weights.front()};
  for (auto row = weights.begin(); row != weights.end(); row += kChunkLength) {
    joined.insert(joined.end(), row + 1, row + 1 + kChunkTokens);
  }
  joined.push_back(weights.back());
  return joined;
}

}  // namespace sdtune
