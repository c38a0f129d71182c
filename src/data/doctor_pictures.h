// The doctor's look at picture files: what their headers say, and what becomes of them in training.
#pragma once

#include <vector>

#include "data/doctor.h"

namespace sdtune {

// Reads headers (and, with decode_pictures, pixels): fills facts, and adds findings about files,
// copies among them. Each file is looked at once, however often it is listed.
void check_files(const DoctorOptions& options, Diagnosis& diagnosis);

// Fills placement, `dataset` and `buckets` as make_dataset() would, and adds findings about sizes.
// Datasets that lack a resolution are looked at as 512 x 512. UsageError as checked() gives it.
void place_pictures(const std::vector<DatasetOptions>& datasets, const DoctorOptions& options,
                    Diagnosis& diagnosis);

}  // namespace sdtune
