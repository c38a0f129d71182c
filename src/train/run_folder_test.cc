#include "train/run_folder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sdtune {
namespace {

TEST(RunFolder, TheFirstRecordAfterACrashHasALineOfItsOwn) {
  const fs::path folder = temporary_name(fs::path(testing::TempDir()) / "run_folder");
  const fs::path events = folder / "mine-run" / "events.jsonl";
  RunFolder(folder, "mine", "").event("save", {{"step", 1}});
  AppendFile(events).append_bytes(R"({"time": "2026-01-01T00:0)");
  for (const int step : {2, 3}) RunFolder(folder, "mine", "").event("save", {{"step", step}});

  std::vector<int> steps;
  visit_events(events.parent_path(), "save",
               [&](const nlohmann::json& event) { steps.push_back(event.at("step")); });
  EXPECT_EQ(steps, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(read_file(events).find("\n\n"), std::string::npos);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace sdtune
