#include "hub/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace sdtune {
namespace {

using Names = std::vector<std::string>;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

const Names kSmall = {"model_index.json",
                      "unet/config.json",
                      "vae/config.json",
                      "text_encoder/config.json",
                      "tokenizer/vocab.json",
                      "tokenizer/merges.txt",
                      "scheduler/scheduler_config.json"};

Names with(Names names, const Names& more) {
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

TEST(ModelFiles, TakesOneFormOfTheWeightsAndNoSafetyChecker) {
  const Names best = {"unet/diffusion_pytorch_model.safetensors",
                      "vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"};
  const Names rest = {"unet/diffusion_pytorch_model.bin",
                      "unet/diffusion_pytorch_model.fp16.safetensors",
                      "unet/diffusion_pytorch_model.non_ema.safetensors",
                      "vae/diffusion_pytorch_model.bin",
                      "text_encoder/pytorch_model.bin",
                      "text_encoder/flax_model.msgpack",
                      "safety_checker/config.json",
                      "safety_checker/model.safetensors",
                      "v1-5-pruned.safetensors",
                      "tokenizer/model.bin",
                      "README.md",
                      ".gitattributes"};
  EXPECT_THAT(whole_model_files(with(with(kSmall, rest), best)),
              UnorderedElementsAreArray(with(kSmall, best)));
}

TEST(ModelFiles, APickleOnlyWhereNoSafetensorsIsOffered) {
  const Names files = whole_model_files(with(
      kSmall, {"unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.safetensors",
               "vae/diffusion_pytorch_model.bin", "text_encoder/pytorch_model.bin"}));
  EXPECT_THAT(files,
              UnorderedElementsAreArray(with(
                  kSmall, {"unet/diffusion_pytorch_model.fp16.safetensors",
                           "vae/diffusion_pytorch_model.bin", "text_encoder/pytorch_model.bin"})));
}

TEST(ModelFiles, OfACaptionerItsWordsToo) {
  const Names needed = {"config.json", "model.safetensors", "tokenizer.json", "vocab.txt"};
  EXPECT_THAT(captioner_files(
                  with(needed, {"pytorch_model.bin", "tf_model.h5", "special_tokens_map.json"})),
              UnorderedElementsAreArray(needed));
  EXPECT_THROW(captioner_files({"model.safetensors", "vocab.txt"}), Error);
  EXPECT_THROW(captioner_files({"config.json", "vocab.txt"}), Error);
}

TEST(ModelFiles, ShardsComeWithTheirIndexAndAllOrNone) {
  const Names shards = {"diffusion_pytorch_model-00001-of-00002.safetensors",
                        "diffusion_pytorch_model-00002-of-00002.safetensors",
                        "diffusion_pytorch_model.safetensors.index.json"};
  const Names others = {"config.json", "diffusion_pytorch_model.fp16-00001-of-00001.safetensors",
                        "diffusion_pytorch_model-00001-of-00002.bin"};
  EXPECT_THAT(vae_files(with(shards, others)),
              UnorderedElementsAreArray(with(shards, {"config.json"})));
  EXPECT_THROW(vae_files(with({shards[0], shards[2]}, others)), Error);
  EXPECT_THAT(
      vae_files({"config.json", "diffusion_pytorch_model.safetensors.index.fp16.json",
                 "diffusion_pytorch_model.fp16-00001-of-00001.safetensors",
                 "diffusion_pytorch_model-00001-of-00002.safetensors"}),
      UnorderedElementsAre("config.json", "diffusion_pytorch_model.safetensors.index.fp16.json",
                           "diffusion_pytorch_model.fp16-00001-of-00001.safetensors"));
}

TEST(ModelFiles, AVaeAloneOrInAModel) {
  EXPECT_THAT(vae_files({"config.json", "diffusion_pytorch_model.safetensors", "README.md"}),
              UnorderedElementsAre("config.json", "diffusion_pytorch_model.safetensors"));
  EXPECT_THAT(vae_files(with(kSmall, {"vae/diffusion_pytorch_model.safetensors",
                                      "unet/diffusion_pytorch_model.safetensors"})),
              UnorderedElementsAre("vae/config.json", "vae/diffusion_pytorch_model.safetensors"));
}

TEST(ModelFiles, WhatIsNotEnoughIsSaid) {
  try {
    whole_model_files({"README.md", "anything-v3.ckpt"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), testing::HasSubstr("/anything-v3.ckpt"));
  }
  EXPECT_THROW(whole_model_files(kSmall), Error);
  EXPECT_THROW(only_file("a")({"b"}), Error);
  EXPECT_THROW(whole_folder("a")({"ab/c"}), Error);
  EXPECT_THAT(whole_folder("a")({"ab/c", "a/d", "a/e/f"}), UnorderedElementsAre("a/d", "a/e/f"));
}

}  // namespace
}  // namespace sdtune
