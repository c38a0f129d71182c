#include "models/hypernetwork_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/open_weights.h"
#include "formats/safetensors.h"
#include "formats/test_archives.h"

namespace sdtune {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Hypernetwork drawn(const HypernetworkLayout& layout = {}) {
  Hypernetwork hypernetwork({4, 8}, layout);
  draw_weights(hypernetwork, 5);
  return hypernetwork;
}

void expect_same(Hypernetwork& a, Hypernetwork& b) {
  EXPECT_EQ(a.layout.layer_structure, b.layout.layer_structure);
  EXPECT_EQ(a.layout.activation, b.layout.activation);
  EXPECT_EQ(a.layout.activate_output, b.layout.activate_output);
  EXPECT_EQ(a.layout.layer_norm, b.layout.layer_norm);
  const NamedTensors first = named_parameters(a), second = named_parameters(b);
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].first, second[i].first);
    EXPECT_TRUE(first[i].second.equal(second[i].second)) << first[i].first;
  }
}

class HypernetworkFile : public testing::TestWithParam<const char*> {
 protected:
  TemporaryFolder folder_;
};

TEST_P(HypernetworkFile, ComesBackWhole) {
  const HypernetworkLayout layouts[] = {
      {},
      {.layer_structure = {1, 1.5, 2, 1}, .activation = "mish", .layer_norm = true},
      {.layer_structure = {1, 2, 2, 1}, .activation = "relu", .activate_output = true},
      {.layer_structure = {1, 2, 2, 1}, .dropout = {0, 0.3, 0.5, 0}}};
  for (const HypernetworkLayout& layout : layouts) {
    Hypernetwork made = drawn(layout);
    save_hypernetwork(made, {.path = folder_ / GetParam(), .step = 7, .name = "n"});
    Hypernetwork read = load_hypernetwork(folder_ / GetParam());
    expect_same(made, read);
    const size_t widths = layout.layer_structure.size();
    EXPECT_EQ(read.layout.dropout,
              layout.dropout.empty() ? std::vector<double>(widths, 0) : layout.dropout);
  }
}

TEST_P(HypernetworkFile, SaysWhatItIs) {
  Hypernetwork made = drawn({.layer_structure = {1, 1.5, 1}});
  save_hypernetwork(made, {.path = folder_ / GetParam(),
                           .precision = SavePrecision::kFp16,
                           .step = 7,
                           .name = "mine",
                           .model_name = "base"});
  const auto file = open_weights(folder_ / GetParam(), CheckpointLayout::kNested);
  const auto& facts = file->metadata();
  EXPECT_EQ(facts.at("step"), "7");
  EXPECT_EQ(facts.at("name"), "mine");
  EXPECT_EQ(facts.at("layer_structure"), "1, 1.5, 1");
  EXPECT_EQ(facts.at("activation_func"), "linear");
  EXPECT_EQ(facts.at("is_layer_norm"), "false");
  EXPECT_EQ(facts.at("sd_checkpoint_name"), "base");
  EXPECT_EQ(facts.count("sd_checkpoint"), 0);
  EXPECT_EQ(file->find("4.1.linear.0.weight")->dtype, DType::kF16);
}

TEST_P(HypernetworkFile, EqualOnesGiveEqualBytes) {
  Hypernetwork first = drawn(), second = drawn();
  save_hypernetwork(first, {.path = folder_ / GetParam()});
  const std::string bytes = file_bytes(folder_ / GetParam());
  save_hypernetwork(second, {.path = folder_ / GetParam()});
  EXPECT_TRUE(bytes == file_bytes(folder_ / GetParam()));
}

INSTANTIATE_TEST_SUITE_P(EachForm, HypernetworkFile, testing::Values("h.pt", "h.safetensors"));

// NovelAI's form: lists of dictionaries and nothing else, with the older names.
std::string nai_dict(const std::vector<std::string>& names, const std::vector<std::string>& more,
                     int64_t hidden = 4) {
  const auto tensor = [](const std::string& key, std::vector<int64_t> shape) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    return p_tensor(
        p_storage("FloatStorage", key, count), 0, shape,
        shape.size() == 2 ? std::vector<int64_t>{shape[1], 1} : std::vector<int64_t>{1});
  };
  const std::string module =
      p_dict({p_text(names[0]), tensor("0", {hidden, 2}), p_text(names[1]), tensor("1", {hidden}),
              p_text(names[2]), tensor("2", {2, hidden}), p_text(names[3]), tensor("3", {2})});
  std::vector<std::string> items = {p_int(2), "](" + module + module + "e"};
  items.insert(items.end(), more.begin(), more.end());
  return pickle_of(p_dict(items));
}

const std::vector<std::string> kOldNames = {"linear1.weight", "linear1.bias", "linear2.weight",
                                            "linear2.bias"};
const std::vector<std::string> kNames = {"linear.0.weight", "linear.0.bias", "linear.1.weight",
                                         "linear.1.bias"};

std::string floats(std::vector<float> values) {
  return {reinterpret_cast<const char*>(values.data()), 4 * values.size()};
}
const std::vector<std::string> kStorages = {floats({1, 2, 3, 4, 5, 6, 7, 8}), floats({1, 2, 3, 4}),
                                            floats({8, 7, 6, 5, 4, 3, 2, 1}), floats({9, 10})};

