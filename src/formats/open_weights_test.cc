#include "formats/open_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/safetensors.h"
#include "formats/test_archives.h"
#include "formats/torch_checkpoint.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

TEST(OpenWeights, GoesByContentNotByName) {
  const TemporaryFolder folder;
  const std::vector<TensorToWrite> tensors = {tensor_of("w", DType::kU8, {1}, "w")};
  write_safetensors(folder / "a.ckpt", tensors);
  write_torch_checkpoint(folder / "b.safetensors", tensors);
  LegacyParts legacy;
  legacy.object =
      pickle_of(p_dict({p_text("w"), p_tensor(p_storage("ByteStorage", "0", 1), 0, {1}, {1})}));
  legacy.storages = little<int64_t>(1) + "w";
  folder.write("c", legacy.bytes());
  for (const char* name : {"a.ckpt", "b.safetensors", "c"}) {
    EXPECT_EQ(tensor_bytes(*open_weights(folder / name), "w"), "w") << name;
  }
}

TEST(OpenWeights, SaysWhatWasFoundInstead) {
  const TemporaryFolder folder;
  const auto found = [&](std::string_view bytes) {
    const auto path = folder.write("x.safetensors", bytes);
    return refusal([&] { open_weights(path); });
  };
  EXPECT_THAT(found(""), HasSubstr("empty"));
  EXPECT_THAT(found("<!DOCTYPE html><html>"), HasSubstr("web page"));
  EXPECT_THAT(found("\n  <html>"), HasSubstr("web page"));
  EXPECT_THAT(found("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
              HasSubstr("Git LFS"));
  EXPECT_THAT(found(R"({"error":"Repository not found"})"), HasSubstr("JSON"));
  EXPECT_THAT(found(std::string(257, 'x') + "ustar" + std::string(300, '\0')), HasSubstr("tar"));
  EXPECT_THAT(found("\x1f\x8b\b"), HasSubstr("gzip"));
  EXPECT_THAT(found("GGUF\3"), HasSubstr("GGUF"));
  EXPECT_THAT(found("\x89PNG\r\n"), HasSubstr("neither"));
  EXPECT_THAT(found("PK\5\6"), HasSubstr("neither"));
}

TEST(OpenWeights, NamesFoldersAndMissingFiles) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "model");
  EXPECT_THAT(refusal([&] { open_weights(folder / "model"); }), HasSubstr("folder"));
  EXPECT_NE(refusal([&] { open_weights(folder / "absent.ckpt"); }), "");
}

}  // namespace
}  // namespace sdtune
