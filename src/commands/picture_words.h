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

// Those that --in_json names, else those of the folder; of several that share a place for their
// words the first one, and a warning about the others. Error when the folder has none.
std::vector<CaptionedPicture> find_pictures(const PictureWords& words);

std::unique_ptr<CaptionOutput> open_output(const PictureWords& words,
                                           const std::vector<CaptionedPicture>& pictures);

std::vector<CaptionWork> work_of(const PictureWords& words,
                                 const std::vector<CaptionedPicture>& pictures,
                                 const CaptionOutput& output);

// The report of a run that has nothing left to do, for which no model need be read.
std::optional<CaptionReport> report_if_done(const std::vector<CaptionWork>& work);

// --max_data_loader_n_workers, or all cores.
int reader_threads(const std::optional<int64_t>& workers);

// Ends `output` and says what was done; returns the exit code.
int finish_words(const PictureWords& words, const std::vector<CaptionedPicture>& pictures,
                 const CaptionReport& report, CaptionOutput& output);

}  // namespace sdtune
