// `sdtune caption` (sd-scripts' make_captions.py): captions that BLIP writes for a folder of
// pictures, or for those that metadata names. Where they go is caption_output.h's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "commands/picture_words.h"
#include "options/option.h"
#include "train/precision_options.h"

namespace sdtune {

struct MakeCaptionsOptions {
  std::filesystem::path train_data_dir;
  std::filesystem::path caption_weights = "Salesforce/blip-image-captioning-large";
  std::optional<std::filesystem::path> caption_vocabulary;
  std::string caption_extension = ".caption";
  std::optional<std::filesystem::path> output_path;
  std::optional<std::filesystem::path> in_json;
  bool full_path = false;
  bool recursive = false;
  bool overwrite = false;
  std::string prompt = "a picture of ";
  bool beam_search = false;
  int64_t num_beams = 1;
  double top_p = 0.9;
  int64_t top_k = 50;
  int64_t max_length = 75;
  int64_t min_length = 5;
  int64_t seed = 42;
  int64_t batch_size = 1;
  std::optional<int64_t> max_data_loader_n_workers;
  MixedPrecision mixed_precision = MixedPrecision::kNo;
  std::string device = "auto";
  bool debug = false;

  template <class V>
  void visit(V& v) {
    v("train_data_dir", train_data_dir, "The folder of pictures.", Required{}, Positional{});
    visit_captioner(v);
    v("caption_extension", caption_extension, "How the names of the text files end.",
      Aliases{"caption_extention"});
    v("output_path", output_path,
      "Metadata to write instead of text files, with \"caption\" for each picture; lines of JSON "
      "where its name ends in .jsonl. What is there already is kept and added to.");
    v("in_json", in_json,
      "Metadata that names the pictures, instead of all that lie in the folder; --output_path "
      "starts from it.");
    v("full_path", full_path,
      "Keys of new metadata are the pictures' paths, as given, instead of their names without "
      "extensions.");
    v("recursive", recursive, "Pictures of sub-folders too.");
    v("overwrite", overwrite,
      "Write captions anew where there are some. Without it pictures that have one are left out, "
      "so that a run that was cut short goes on where it was.");
    visit_writing(v);
    v.group("Computing");
    v("batch_size", batch_size, "Pictures captioned at once.", Range{1, 4096});
    v("max_data_loader_n_workers", max_data_loader_n_workers,
      "Threads that read pictures; all cores when not given.", Range{0, 256});
    v("mixed_precision", mixed_precision, "Type that the captioner computes in.",
      mixed_precision_names());
    v("device", device, "Where to compute.", Choices{"auto", "cpu", "cuda"});
    v("debug", debug, "Print each caption.");
  }

  template <class V>
  void visit_captioner(V& v) {
    v("caption_weights", caption_weights,
      "The captioner: a folder of Transformers' BLIP (config.json, weights, vocabulary) or the id "
      "of one on the Hugging Face Hub; or one of Salesforce's checkpoints, as "
      "model_large_caption.pth.");
    v("caption_vocabulary", caption_vocabulary,
      "The captioner's words, a vocab.txt or tokenizer.json; what lies beside the weights when not "
      "given.");
  }

  template <class V>
  void visit_writing(V& v) {
    v.group("Writing");
    v("prompt", prompt,
      "How every caption begins, as the captioner sees it; it is left out of what is written.");
    v("beam_search", beam_search,
      "Write the likeliest caption of --num_beams ones; without it words are drawn.");
    v("num_beams", num_beams, "Captions that --beam_search grows side by side.", Range{1, 256});
    v("top_p", top_p, "Draw from the likeliest words that together have this probability.",
      Range{0, 1});
    v("top_k", top_k, "Draw from this many words at most; 0: any.", Range{0, 1 << 20});
    v("max_length", max_length, "Most tokens of a caption with its prompt.", Range{2, 1 << 16});
    v("min_length", min_length, "Fewest tokens of a caption with its prompt.", Range{0, 1 << 16});
    v("seed", seed,
      "Of the draws, which are each picture's own: neither its neighbours nor its place change its "
      "caption.",
      Range{0, kUnlimited});
  }
};

// UsageError for options that cannot be meant.
void check_options(const MakeCaptionsOptions& options);

WordsJob open_captions(const MakeCaptionsOptions& options);

// Puts the captioner's place on this machine into the options, fetching it where an id names one.
// Error when there is none. Before install_stop_signals(), as Ctrl-C may end it.
void find_captioner(MakeCaptionsOptions& options);

// The job from end to end, with a captioner that was found; it is read only when there is something
// to do. Returns as finish_words().
int write_captions(const MakeCaptionsOptions& options, WordsJob& job);

int run_caption(std::span<const std::string> args);

}  // namespace sdtune
