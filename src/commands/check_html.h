// The report of `sdtune check` as one self-contained page: tables, and the pictures with the part
// that training sees. No script, nothing fetched; light or dark as the reader's system is.
#pragma once

#include <string>

#include "data/doctor_report.h"

namespace sdtune {

inline constexpr size_t kPicturesOnPage = 500;

// UTF-8 HTML. Shows at most kPicturesOnPage pictures, those with findings first, whose thumbnails
// are made on `threads` threads with a progress line. Every text is escaped.
std::string report_html(const CheckReport& report, int threads);

}  // namespace sdtune
