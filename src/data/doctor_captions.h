// The doctor's view of captions: how many tokens training would see, and what in them was probably
// not meant. Which pictures there are is doctor_listing.h's; nothing is changed here
// (text/caption_cleaning.h does that).
#pragma once

#include <string>
#include <vector>

#include "data/doctor.h"
#include "text/clip_tokenizer.h"

namespace sdtune {

// Fills `caption` and `tokens` of each picture, counts lengths, and adds findings.
void check_captions(const std::vector<SubsetOptions>& subsets, const DoctorOptions& options,
                    Diagnosis& diagnosis);

// What is odd in the texts of one picture, each in a few words: several lines without wildcards,
// control and replacement characters, entities of HTML, empty and repeated tags, brackets that an
// option not given would read.
std::vector<std::string> caption_oddities(const std::string& caption, const std::string& tags,
                                          const CaptionOptions& options, bool weighted_captions);

// Tokens of a caption without those that frame each row; of a weighted one each piece by itself.
int64_t caption_tokens(const ClipTokenizer& tokenizer, const std::string& caption,
                       const DoctorOptions& options);

}  // namespace sdtune
