// `sdtune check`: the doctor. Looks at a dataset as `train` would and reports what needs a hand,
// the buckets, the steps and the disk, as text, JSON or a page. Takes every option of `train`, so
// that one word of a command line turns a run into its check; changes nothing but the files asked
// for.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "options/option.h"
#include "train/train_options.h"

namespace sdtune {

// Hands on declarations with Required taken off: what training cannot do without, a check can.
template <class V>
class WithoutRequired {
 public:
  explicit WithoutRequired(V& visitor) : visitor_(visitor) {}

  void group(const char* name) { visitor_.group(name); }

  template <class T, class... Extras>
  void operator()(const char* name, T& field, const char* help, const Extras&... extras) {
    visitor_(name, field, help, relaxed(extras)...);
  }

 private:
  static Aliases relaxed(const Required&) { return {}; }
  template <class Extra>
  static const Extra& relaxed(const Extra& extra) {
    return extra;
  }

  V& visitor_;
};

struct CheckOptions {
  std::optional<std::filesystem::path> dataset;
  std::optional<std::filesystem::path> json;
  std::optional<std::filesystem::path> html;
  bool no_near_duplicates = false;
  bool strict = false;
  TrainOptions train;

  template <class V>
  void visit(V& v) {
    v("dataset", dataset,
      "A folder of pictures, metadata (.json, .jsonl; with --train_data_dir), or a dataset "
      "configuration (.toml, .json).",
      Positional{});
    v("json", json, "Write the report as JSON to this file; \"-\" prints it instead of the text.");
    v("html", html, "Write the report as a page with thumbnails and crops to this file.");
    v("no_near_duplicates", no_near_duplicates,
      "Read headers only: faster, but neither near copies nor damaged pixels are found.");
    v("strict", strict, "Exit with 1 when there are errors.");
    WithoutRequired<V> relaxed(v);
    train.visit(relaxed);
  }
};

// 0, or 1 with --strict and errors.
int run_check(std::span<const std::string> args);

}  // namespace sdtune
