// Captions of any text under any options: what is said to be constant is, draws repeat, and
// cleaning in one pass gives what passes until nothing changes would give.
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

#include "text/caption.h"
#include "text/caption_cleaning.h"

namespace sdtune {
namespace {

std::string text_of(const std::vector<std::string>& parts) {
  return *rc::gen::map(rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(parts)),
                       [](const std::vector<std::string>& chosen) {
                         std::string text;
                         for (const std::string& part : chosen) text += part;
                         return text;
                       });
}

std::string any_caption() {
  return text_of({"a", "b", "c", ",", ",", " ", "{", "}", "|", ";", "||", "\n", "\xff", "é"});
}

CaptionOptions any_options() {
  const auto rate = [] { return *rc::gen::element(0.0, 0.0, 0.5, 1.0); };
  CaptionOptions options;
  options.shuffle_caption = *rc::gen::arbitrary<bool>();
  options.enable_wildcard = *rc::gen::arbitrary<bool>();
  options.caption_separator = *rc::gen::element<std::string>(",", ", ", ";", "");
  options.keep_tokens = *rc::gen::inRange(-1, 4);
  options.keep_tokens_separator = *rc::gen::element<std::string>("", "||");
  options.secondary_separator = *rc::gen::element<std::string>("", ";");
  options.caption_prefix = *rc::gen::element<std::string>("", "P");
  options.caption_suffix = *rc::gen::element<std::string>("", "S");
  options.token_warmup_min = *rc::gen::inRange(-1, 5);
  options.token_warmup_step = *rc::gen::element(0.0, 0.0, 0.5, 3.0);
  options.caption_dropout_rate = rate();
  options.caption_dropout_every_n_epochs = *rc::gen::element(0, 0, 1, 2);
  options.caption_tag_dropout_rate = rate();
  return options;
}

RC_GTEST_PROP(CaptionProperty, WhatIsConstantNeverChanges, ()) {
  const CaptionOptions options = any_options();
  const std::string composed = any_caption();
  Random first_random(0, Draw::kCaption);
  const std::string first = draw_caption(composed, options, {}, first_random);
  if (!is_constant(composed, options)) return;
  for (int64_t i = 1; i < 20; ++i) {
    Random random(i, Draw::kCaption);
    const CaptionMoment moment{.epoch = i % 3, .step = i % 5, .total_steps = 20};
    RC_ASSERT(draw_caption(composed, options, moment, random) == first);
  }
}

RC_GTEST_PROP(CaptionProperty, ComposedTextIsOneLineOrLinesToChooseFrom, ()) {
  CaptionOptions options = any_options();
  const std::string caption = any_caption(), tags = any_caption();
  options.enable_wildcard = false;
  RC_ASSERT(compose_caption(caption, tags, options).find('\n') == std::string::npos);
  options.enable_wildcard = true;
  const std::string lines = compose_caption(caption, tags, options);
  RC_ASSERT(lines.find("\n\n") == std::string::npos);
  RC_ASSERT(!lines.ends_with('\n'));
}

std::string passes_until_stable(std::string text, const std::string& from, const std::string& to) {
  while (text.find(from) != std::string::npos) {
    std::string next;
    size_t begin = 0;
    for (size_t at; (at = text.find(from, begin)) != std::string::npos; begin = at + from.size()) {
      next += text.substr(begin, at - begin) + to;
    }
    text = next + text.substr(begin);
  }
  return text;
}

// The rules that come first and last, which alone can meet their own results again.
RC_GTEST_PROP(CaptionProperty, CleaningInOnePassEqualsManyPasses, ()) {
  const std::string caption =
      text_of({"anime", " ", "anime ", "young ", "yo", "ung ", "girl", "gi"});
  std::string expected = passes_until_stable(caption, "anime anime", "anime");
  expected = passes_until_stable(expected, "young ", "");
  expected = passes_until_stable(expected, "anime girl", "girl");
  expected = passes_until_stable(expected, "girl girl", "girl");
  RC_ASSERT(clean_caption(caption) == expected);
}

RC_GTEST_PROP(CaptionProperty, CleanTagsStayClean, ()) {
  const std::string tags = text_of({"2girls", ", ", ", ", ",", "blue eyes", "long hair", " ", "_",
                                    "red hair", "hair ornament", "shirt", "^_^", "é", "\xff"});
  const std::string cleaned = clean_tags(tags);
  RC_ASSERT(cleaned.find(", ,") == std::string::npos);
  RC_ASSERT(clean_tags(cleaned) == cleaned);
}

}  // namespace
}  // namespace sdtune
