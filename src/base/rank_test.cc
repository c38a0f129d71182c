#include "base/rank.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"

namespace sdtune {
namespace {

class RankFromEnvironment : public testing::Test {
 protected:
  void SetUp() override { clear(); }
  void TearDown() override { clear(); }

  static void clear() {
    for (const char* name :
         {"RANK", "WORLD_SIZE", "LOCAL_RANK", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
          "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"}) {
      ::unsetenv(name);
    }
  }

  static void set(const char* name, const char* value) { ::setenv(name, value, 1); }

  static void expect(int rank, int world_size, int local_rank) {
    const Rank found = rank_from_environment();
    EXPECT_EQ(found.rank, rank);
    EXPECT_EQ(found.world_size, world_size);
    EXPECT_EQ(found.local_rank, local_rank);
  }
};

TEST_F(RankFromEnvironment, AloneWithoutVariables) { expect(0, 1, 0); }

TEST_F(RankFromEnvironment, ReadsTorchrun) {
  set("RANK", "5");
  set("WORLD_SIZE", "8");
  set("LOCAL_RANK", "1");
  expect(5, 8, 1);
}

TEST_F(RankFromEnvironment, ReadsMpirun) {
  set("OMPI_COMM_WORLD_RANK", "3");
  set("OMPI_COMM_WORLD_SIZE", "4");
  set("OMPI_COMM_WORLD_LOCAL_RANK", "1");
  expect(3, 4, 1);
}

TEST_F(RankFromEnvironment, ReadsSrun) {
  set("SLURM_PROCID", "2");
  set("SLURM_NTASKS", "3");
  set("SLURM_LOCALID", "0");
  expect(2, 3, 0);
}

TEST_F(RankFromEnvironment, TorchrunInsideSlurmWins) {
  set("SLURM_PROCID", "0");
  set("SLURM_NTASKS", "2");
  set("RANK", "7");
  set("WORLD_SIZE", "8");
  set("LOCAL_RANK", "3");
  expect(7, 8, 3);
}

TEST_F(RankFromEnvironment, ARankWithoutASizeIsNoRank) {
  set("RANK", "3");
  expect(0, 1, 0);
}

TEST_F(RankFromEnvironment, AnEmptyVariableIsAbsent) {
  set("RANK", "");
  set("WORLD_SIZE", "");
  expect(0, 1, 0);
}

TEST_F(RankFromEnvironment, WithoutALocalRankAllAreOnOneMachine) {
  set("RANK", "1");
  set("WORLD_SIZE", "2");
  expect(1, 2, 1);
}

TEST_F(RankFromEnvironment, RefusesWhatIsNoNumberAndNamesTheVariable) {
  set("WORLD_SIZE", "2");
  for (const char* text : {"one", "1x", "-1", " 1", "99999999999"}) {
    set("RANK", text);
    try {
      rank_from_environment();
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), "environment variable RANK");
      EXPECT_FALSE(error.hint().empty());
    }
  }
}

TEST_F(RankFromEnvironment, RefusesARankOutsideTheWorld) {
  set("RANK", "2");
  set("WORLD_SIZE", "2");
  EXPECT_THROW(rank_from_environment(), Error);
  set("RANK", "0");
  set("WORLD_SIZE", "0");
  EXPECT_THROW(rank_from_environment(), Error);
}

}  // namespace
}  // namespace sdtune
