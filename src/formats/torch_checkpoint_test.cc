#include "formats/torch_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/pickle_machine.h"
#include "formats/test_archives.h"

namespace sdtune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string open_refusal(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder.write("x.ckpt", bytes);
  return refusal([&] { open_torch_checkpoint(path); });
}

// A tensor of bytes 0..11 as [3, 4], under the storage "0".
const std::string kData("\0\1\2\3\4\5\6\7\10\11\12\13", 12);
std::string bytes_tensor(std::vector<int64_t> shape = {3, 4}, std::vector<int64_t> strides = {4, 1},
                         int64_t offset = 0) {
  return p_tensor(p_storage("ByteStorage", "0", 12), offset, shape, strides);
}

struct Opened {
  TemporaryFolder folder;
  std::unique_ptr<WeightFile> file;
  explicit Opened(const std::string& bytes) {
    file = open_torch_checkpoint(folder.write("x.ckpt", bytes));
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const TensorInfo& info : file->tensors()) all.push_back(info.name);
    return all;
  }
};

TEST(TorchCheckpoint, ReadsAPlainStateDict) {
  const Opened opened(zip_checkpoint_of(pickle_of(p_dict({p_text("w"), bytes_tensor()})), {kData}));
  ASSERT_THAT(opened.names(), ElementsAre("w"));
  EXPECT_THAT(opened.file->tensors()[0].shape, ElementsAre(3, 4));
  EXPECT_EQ(tensor_bytes(*opened.file, "w"), kData);
}

TEST(TorchCheckpoint, ReadsAWrappedStateDictAndItsNumbers) {
  const std::string opaque = p_name("numpy.core.multiarray", "scalar") + ")R";
  const std::string callback =
      p_name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint");
  const std::string inner = p_dict({p_text("w"), bytes_tensor(), p_text("steps"), "]",
                                    p_text("scale"), "G?\xe0" + std::string(6, '\0')});
  const Opened opened(zip_checkpoint_of(
      pickle_of(p_dict({p_text("epoch"), p_int(3), p_text("global_step"), p_int(470000),
                        p_text("version"), p_text("1.4"), p_text("best"), opaque,
                        p_text("callbacks"), p_dict({callback, "}"}), callback, "N", p_int(5), "N",
                        p_text("ema"), bytes_tensor(), p_text("state_dict"), inner})),
      {kData}));
  EXPECT_THAT(opened.names(), ElementsAre("w"));
  EXPECT_EQ(opened.file->metadata(),
            (std::map<std::string, std::string>{
                {"epoch", "3"}, {"global_step", "470000"}, {"scale", "0.5"}, {"version", "1.4"}}));
}

