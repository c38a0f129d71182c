// Which pictures get words, and where the words go: what `sdtune caption` and `sdtune tag` have in
// common. The files themselves are caption_output.h's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "annotate/caption_run.h"
#include "commands/caption_output.h"

namespace sdtune {

struct PictureWords {
  std::filesystem::path train_data_dir;
  std::string extension;  // of text files
  std::optional<std::filesystem::path> output_path;
  std::optional<std::filesystem::path> in_json;
  bool full_path = false;
  bool recursive = false;
  bool overwrite = false;
  WordsField field;  // of metadata
};

// UsageError for an extension that is none, or a picture's.
void check_extension(const std::string& extension);

// The pictures of a run and what is there already.
struct WordsJob {
  PictureWords words;
  std::vector<CaptionedPicture> pictures;
  std::unique_ptr<CaptionOutput> output;
  std::vector<CaptionWork> work;  // one for each picture

  // Nothing is left to do, for which no model need be found or read.
  bool is_done() const;
};

// Of those that --in_json names, else of those of the folder; of several that share a place for
// their words the first one, and a warning about the others. Error when the folder has none.
WordsJob open_words(const PictureWords& words);

// The report of a job that was done before.
CaptionReport all_done(const WordsJob& job);

// --max_data_loader_n_workers, or all cores.
int reader_threads(const std::optional<int64_t>& workers);

// Ends the job's output and says what was done; returns the exit code: 1 where pictures could not
// be read, and a stop signal's.
int finish_words(WordsJob& job, const CaptionReport& report);

}  // namespace sdtune
