#include "generate/dynamic_prompt.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/numbers.h"
#include "text/split.h"

namespace sdtune {

namespace {

constexpr size_t kMostPrompts = 10'000;
constexpr std::string_view kMark = "$$";

// Braces that are text stand as bytes that UTF-8 does not have while groups are replaced.
constexpr char kOpenText = '\xfe', kCloseText = '\xff';

struct Group {
  bool enumerates = false;
  size_t least = 1, most = 1;
  std::string_view joiner = ", ";
  std::vector<std::string_view> choices;
};

struct Counts {
  size_t least, most;
};

// "2", "1-3", "-2" (from 0), "1-" (to the number of choices).
std::optional<Counts> parse_counts(std::string_view text, size_t choices) {
  const std::vector<std::string_view> ends = split(text, "-");
  if (text.empty() || ends.size() > 2) return std::nullopt;
  const auto low = ends[0].empty() ? std::optional<size_t>(0) : number_in<size_t>(ends[0]);
  const auto high =
      ends.back().empty() ? std::optional<size_t>(choices) : number_in<size_t>(ends.back());
  if (!low || !high) return std::nullopt;
  const size_t most = std::min(std::max(*low, *high), choices);
  return Counts{std::min({*low, *high, choices}), most};
}

// Takes "x$$" off the front of `text`, x without a "|".
std::optional<std::string_view> take_prefix(std::string_view& text) {
  const size_t end = text.find(kMark);
  if (end == std::string_view::npos || text.substr(0, end).find('|') != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view prefix = text.substr(0, end);
  text.remove_prefix(end + kMark.size());
  return prefix;
}

Group parse_group(std::string_view inside) {
  Group group;
  const auto choices = static_cast<size_t>(std::count(inside.begin(), inside.end(), '|')) + 1;
  while (const auto prefix = take_prefix(inside)) {
    const std::optional<Counts> counts = parse_counts(*prefix, choices);
    if (*prefix == "e" || *prefix == "E") {
      group.enumerates = true;
    } else if (counts) {
      group.least = counts->least;
      group.most = counts->most;
    } else {
      group.joiner = *prefix;
    }
  }
  group.choices = split(inside, "|");
  return group;
}

std::string draw(Group group, Random& random) {
  random.shuffle(group.choices);
  const size_t count = group.least + random.below(group.most - group.least + 1);
  group.choices.resize(count);
  return join(group.choices, group.joiner);
}

void add(std::string text, std::vector<std::string>& all) {
  if (all.size() >= kMostPrompts) {
    throw UsageError(fmt::format("the braces stand for more than {} prompts", kMostPrompts),
                     "{e$$…}", "enumerate fewer choices");
  }
  all.push_back(std::move(text));
}

// Adds each combination of `count` choices in the order written.
void add_combinations(const Group& group, size_t count, std::vector<std::string>& all) {
  std::vector<bool> is_taken(group.choices.size());
  std::fill_n(is_taken.begin(), count, true);
  do {
    std::vector<std::string_view> taken;
    for (size_t i = 0; i < is_taken.size(); ++i) {
      if (is_taken[i]) taken.push_back(group.choices[i]);
    }
    add(join(taken, group.joiner), all);
  } while (std::prev_permutation(is_taken.begin(), is_taken.end()));
}

std::vector<std::string> replacements(const Group& group, Random& random) {
  if (!group.enumerates) return {draw(group, random)};
  std::vector<std::string> all;
  for (size_t count = group.least; count <= group.most; ++count) {
    add_combinations(group, count, all);
  }
  return all;
}

std::string with_text_braces(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escapes = text[i] == '\\' && i + 1 < text.size();
    if (escapes && (text[i + 1] == '{' || text[i + 1] == '}')) {
      result += text[++i] == '{' ? kOpenText : kCloseText;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string with_braces(std::string text) {
  std::replace(text.begin(), text.end(), kOpenText, '{');
  std::replace(text.begin(), text.end(), kCloseText, '}');
  return text;
}

// Replaces the innermost braces that close first, then those of each text that comes of it.
void expand(std::string text, Random& random, std::vector<std::string>& all) {
  for (;;) {
    const size_t close = text.find('}');
    if (close == std::string::npos) break;
    const size_t open = text.rfind('{', close);
    if (open == std::string::npos) {
      text[close] = kCloseText;
      continue;
    }
    const std::string inside = text.substr(open + 1, close - open - 1);
    const std::vector<std::string> parts = replacements(parse_group(inside), random);
    const std::string before = text.substr(0, open), after = text.substr(close + 1);
    if (parts.size() == 1) {
      text = before + parts[0] + after;
      continue;
    }
    for (const std::string& part : parts) expand(before + part + after, random, all);
    return;
  }
  add(with_braces(std::move(text)), all);
}

}  // namespace

std::vector<std::string> expand_dynamic_prompt(std::string_view text, Random& random) {
  std::vector<std::string> all;
  expand(with_text_braces(text), random, all);
  return all;
}

}  // namespace sdtune
