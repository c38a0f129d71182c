// What the doctor found, as plain text for people and as JSON for machines. The page with
// thumbnails is commands/check_html.h's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/doctor.h"
#include "data/doctor_budget.h"

namespace sdtune {

enum class LatentKeeping { kNone, kMemory, kDisk };

struct CheckReport {
  Diagnosis diagnosis;
  StepPlan steps;
  CheckpointNeeds checkpoints;
  uint64_t latent_bytes = 0;
  LatentKeeping keeps_latents = LatentKeeping::kNone;
  std::vector<DiskPlace> places;
  bool are_pixels_checked = true;
};

// "1 error, 2 warnings, 0 notes".
std::string summary_line(const std::vector<Finding>& findings);

// At most 100 columns where names allow it; the worst findings first, the summary last.
std::string report_text(const CheckReport& report);

// One object, indented, ends with a newline. Names that are no
// UTF-8 have U+FFFD in place of their other bytes.
std::string report_json(const CheckReport& report);

}  // namespace sdtune
