#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/open_weights.h"
#include "formats/pickle_machine.h"
#include "formats/test_archives.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Metadata = std::map<std::string, std::string>;

constexpr auto kNested = CheckpointLayout::kNested;

std::string floats(size_t count) { return std::string(4 * count, '\1'); }
std::string float_tensor(int64_t count) {
  return p_tensor(p_storage("FloatStorage", "0", count), 0, {count}, {1});
}

std::vector<std::string> names_of(const WeightFile& file) {
  std::vector<std::string> names;
  for (const TensorInfo& info : file.tensors()) names.push_back(info.name);
  return names;
}

std::unique_ptr<WeightFile> open_bytes(const TemporaryFolder& folder, const std::string& bytes) {
  return open_weights(folder.write("x.pt", bytes), kNested);
}

// What opening a file with this pickle, whose storage "0" holds 4 floats, is refused with.
std::string pickle_refusal(const std::string& opcodes) {
  const TemporaryFolder folder;
  const std::string bytes = zip_checkpoint_of(pickle_of(opcodes), {floats(4)});
  return refusal([&] { open_bytes(folder, bytes); });
}

TEST(NestedCheckpoint, NamesTensorsByTheKeysOnTheirWay) {
  const std::string module = p_dict({p_text("linear.0.bias"), float_tensor(4)});
  const std::string pickle =
      pickle_of(p_dict({p_int(320), p_tuple({module, module}), p_int(768), "](" + module + "e",
                        p_text("step"), p_int(5), p_text("is_layer_norm"), "\x88", p_text("name"),
                        p_text("n"), p_text("layer_structure"),
                        "](" + p_int(1) + "G\x40\x04" + std::string(6, '\0') + p_int(1) + "e",
                        p_text("sd_checkpoint"), "N"}));
  const TemporaryFolder folder;
  const auto file = open_bytes(folder, zip_checkpoint_of(pickle, {floats(4)}));
  EXPECT_THAT(names_of(*file),
              ElementsAre("320.0.linear.0.bias", "320.1.linear.0.bias", "768.0.linear.0.bias"));
  EXPECT_EQ(tensor_bytes(*file, "768.0.linear.0.bias"), floats(4));
  EXPECT_EQ(file->metadata(), (Metadata{{"step", "5"},
                                        {"is_layer_norm", "true"},
                                        {"name", "n"},
                                        {"layer_structure", "1, 2.5, 1"}}));
}

TEST(NestedCheckpoint, ReadsTheLegacyForm) {
  LegacyParts parts;
  parts.object = pickle_of(p_dict({p_int(8), "](" + p_dict({p_text("w"), float_tensor(4)}) + "e"}));
  parts.storages = little<uint64_t>(4) + floats(4);
  const TemporaryFolder folder;
  EXPECT_THAT(names_of(*open_bytes(folder, parts.bytes())), ElementsAre("8.0.w"));
}

TEST(NestedCheckpoint, RefusesCodeByItsName) {
  EXPECT_THAT(pickle_refusal(p_name("os", "system") + p_tuple({p_text("echo")}) + "R"),
              HasSubstr("'os.system'"));
  EXPECT_THAT(pickle_refusal(p_dict({p_int(320), p_name("builtins", "eval")})),
              HasSubstr("'builtins.eval'"));
}

TEST(NestedCheckpoint, RefusesKeysThatAreNoNames) {
  const std::string nan = "G\x7f\xf8" + std::string(6, '\0');
  for (const std::string& key : {nan, std::string("N"), std::string(")"), std::string("\x88")}) {
    EXPECT_THAT(pickle_refusal(p_dict({key, float_tensor(4)})),
                HasSubstr("neither text nor a whole number"));
  }
  EXPECT_THAT(pickle_refusal(p_dict({p_int(3), float_tensor(4), p_text("3"), float_tensor(4)})),
              HasSubstr("stands twice"));
  EXPECT_THAT(pickle_refusal("](" + float_tensor(4) + "e"), HasSubstr("holds no dictionary"));
}

TEST(NestedCheckpoint, RefusesCirclesAndDepth) {
  EXPECT_THAT(pickle_refusal("}q\x01(" + p_text("a") + "h\x01u"), HasSubstr("nested too deeply"));
  std::string deep = float_tensor(4);
  for (size_t i = 0; i < kMaxPickleMarks; ++i) deep = ")" + deep + "\x86";
  EXPECT_THAT(pickle_refusal(p_dict({p_text("a"), deep})), HasSubstr("nested too deeply"));
}

TEST(NestedCheckpoint, RefusesWhatSharingWouldBlowUp) {
  // Lists of a thousand times the list before: a few kilobytes that stand for 10^9 entries.
  std::string lists = "(](" + float_tensor(4) + "eq\x01";
  for (char slot = 1; slot < 4; ++slot) {
    lists += "](";
    for (int i = 0; i < 1000; ++i) lists += std::string("h") + slot;
    lists += std::string("eq") + static_cast<char>(slot + 1);
  }
  EXPECT_LT(cpu_seconds([&] {
              EXPECT_THAT(pickle_refusal(p_dict({p_text("a"), lists + "t"})),
                          HasSubstr("too many entries"));
            }),
            kNotForEver);
  // A text of a megabyte as the value of many keys.
  std::string texts = "}(" + p_text("0") + p_text(std::string(1 << 20, 'x')) + "q\x01";
  for (int i = 1; i < 100; ++i) texts += p_text(std::to_string(i)) + "h\x01";
  EXPECT_THAT(pickle_refusal(texts + "u"), HasSubstr("too many entries"));
}

TEST(NestedCheckpoint, RefusesSizesThatTheFileDoesNotHave) {
  EXPECT_THAT(pickle_refusal(p_dict({p_int(3), float_tensor(int64_t{1} << 40)})),
              HasSubstr("missing or not of the size"));
  EXPECT_THAT(pickle_refusal(p_dict(
                  {p_int(3), p_tensor(p_storage("FloatStorage", "0", 4), 0, {1 << 30}, {0})})),
              HasSubstr("larger than its storage"));
}

TEST(NestedCheckpoint, WritesWhatItReads) {
  const TemporaryFolder folder;
  const std::vector<TensorToWrite> tensors = {tensor_of("a", DType::kF32, {2}, floats(2)),
                                              tensor_of("b", DType::kF16, {2}, floats(1))};
  const NestedValue module_a{
      NestedValue::Dict{{{std::string("linear.0.bias")}, {NestedValue::Tensor{0}}}}};
  const NestedValue module_b{
      NestedValue::Dict{{{std::string("linear.0.bias")}, {NestedValue::Tensor{1}}}}};
  write_nested_checkpoint(
      folder / "x.pt", tensors,
      {NestedValue::Dict{{{int64_t{320}}, {NestedValue::List{module_a, module_b}}},
                         {{std::string("ratio")}, {0.25}},
                         {{std::string("big")}, {int64_t{1} << 40}},
                         {{std::string("off")}, {false}},
                         {{std::string("none")}, {}}}});
  const auto file = open_weights(folder / "x.pt", kNested);
  EXPECT_THAT(names_of(*file), ElementsAre("320.0.linear.0.bias", "320.1.linear.0.bias"));
  EXPECT_EQ(tensor_bytes(*file, "320.1.linear.0.bias"), floats(1));
  EXPECT_EQ(file->find("320.1.linear.0.bias")->dtype, DType::kF16);
  EXPECT_EQ(file->metadata(),
            (Metadata{{"ratio", "0.25"}, {"big", "1099511627776"}, {"off", "false"}}));
}

}  // namespace
}  // namespace sdtune