TEST(TorchCheckpoint, GathersViewsInRowMajorOrder) {
  const auto view = [](std::vector<int64_t> shape, std::vector<int64_t> strides, int64_t offset) {
    const Opened opened(zip_checkpoint_of(
        pickle_of(p_dict({p_text("w"), bytes_tensor(shape, strides, offset)})), {kData}));
    std::vector<int> values;
    for (const char c : tensor_bytes(*opened.file, "w")) values.push_back(c);
    return values;
  };
  EXPECT_THAT(view({4, 3}, {1, 4}, 0), ElementsAre(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11));
  EXPECT_THAT(view({2, 2}, {8, 2}, 1), ElementsAre(1, 3, 9, 11));
  EXPECT_THAT(view({2, 2, 2}, {4, 1, 2}, 0), ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
  EXPECT_THAT(view({4}, {1}, 8), ElementsAre(8, 9, 10, 11));
  EXPECT_THAT(view({2, 1, 3}, {6, 99, 1}, 0), ElementsAre(0, 1, 2, 6, 7, 8));
  EXPECT_THAT(view({2, 3}, {0, 1}, 0), ElementsAre(0, 1, 2, 0, 1, 2));
  EXPECT_THAT(view({}, {}, 5), ElementsAre(5));
  EXPECT_THAT(view({0, 4}, {4, 1}, 0), ElementsAre());
}

TEST(TorchCheckpoint, TwoNamesMayShareAStorage) {
  const Opened opened(zip_checkpoint_of(
      pickle_of(p_dict({p_text("a"), bytes_tensor(), p_text("b"), bytes_tensor({2}, {1}, 3)})),
      {kData}));
  EXPECT_EQ(tensor_bytes(*opened.file, "a"), kData);
  EXPECT_EQ(tensor_bytes(*opened.file, "b"), "\3\4");
}

TEST(TorchCheckpoint, RefusesPicklesWithoutStateDict) {
  for (const std::string& opcodes :
       {std::string("]"), std::string("}"), std::string("N"), p_dict({p_text("epoch"), p_int(1)}),
        p_dict({p_text("state_dict"), "}"}), p_dict({p_int(1), "N"})}) {
    EXPECT_THAT(open_refusal(zip_checkpoint_of(pickle_of(opcodes), {})),
                HasSubstr("holds no dictionary of weights"));
  }
  // A dictionary that is its own state_dict.
  const std::string circle = "}q\1(" + p_text("state_dict") + "h\1u";
  EXPECT_THAT(open_refusal(zip_checkpoint_of(pickle_of(circle), {})), HasSubstr("too often"));
  const std::string twice = p_dict({p_text("w"), bytes_tensor(), p_text("w"), bytes_tensor()});
  EXPECT_THAT(open_refusal(zip_checkpoint_of(pickle_of(twice), {kData})),
              HasSubstr("stands twice"));
}

TEST(TorchCheckpoint, RefusesStackedPickles) {
  const std::string good = pickle_of(p_dict({p_text("w"), bytes_tensor()}));
  const std::string evil = pickle_of(p_name("os", "system") + ")R");
  EXPECT_THAT(open_refusal(zip_checkpoint_of(good + evil, {kData})), HasSubstr("after its end"));
  EXPECT_THAT(open_refusal(zip_checkpoint_of(evil + good, {kData})), HasSubstr("os.system"));
}

TEST(TorchCheckpoint, RefusesStoragesThatDoNotFit) {
  const std::string pickle = pickle_of(p_dict({p_text("w"), bytes_tensor()}));
  EXPECT_THAT(open_refusal(zip_checkpoint_of(pickle, {})), HasSubstr("storage '0' is missing"));
  EXPECT_THAT(open_refusal(zip_checkpoint_of(pickle, {"short"})), HasSubstr("storage '0'"));
  EXPECT_THAT(open_refusal(zip_checkpoint_of(pickle, {kData + "x"})), HasSubstr("storage '0'"));
  const std::string outside = pickle_of(p_dict(
      {p_text("w"), p_tensor(p_storage("ByteStorage", "../../etc/passwd", 12), 0, {1}, {1})}));
  EXPECT_THAT(open_refusal(zip_checkpoint_of(outside, {kData})), HasSubstr("is missing"));
}

TEST(TorchCheckpoint, HoldsEntriesAgainstTheirChecksums) {
  const std::string pickle =
      pickle_of(p_dict({p_text("whole"), bytes_tensor(), p_text("part"), bytes_tensor({2}, {1}, 1),
                        p_text("view"), bytes_tensor({4, 3}, {1, 4})}));
  const ZipPart storage{.name = "archive/data/0", .bytes = kData, .crc_change = 1};
  const Opened opened(zip_of({{"archive/data.pkl", pickle}, storage}));
  for (const char* name : {"whole", "part", "view"}) {
    EXPECT_THAT(refusal([&] { tensor_bytes(*opened.file, name); }), HasSubstr("checksum")) << name;
  }
  EXPECT_THAT(open_refusal(zip_of({{.name = "archive/data.pkl", .bytes = pickle, .crc_change = 1},
                                   {"archive/data/0", kData}})),
              HasSubstr("checksum of 'archive/data.pkl'"));
}

TEST(TorchCheckpoint, RefusesForeignArchives) {
  const std::string pickle = pickle_of(p_dict({p_text("w"), bytes_tensor()}));
  EXPECT_THAT(open_refusal(zip_of({{"word/document.xml", "<x/>"}})), HasSubstr("no data.pkl"));
  EXPECT_THAT(
      open_refusal(zip_of(
          {{"archive/data.pkl", pickle}, {"archive/byteorder", "big"}, {"archive/data/0", kData}})),
      HasSubstr("little-endian"));
  EXPECT_THAT(open_refusal(zip_of({{"archive/data.pkl", std::string(kMaxPickleBytes + 1, 'N')}})),
              HasSubstr("are allowed"));
}

TEST(TorchCheckpoint, PolyglotsAreRefused) {
  const std::string zip =
      zip_checkpoint_of(pickle_of(p_dict({p_text("w"), bytes_tensor()})), {kData});
  // A pickle in front of an archive: one reader would take the pickle, another the archive.
  EXPECT_NE(open_refusal(pickle_of("N") + zip), "");
  LegacyParts legacy;
  legacy.object = pickle_of(p_dict({p_text("w"), bytes_tensor()}));
  legacy.storages = little<int64_t>(12) + kData;
  EXPECT_EQ(open_refusal(legacy.bytes()), "");
  EXPECT_NE(open_refusal(legacy.bytes() + zip), "");
  EXPECT_NE(open_refusal(zip + legacy.bytes()), "");
}

LegacyParts legacy_parts() {
  LegacyParts parts;
  parts.object = pickle_of(p_dict(
      {p_text("state_dict"), p_dict({p_text("w"), bytes_tensor()}), p_text("epoch"), p_int(2)}));
  parts.storages = little<int64_t>(12) + kData;
  return parts;
}

TEST(LegacyCheckpoint, ReadsTensors) {
  const Opened opened(legacy_parts().bytes());
  EXPECT_EQ(tensor_bytes(*opened.file, "w"), kData);
  EXPECT_EQ(opened.file->metadata().at("epoch"), "2");
}

TEST(LegacyCheckpoint, RefusesWrongParts) {
  const auto with = [](std::string LegacyParts::*part, const std::string& bytes) {
    LegacyParts parts = legacy_parts();
    parts.*part = bytes;
    return open_refusal(parts.bytes());
  };
  EXPECT_THAT(with(&LegacyParts::magic, pickle_of("K\1")),
              HasSubstr("not one that torch.save made"));
  EXPECT_THAT(with(&LegacyParts::version, pickle_of("K\1")), HasSubstr("unknown version"));
  EXPECT_THAT(with(&LegacyParts::machine, pickle_of("}")), HasSubstr("little-endian"));
  EXPECT_THAT(with(&LegacyParts::machine, pickle_of(p_dict({p_text("little_endian"), "\x89"}))),
              HasSubstr("little-endian"));
  const std::string evil = pickle_of(p_name("posix", "system") + ")R");
  EXPECT_THAT(with(&LegacyParts::magic, evil), HasSubstr("posix.system"));
  EXPECT_THAT(with(&LegacyParts::machine, evil), HasSubstr("posix.system"));
  EXPECT_THAT(with(&LegacyParts::object, evil), HasSubstr("posix.system"));
  EXPECT_THAT(with(&LegacyParts::keys, evil), HasSubstr("posix.system"));
  const char* const storages = "storages are not those";
  EXPECT_THAT(with(&LegacyParts::keys, pickle_of("]")), HasSubstr(storages));
  EXPECT_THAT(with(&LegacyParts::keys, pickle_of("](" + p_text("1") + "e")), HasSubstr(storages));
  EXPECT_THAT(with(&LegacyParts::keys, pickle_of("](K\1e")), HasSubstr(storages));
  EXPECT_THAT(with(&LegacyParts::keys, pickle_of("}")), HasSubstr(storages));
  EXPECT_THAT(with(&LegacyParts::keys, pickle_of("](" + p_text("0") + p_text("0") + "e")),
              HasSubstr(storages));
  EXPECT_THAT(with(&LegacyParts::storages, little<int64_t>(11) + kData), HasSubstr(storages));
  EXPECT_THAT(with(&LegacyParts::storages, little<int64_t>(-1) + kData), HasSubstr(storages));
  EXPECT_THAT(with(&LegacyParts::storages, little<int64_t>(12) + kData + "x"), HasSubstr(storages));
  EXPECT_THAT(with(&LegacyParts::storages, little<int64_t>(12) + "short"), HasSubstr("file ends"));
  EXPECT_THAT(with(&LegacyParts::storages, ""), HasSubstr("file ends"));
}

}  // namespace
}  // namespace sdtune
