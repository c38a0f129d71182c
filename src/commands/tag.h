// `sdtune tag` (sd-scripts' tag_images_by_wd14_tagger.py): tags that a tagger in ONNX gives a
// folder of pictures, or those that metadata names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "annotate/tagger.h"
#include "commands/picture_words.h"
#include "options/option.h"

namespace sdtune {

struct TagOptions {
  std::filesystem::path train_data_dir;
  std::string repo_id = "SmilingWolf/wd-v1-4-convnext-tagger-v2";
  std::filesystem::path model_dir = "wd14_tagger_model";
  bool deepdanbooru = false;
  bool onnx = false;
  bool force_download = false;
  std::string caption_extension = ".txt";
  std::optional<std::filesystem::path> output_path;
  std::optional<std::filesystem::path> in_json;
  bool recursive = false;
  bool overwrite = false;
  bool append_tags = false;
  double thresh = 0.35;
  std::optional<double> general_threshold;
  std::optional<double> character_threshold;
  std::optional<double> copyright_threshold;
  std::optional<double> artist_threshold;
  std::optional<double> meta_threshold;
  std::optional<double> model_threshold;
  bool use_rating_tags = false;
  bool use_rating_tags_as_last_tag = false;
  bool use_quality_tags = false;
  bool use_quality_tags_as_last_tag = false;
  bool character_tags_first = false;
  std::string always_first_tags;
  std::string undesired_tags;
  bool remove_underscore = false;
  bool character_tag_expand = false;
  std::string tag_replacement;
  std::string caption_separator = ", ";
  bool frequency_tags = false;
  int64_t batch_size = 1;
  std::optional<int64_t> max_data_loader_n_workers;
  std::string device = "auto";
  bool debug = false;

  template <class V>
  void visit(V& v) {
    v("train_data_dir", train_data_dir, "The folder of pictures.", Required{}, Positional{});
    visit_tagger(v);
    v("caption_extension", caption_extension, "How the names of the text files end.",
      Aliases{"caption_extention"});
    v("output_path", output_path,
      "Metadata to write instead of text files, with \"tags\" and \"image_size\" for each picture. "
      "Where its name ends in .jsonl, lines of JSON, with the tags as \"caption\" unless --in_json "
      "is given. What is there already is kept and added to.");
    v("in_json", in_json,
      "Metadata that names the pictures, instead of all that lie in the folder; --output_path "
      "starts from it.");
    v("recursive", recursive, "Pictures of sub-folders too.");
    v("overwrite", overwrite,
      "Write tags anew where there are some. Without it pictures that have tags are left out, so "
      "that a run that was cut short goes on where it was.");
    v("append_tags", append_tags,
      "Add to the tags that a text file has those that it has not, and leave no picture out.");
    visit_choice(v);
    v.group("Computing");
    v("batch_size", batch_size,
      "Pictures tagged at once; a model that is made for another number gets that.",
      Range{1, 4096});
    v("max_data_loader_n_workers", max_data_loader_n_workers,
      "Threads that read pictures; all cores when not given.", Range{0, 256});
    v("device", device, "Where to compute; gpu is Intel's.", Choices{"auto", "cpu", "gpu"});
    v("debug", debug, "Print the tags of each picture.");
  }

  template <class V>
  void visit_tagger(V& v) {
    v("repo_id", repo_id,
      "The tagger: a folder of its files, or its repository on the Hugging Face Hub (org/name, or "
      "org/name/folder), whose files are looked for below --model_dir and then fetched.");
    v("model_dir", model_dir,
      "Where the tagger's files may lie: below it in a folder named as the repository with _ for "
      "/, or in itself. model.onnx and selected_tags.csv, or model_optimized.onnx and "
      "tag_mapping.json.");
    v("deepdanbooru", deepdanbooru,
      "The tagger is DeepDanbooru's network as model.onnx, with its tags.txt.");
    v("onnx", onnx, "Accepted: taggers are always computed from ONNX.");
    v("force_download", force_download,
      "Do not look below --model_dir: take what the Hub has today.");
  }

  template <class V>
  void visit_choice(V& v) {
    v.group("Which tags");
    v("thresh", thresh, "Least score of a tag.", Range{0, 1});
    v("general_threshold", general_threshold, "Of general tags; --thresh when not given.",
      Range{0, 1});
    v("character_threshold", character_threshold, "Of characters.", Range{0, 1});
    v("copyright_threshold", copyright_threshold, "Of series and brands.", Range{0, 1});
    v("artist_threshold", artist_threshold, "Of artists.", Range{0, 1});
    v("meta_threshold", meta_threshold, "Of tags about the picture itself.", Range{0, 1});
    v("model_threshold", model_threshold, "Of tags about what made the picture.", Range{0, 1});
    v("use_rating_tags", use_rating_tags, "Begin with the likeliest rating.");
    v("use_rating_tags_as_last_tag", use_rating_tags_as_last_tag, "End with the likeliest rating.");
    v("use_quality_tags", use_quality_tags,
      "Begin with the likeliest quality, where the tagger knows some.");
    v("use_quality_tags_as_last_tag", use_quality_tags_as_last_tag,
      "End with the likeliest quality.");
    v("undesired_tags", undesired_tags, "Tags to leave out, with separators between.");
    v.group("How tags are written");
    v("character_tags_first", character_tags_first, "Characters before the others.");
    v("always_first_tags", always_first_tags,
      "Tags to put first where a picture has them, with separators between; the last one leads.");
    v("remove_underscore", remove_underscore,
      "Spaces for underscores, but in tags of up to three characters, which are faces.");
    v("character_tag_expand", character_tag_expand,
      "name_(series) becomes two tags, name and series.");
    v("tag_replacement", tag_replacement,
      "Other words for tags: old,new;old,new with \\, and \\; for what belongs to a tag. They are "
      "told by the name that would be written.");
    v("caption_separator", caption_separator, "What stands between tags.");
    v("frequency_tags", frequency_tags, "Print at the end how often each tag was written.");
  }
};

// UsageError for options that cannot be meant.
void check_options(const TagOptions& options);

WordsJob open_tags(const TagOptions& options);

// The tagger's files on this machine, fetched where they are missing. Error when there is no
// tagger. Before install_stop_signals(), as Ctrl-C may end it.
TaggerFiles find_tagger(const TagOptions& options);

// The job from end to end; the tagger is read only when there is something to do. Returns as
// finish_words().
int write_tags(const TagOptions& options, const TaggerFiles& files, WordsJob& job);

int run_tag(std::span<const std::string> args);

}  // namespace sdtune
