#include "train/hypernetwork_training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "models/small_models_for_test.h"
#include "models/unet_2d_condition.h"
#include "options/option_table.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

TrainOptions training() {
  TrainOptions options;
  options.hypernetwork.module = "hypernetwork_nai";
  return options;
}

std::string refusal(const TrainOptions& options) {
  try {
    validate_hypernetwork(options);
  } catch (const UsageError& error) {
    return error.where() + ": " + error.what();
  }
  return "";
}

TEST(HypernetworkTraining, RefusesWhatDoesNotGoWithIt) {
  EXPECT_EQ(refusal(training()), "");
  EXPECT_EQ(refusal(TrainOptions()), "");
  TrainOptions options = training();
  options.compatibility.diffusers_xformers = true;
  EXPECT_THAT(refusal(options), HasSubstr("--diffusers_xformers: it stands for attention"));
  options = training();
  options.run.train_text_encoder = true;
  EXPECT_THAT(refusal(options), HasSubstr("--train_text_encoder: only the hypernetwork"));
  options = training();
  options.run.gradient_checkpointing = true;
  EXPECT_EQ(refusal(options), "");
  options.precision.fused_backward_pass = true;
  EXPECT_THAT(refusal(options), HasSubstr("blocks share its weights"));
  options = training();
  options.optimizer.block_lr = "mid_block=1e-4";
  EXPECT_THAT(refusal(options), HasSubstr("--block_lr: only the hypernetwork"));
  options = training();
  options.save.save_model_as = "diffusers_safetensors";
  EXPECT_THAT(refusal(options), HasSubstr("--save_model_as: a hypernetwork is one file"));
  options = training();
  options.hypernetwork.weights = "h.pt";
  EXPECT_EQ(refusal(options), "");
  options.hypernetwork.layer_norm = true;
  EXPECT_THAT(refusal(options), HasSubstr("the layers are those of --hypernetwork_weights"));
  options.hypernetwork.module.reset();
  EXPECT_THAT(refusal(options), HasSubstr("no hypernetwork is trained"));
}

TEST(HypernetworkTraining, RefusesStructuresThatAreNone) {
  for (const char* text :
       {"", "1", "1,2", "1,,1", "1,x,1", "1,2,1,", "1;2;1", "1,nan,1", "1,0,1"}) {
    TrainOptions options = training();
    options.hypernetwork.layer_structure = text;
    EXPECT_THAT(refusal(options), HasSubstr("--hypernetwork_layer_structure")) << text;
  }
}

TEST(HypernetworkTraining, EveryActivationOfItsOptionIsOneOfTheModels) {
  TrainOptions options;
  const OptionTable table = describe(options);
  const auto& all = table.options();
  const auto found = std::ranges::find(all, "hypernetwork_activation", &Option::name);
  ASSERT_NE(found, all.end());
  EXPECT_EQ(found->choices, hypernetwork_activations());
}

TEST(HypernetworkTraining, MakesWhatTheOptionsSay) {
  TrainOptions options = training();
  options.run.seed = 5;
  options.hypernetwork.layer_structure = "1,1.5,2,1";
  options.hypernetwork.activation = "relu";
  options.hypernetwork.dropout = 0.2;
  const UNet2DConditionModel unet(small_unet_v1());
  const auto made = make_hypernetwork(options, unet, at::TensorOptions(at::kBFloat16));
  EXPECT_EQ(made->layout.layer_structure, (std::vector<double>{1, 1.5, 2, 1}));
  EXPECT_EQ(made->layout.dropout, (std::vector<double>{0, 0.2, 0.2, 0}));
  EXPECT_FALSE(made->layout.activate_output);
  EXPECT_EQ(made->pairs.size(), 3);
  const auto groups = hypernetwork_groups(options.optimizer, *made);
  ASSERT_EQ(groups.size(), 1);
  EXPECT_EQ(groups[0].parameters.size(), 3 * 2 * 6);
  EXPECT_EQ(groups[0].parameters[0].name, "hypernetwork.24.0.linear.0.weight");
  for (const NamedParameter& parameter : groups[0].parameters) {
    EXPECT_TRUE(parameter.tensor.requires_grad());
    EXPECT_EQ(parameter.tensor.scalar_type(), at::kBFloat16);
  }
}

TEST(HypernetworkTraining, FilesArePickledUnlessAskedOtherwise) {
  TrainOptions options = training();
  options.run.output_dir = "out";
  options.run.output_name = "mine";
  const auto name = [&] {
    return hypernetwork_path(options, {SaveMoment::Kind::kEpoch, 2}).string();
  };
  EXPECT_EQ(name(), "out/mine-000002.pt");
  options.save.use_safetensors = true;
  EXPECT_EQ(name(), "out/mine-000002.safetensors");
  options.save.save_model_as = "ckpt";
  EXPECT_EQ(name(), "out/mine-000002.pt");
  options.save.save_model_as = "safetensors";
  EXPECT_EQ(name(), "out/mine-000002.safetensors");
}

}  // namespace
}  // namespace sdtune
