#include "commands/dispatch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "base/error.h"

namespace sdtune {
namespace {

TEST(Dispatch, FindsCommandsAsPeopleWriteThem) {
  for (const Command& command : commands()) {
    const std::string name = command.name;
    EXPECT_EQ(&find_command(name), &command);
    EXPECT_EQ(&find_command(name + ".py"), &command);
    EXPECT_EQ(&find_command("finetune/" + name + ".py"), &command);
    for (const char* alias : command.aliases) EXPECT_EQ(&find_command(alias), &command);
  }
  EXPECT_EQ(std::string(find_command("docs").name), "docs");
}

TEST(Dispatch, KnowsWhatComputes) {
  const auto computes = [](std::vector<std::string> args) { return will_compute(args); };
  EXPECT_TRUE(computes({"train", "--seed=1"}));
  EXPECT_TRUE(computes({"fine_tune.py"}));
  EXPECT_FALSE(computes({"train", "--help"}));
  EXPECT_FALSE(computes({"help", "train"}));
  EXPECT_FALSE(computes({"--version"}));
  EXPECT_FALSE(computes({"docs"}));
  EXPECT_FALSE(computes({}));
  EXPECT_THROW(computes({"trian"}), UsageError);
}

TEST(Dispatch, UnknownCommandsGetASuggestion) {
  try {
    find_command("doks");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "there is no command 'doks'");
    EXPECT_EQ(error.hint(), "did you mean docs?");
  }
  EXPECT_THROW(find_command(""), UsageError);
}

TEST(Dispatch, DescribesFailures) {
  const Failure own = describe_failure(Error("no file", "a.txt", "look elsewhere"));
  EXPECT_EQ(own.exit_code, 1);
  EXPECT_EQ(own.message, "error: no file\n  where: a.txt\n  try: look elsewhere\n");
  EXPECT_EQ(describe_failure(Error("bare")).message, "error: bare\n");
  EXPECT_EQ(describe_failure(UsageError("wrong")).exit_code, 2);
  const Failure memory = describe_failure(std::bad_alloc());
  EXPECT_EQ(memory.exit_code, 1);
  EXPECT_TRUE(memory.message.starts_with("error: there is not enough memory\n  try: "));
  for (const char* what : {"DefaultCPUAllocator: can't allocate memory: you tried 9 bytes",
                           "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED in create",
                           "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"}) {
    EXPECT_TRUE(describe_failure(std::runtime_error(what))
                    .message.starts_with(fmt::format(
                        "error: there is not enough memory\n  where: {}\n  try: ", what)));
  }
  const Failure torch = describe_failure(
      std::runtime_error("bad shape\nException raised from add at x.cpp:1\nframe #0"));
  EXPECT_EQ(torch.exit_code, 1);
  EXPECT_EQ(torch.message, "error: bad shape\n");
}

}  // namespace
}  // namespace sdtune
