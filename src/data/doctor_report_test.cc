#include "data/doctor_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "text/split.h"

namespace sdtune {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

CheckReport report() {
  CheckReport report;
  Diagnosis& diagnosis = report.diagnosis;
  CheckedPicture& picture = diagnosis.pictures.emplace_back();
  picture.name = "caf\xe9.png";
  picture.sample.image = "/data/caf\xe9.png";
  picture.sample.key = "cafe";
  picture.caption = "a \"quoted\" cat";
  picture.tokens = 6;
  picture.is_readable = true;
  picture.facts.size = {128, 65};
  picture.facts.format = "PNG";
  picture.placement = Placement{{64, 64}, {128, 65}};
  diagnosis.dataset.subsets.resize(1);
  diagnosis.dataset.items.resize(1);
  diagnosis.buckets = {{{{64, 64}, 0, 4}, 1, 3, 1, 0.5, 0.5}};
  diagnosis.caption_lengths = {1, 0, 0, 0};
  for (int i = 0; i < 7; ++i) {
    diagnosis.findings.push_back(
        {FindingKind::kUnreadablePicture, "p" + std::to_string(i), "it is empty", {}});
  }
  diagnosis.findings.push_back({FindingKind::kHeavyCrop, "wide\n.png", "loses 50 %", {0}});
  report.steps = {1, 3, 1, 2, 1, 10, 10, 30, false};
  report.checkpoints = {2, 1'000'000, 1, 3'000'000};
  report.latent_bytes = 2500;
  report.places = {{"checkpoints", "/out", 5'000'000, 7'000'000'000}};
  return report;
}

TEST(ReportText, WorstFirstSummaryLast) {
  const std::string text = report_text(report());
  EXPECT_LT(text.find("ERRORS"), text.find("WARNINGS"));
  EXPECT_THAT(text, HasSubstr("    7  pictures that cannot be read"));
  EXPECT_THAT(text, HasSubstr("p4: it is empty\n"));
  EXPECT_THAT(text, Not(HasSubstr("p5: it is empty")));
  EXPECT_THAT(text, HasSubstr("… and 2 more"));
  EXPECT_THAT(text, HasSubstr("wide?.png: loses 50 %"));
  EXPECT_THAT(text, Not(HasSubstr("NOTES")));
  EXPECT_THAT(text, HasSubstr("1 / 2 accumulated, rounded up = 1 step an epoch"));
  EXPECT_THAT(text, HasSubstr("2 x 1.00 MB = 2.00 MB"));
  EXPECT_THAT(text, EndsWith("\n7 errors, 1 warning, 0 notes\n"));
}

TEST(ReportText, KeepsToAHundredColumns) {
  CheckReport wide = report();
  for (const FindingInfo& info : finding_kinds()) {
    wide.diagnosis.findings.push_back({info.kind,
                                       "a picture with a name",
                                       "and many words about what is wrong with it, "
                                       "more of them than fit into one line of text",
                                       {}});
  }
  for (const std::string_view line : split(report_text(wide), "\n")) {
    const auto columns = std::count_if(line.begin(), line.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    });
    EXPECT_LE(columns, 100) << line;
  }
}

TEST(ReportJson, HasEverything) {
  const auto json = nlohmann::json::parse(report_json(report()));
  EXPECT_EQ(json["summary"]["errors"], 7);
  EXPECT_EQ(json["summary"]["warnings"], 1);
  ASSERT_EQ(json["findings"].size(), 2);
  EXPECT_EQ(json["findings"][0]["kind"], "unreadable_picture");
  EXPECT_EQ(json["findings"][0]["severity"], "error");
  EXPECT_EQ(json["findings"][0]["items"].size(), 7);
  EXPECT_EQ(json["findings"][1]["items"][0]["pictures"][0], 0);
  EXPECT_EQ(json["buckets"][0]["size"][1], 64);
  EXPECT_EQ(json["steps"]["images_seen"], 30);
  EXPECT_EQ(json["disk"]["checkpoint_bytes"], 5'000'000);
  EXPECT_EQ(json["pictures"][0]["name"], "caf\xef\xbf\xbd.png");
  EXPECT_EQ(json["pictures"][0]["caption"], "a \"quoted\" cat");
  EXPECT_EQ(json["pictures"][0]["crop"][2], 0.5);
}

TEST(FindingKinds, NamesAreDistinctAndWorstFirst) {
  std::set<std::string> ids;
  Severity last = Severity::kError;
  for (const FindingInfo& info : finding_kinds()) {
    EXPECT_TRUE(ids.insert(info.id).second) << info.id;
    EXPECT_GE(info.severity, last) << info.id;
    last = info.severity;
  }
}

}  // namespace
}  // namespace sdtune
