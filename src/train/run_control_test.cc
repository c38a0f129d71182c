#include "train/run_control.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/system.h"

namespace sdtune {
namespace {

TEST(TrainTime, IsMinutesOrUnits) {
  EXPECT_EQ(parse_train_time("90").count(), 5400);
  EXPECT_EQ(parse_train_time("0.5").count(), 30);
  EXPECT_EQ(parse_train_time("2h30m").count(), 9000);
  EXPECT_EQ(parse_train_time("1.5h").count(), 5400);
  EXPECT_EQ(parse_train_time("1h1m1s").count(), 3661);
  for (const char* wrong : {"", "0", "h", "2h30", "-5", "2 h", "2d", "inf", "nan", "1e99", "2hh"}) {
    EXPECT_THROW(parse_train_time(wrong), UsageError) << wrong;
  }
}

class RunControlTest : public testing::Test {
 protected:
  RunControlTest() { fs::create_directories(folder_); }
  ~RunControlTest() override {
    request_stop_for_test(0);
    fs::remove_all(folder_);
  }
  fs::path folder_ = fs::temp_directory_path() / ("sdtune-control-" + std::to_string(getpid()));
};

TEST_F(RunControlTest, APauseIsAnsweredOnce) {
  RunControl control(folder_, std::nullopt);
  EXPECT_EQ(control.asked().kind, StopRequest::Kind::kNone);
  request_pause(folder_);
  EXPECT_EQ(control.asked().kind, StopRequest::Kind::kPause);
  EXPECT_EQ(control.asked().kind, StopRequest::Kind::kNone);
}

TEST_F(RunControlTest, APauseMeantForAnEarlierRunIsDropped) {
  request_pause(folder_);
  RunControl control(folder_, std::nullopt);
  EXPECT_EQ(control.asked().kind, StopRequest::Kind::kNone);
}

TEST_F(RunControlTest, SignalsAndTheTimeAreSeen) {
  RunControl late(folder_, "0.001s");
  EXPECT_EQ(late.asked().kind, StopRequest::Kind::kTimeUp);
  RunControl early(folder_, "1000h");
  EXPECT_EQ(early.asked().kind, StopRequest::Kind::kNone);
  request_stop_for_test(SIGTERM);
  EXPECT_EQ(late.asked().kind, StopRequest::Kind::kSignal);
  EXPECT_EQ(late.asked().signal, SIGTERM);
}

}  // namespace
}  // namespace sdtune
