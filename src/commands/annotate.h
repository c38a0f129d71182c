// `sdtune annotate`: from a folder of pictures to metadata that `train` takes: what the commands
// caption, tag, merge-captions, merge-tags and clean do one after the other, with their options.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "commands/caption.h"
#include "commands/tag.h"
#include "options/option.h"

namespace sdtune {

struct AnnotateOptions {
  std::filesystem::path train_data_dir;
  std::filesystem::path out_json;
  std::optional<std::filesystem::path> in_json;
  std::string caption_extension = ".caption";
  std::string tag_extension = ".txt";
  bool full_path = false;
  bool recursive = false;
  bool overwrite = false;
  MakeCaptionsOptions captions;  // the captioner and its writing
  TagOptions tags;               // the tagger and its choice
  int64_t batch_size = 1;
  std::optional<int64_t> max_data_loader_n_workers;
  MixedPrecision mixed_precision = MixedPrecision::kNo;
  std::string device = "auto";
  bool debug = false;

  template <class V>
  void visit(V& v) {
    v("train_data_dir", train_data_dir, "The folder of pictures.", Required{}, Positional{});
    v("out_json", out_json, "Metadata file to write; lines of JSON where its name ends in .jsonl.",
      Required{}, Positional{});
    v("in_json", in_json,
      "Metadata file to start from. Without it an out_json that is there already is kept and "
      "added to.");
    v("caption_extension", caption_extension, "How the names of the caption files end.",
      Aliases{"caption_extention"});
    v("tag_extension", tag_extension, "How the names of the tag files end.");
    v("full_path", full_path,
      "Keys of the metadata are the pictures' paths, as given, instead of their names without "
      "extensions.");
    v("recursive", recursive, "Pictures of sub-folders too.");
    v("overwrite", overwrite,
      "Write captions and tags anew where there are some. Without it they are left as they are, so "
      "that a run that was cut short goes on where it was, and words of your own stay.");
    v.group("Captioner");
    captions.visit_captioner(v);
    captions.visit_writing(v);
    v.group("Tagger");
    tags.visit_tagger(v);
    tags.visit_choice(v);
    v.group("Computing");
    v("batch_size", batch_size, "Pictures captioned, and tagged, at once.", Range{1, 4096});
    v("max_data_loader_n_workers", max_data_loader_n_workers,
      "Threads that read pictures; all cores when not given.", Range{0, 256});
    v("mixed_precision", mixed_precision, "Type that the captioner computes in.",
      mixed_precision_names());
    v("device", device, "Where the captioner computes; the tagger on the CPU, with cpu, too.",
      Choices{"auto", "cpu", "cuda"});
    v("debug", debug, "Print each text.");
  }
};

int run_annotate(std::span<const std::string> args);

}  // namespace sdtune
