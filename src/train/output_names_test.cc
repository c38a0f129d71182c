#include "train/output_names.h"

#include <gtest/gtest.h>

namespace sdtune {
namespace {

TEST(OutputNames, AreThoseOfSdScripts) {
  TrainOptions options;
  options.run.output_dir = "out";
  const SaveMoment end, epoch{SaveMoment::Kind::kEpoch, 2}, step{SaveMoment::Kind::kStep, 100};
  EXPECT_EQ(model_path(options, SaveFormat::kCkpt, end), "out/last.ckpt");
  EXPECT_EQ(model_path(options, SaveFormat::kSafetensors, epoch), "out/epoch-000002.safetensors");
  EXPECT_EQ(model_path(options, SaveFormat::kDiffusers, step), "out/at-step00000100");
  EXPECT_EQ(state_folder(options, end), "out/last-state");
  options.run.output_name = "mine";
  EXPECT_EQ(model_path(options, SaveFormat::kSafetensors, end), "out/mine.safetensors");
  EXPECT_EQ(state_folder(options, epoch), "out/mine-000002-state");
  EXPECT_EQ(state_folder(options, step), "out/mine-step00000100-state");
}

TEST(OutputNames, FormFollowsTheOptionsAndElseTheSource) {
  SaveOptions options;
  EXPECT_EQ(save_format(options, SaveFormat::kCkpt), SaveFormat::kCkpt);
  EXPECT_EQ(save_format(options, SaveFormat::kDiffusersSafetensors),
            SaveFormat::kDiffusersSafetensors);
  options.use_safetensors = true;
  EXPECT_EQ(save_format(options, SaveFormat::kCkpt), SaveFormat::kSafetensors);
  EXPECT_EQ(save_format(options, SaveFormat::kDiffusers), SaveFormat::kDiffusersSafetensors);
  options.save_model_as = "ckpt";
  EXPECT_EQ(save_format(options, SaveFormat::kSafetensors), SaveFormat::kCkpt);
  options.save_model_as = "diffusers";
  EXPECT_EQ(save_format(options, SaveFormat::kSafetensors), SaveFormat::kDiffusersSafetensors);
}

}  // namespace
}  // namespace sdtune