TEST(HypernetworkForms, NovelAIsIsRead) {
  const TemporaryFolder folder;
  for (const auto& names : {kOldNames, kNames}) {
    const auto path = folder.write("nai.pt", zip_checkpoint_of(nai_dict(names, {}), kStorages));
    const Hypernetwork read = load_hypernetwork(path);
    const auto& layers = read.pairs.at(2).values.layers;
    EXPECT_EQ(layers[0].linear.weight[3][1].item<float>(), 8);
    EXPECT_EQ(layers[1].linear.weight[1][0].item<float>(), 4);
    EXPECT_EQ(layers[1].linear.bias[1].item<float>(), 10);
    EXPECT_EQ(layers[0].activation, nullptr);
  }
}

TEST(HypernetworkForms, OldFilesActivateTheirOutputAndSayOnlyThatTheyDropOut) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "old.pt",
      zip_checkpoint_of(
          nai_dict({"linear.0.weight", "linear.0.bias", "linear.3.weight", "linear.3.bias"},
                   {p_text("activation_func"), p_text("tanh"), p_text("use_dropout"), "\x88",
                    p_text("last_layer_dropout"), "\x88"}),
          kStorages));
  const Hypernetwork read = load_hypernetwork(path);
  EXPECT_TRUE(read.layout.activate_output);
  EXPECT_EQ(read.layout.dropout, (std::vector<double>{0, 0.3, 0}));
  EXPECT_NE(read.pairs.at(2).keys.layers[1].activation, nullptr);
}

std::string refusal_of(const std::vector<std::string>& names, const std::vector<std::string>& more,
                       int64_t hidden = 4) {
  const TemporaryFolder folder;
  std::vector<std::string> storages = kStorages;
  if (hidden != 4)
    storages = {floats({1, 2, 3, 4}), floats({1, 2}), floats({1, 2, 3, 4}), floats({1, 2})};
  const auto path =
      folder.write("bad.pt", zip_checkpoint_of(nai_dict(names, more, hidden), storages));
  return refusal([&] { load_hypernetwork(path); });
}

TEST(HypernetworkForms, HostileOnesAreRefusedWithOneReason) {
  EXPECT_THAT(
      refusal_of(kNames, {p_text("x"), p_name("os", "system") + p_tuple({p_text("ls")}) + "R"}),
      HasSubstr("os.system"));
  EXPECT_THAT(refusal_of(kNames, {}, 2),
              AllOf(HasSubstr("2.0.linear.0.weight"), HasSubstr("[2, 2]"),
                    HasSubstr("[4, 2] were expected")));
  EXPECT_THAT(
      refusal_of({"linear.0.weight", "linear.0.bias", "linear.5.weight", "linear.1.bias"}, {}),
      HasSubstr("lacks the tensor \"2.0.linear.1.weight\""));
  std::string thousands = "](" + p_int(1);
  for (int i = 0; i < 5000; ++i) thousands += p_int(2);
  EXPECT_THAT(refusal_of(kNames, {p_text("layer_structure"), thousands + p_int(1) + "e"}),
              HasSubstr("no list of few numbers"));
  const std::string nan = "G\x7f\xf8" + std::string(6, '\0');
  EXPECT_THAT(
      refusal_of(kNames, {p_text("layer_structure"), "](" + p_int(1) + nan + p_int(1) + "e"}),
      HasSubstr("no list of few numbers"));
  EXPECT_THAT(refusal_of(kNames, {p_text("layer_structure"), p_text("1; 2; 1")}),
              HasSubstr("no list of few numbers"));
  EXPECT_THAT(refusal_of(kNames, {p_text("activation_func"), p_text("exec")}),
              HasSubstr("no activation \"exec\""));
  EXPECT_THAT(refusal_of(kNames, {nan, "N"}), HasSubstr("neither text nor a whole number"));
  for (const int64_t width : {int64_t{-1}, int64_t{0}, int64_t{1} << 40}) {
    const std::string tensor = p_tensor(p_storage("FloatStorage", "3", 2), 0, {2}, {1});
    EXPECT_THAT(refusal_of(kNames, {p_int(width), "](" + p_dict({p_text("w"), tensor}) + "e"}),
                HasSubstr("none of a hypernetwork's"));
  }
  const std::string more = p_tensor(p_storage("FloatStorage", "3", 2), 0, {2}, {1});
  EXPECT_THAT(refusal_of(kNames, {p_text("2.0.extra"), more}), HasSubstr("holds 9 tensors"));
}

TEST(HypernetworkForms, EveryCutIsRefused) {
  const TemporaryFolder folder;
  Hypernetwork made = drawn();
  for (const char* name : {"h.pt", "h.safetensors"}) {
    save_hypernetwork(made, {.path = folder / name});
    const std::string bytes = file_bytes(folder / name);
    for (size_t length = 0; length < bytes.size(); length += 97) {
      const auto path = folder.write("cut", bytes.substr(0, length));
      EXPECT_NE(refusal([&] { load_hypernetwork(path); }), "") << length;
    }
  }
}

TEST(HypernetworkForms, OtherFilesAreNamedForWhatTheyAreNot) {
  const TemporaryFolder folder;
  write_safetensors(folder / "model.safetensors",
                    {tensor_of("model.diffusion_model.w", DType::kF32, {1}, floats({1}))});
  EXPECT_THAT(refusal([&] { load_hypernetwork(folder / "model.safetensors"); }),
              HasSubstr("\"model.diffusion_model.w\" is none of a hypernetwork's"));
  write_safetensors(folder / "whole.safetensors",
                    {tensor_of("2.0.linear.0.weight", DType::kI32, {4, 2}, std::string(32, 'x'))});
  EXPECT_THAT(refusal([&] { load_hypernetwork(folder / "whole.safetensors"); }),
              HasSubstr("is I32 [4, 2]; floating numbers"));
}

}  // namespace
}  // namespace sdtune
