#include "train/previews.h"

#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/log.h"
#include "image/decode.h"
#include "image/test_pictures.h"
#include "train/tiny_model_for_test.h"

namespace sdtune {
namespace {

// The prompts of a run, drawn by each of its processes in turn.
class SharedPreviews : public testing::Test {
 protected:
  SharedPreviews() {
    configure_log({.level = LogLevel::kError});
    write_random_model(folder_ / "model", tiny_model());
    folder_.write("prompts.txt", "a\nb --d 4\nc\nd\ne\n");
    options_.model.pretrained_model_name_or_path = folder_ / "model";
    options_.preview.sample_prompts = folder_ / "prompts.txt";
    options_.preview.sample_at_first = true;
    options_.run.seed = 3;
  }
  ~SharedPreviews() override { configure_log({}); }

  // The pictures by their prompts' places.
  std::map<int64_t, std::string> draw(const Rank& rank) {
    options_.run.output_dir = folder_ / fmt::format("{}-of-{}", rank.rank, rank.world_size);
    RunFolder record(options_.run.output_dir, "run", "");
    std::vector<PromptLine> prompts = read_preview_prompts(options_.preview);
    for (PromptLine& prompt : prompts) {
      prompt.request.width = prompt.request.height = 64;
      prompt.request.steps = 1;
    }
    Trainee trainee = make_trainee(options_, at::kCPU);
    Previews(options_, std::move(prompts), record, rank).draw(trainee, 0, 0);
    std::map<int64_t, std::string> pictures;
    visit_events(record.path(), "sample", [&](const nlohmann::json& event) {
      pictures[event["index"]] = read_file(event["path"].get<std::string>());
    });
    const fs::directory_iterator files(options_.run.output_dir / "sample");
    EXPECT_EQ(std::distance(begin(files), end(files)), std::ssize(pictures));
    return pictures;
  }

  TestFolder folder_;
  TrainOptions options_;
};

TEST_F(SharedPreviews, GoRoundTheProcessesAndStayTheSame) {
  const std::map<int64_t, std::string> alone = draw({});
  ASSERT_EQ(alone.size(), 5u);
  std::map<int64_t, std::string> together = draw({.rank = 0, .world_size = 2});
  EXPECT_THAT(together, testing::ElementsAre(testing::Key(0), testing::Key(2), testing::Key(4)));
  const std::map<int64_t, std::string> others = draw({.rank = 1, .world_size = 2});
  EXPECT_THAT(others, testing::ElementsAre(testing::Key(1), testing::Key(3)));
  together.insert(others.begin(), others.end());
  EXPECT_TRUE(together == alone);  // not EXPECT_EQ, which would print pictures
}

// A record of pictures drawn at so many steps, and the width of their sheet.
int sheet_width(const fs::path& folder, int64_t steps) {
  RunFolder record(folder, "run", "");
  fs::create_directories(folder / "sample");
  for (int64_t step = 1; step <= steps; ++step) {
    const fs::path path = folder / "sample" / fmt::format("{}.png", step);
    // The last is gone.
    if (step < steps) write_png(path, test_picture(16, 16));
    record.event("sample",
                 {{"step", step}, {"index", 0}, {"path", path.string()}, {"prompt", "a"}});
  }
  draw_preview_sheet(folder, record.path());
  return image_size(folder / "sample" / "contact-sheet.png").width;
}

TEST(PreviewSheet, HasAColumnForEachStepUpToTwelve) {
  configure_log({.level = LogLevel::kError});
  const TestFolder folder;
  const int of_three = sheet_width(folder / "3", 3), of_four = sheet_width(folder / "4", 4);
  const int column = of_four - of_three;
  EXPECT_GT(column, 16);
  EXPECT_EQ(sheet_width(folder / "12", 12), of_three + 9 * column);
  EXPECT_EQ(sheet_width(folder / "30", 30), of_three + 9 * column);
  configure_log({});
}

}  // namespace
}  // namespace sdtune
