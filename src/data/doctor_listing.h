// Lists the pictures of all datasets with their texts for the doctor, every fault a finding.
#pragma once

#include <vector>

#include "data/doctor.h"

namespace sdtune {

struct Listing {
  std::vector<CheckedPicture> pictures;  // with sample, name, dataset, subset and first
  std::vector<Finding> findings;
};

// Nothing is opened but metadata and text files. Throws Error when the only subset cannot be read.
Listing list_pictures(const std::vector<DatasetOptions>& datasets);

}  // namespace sdtune
