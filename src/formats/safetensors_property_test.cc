// Whatever is written is read back, and a file with any byte changed is read or refused, never
// worse.
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

#include <map>

#include "formats/safetensors.h"
#include "formats/test_files.h"

namespace sdtune {
namespace {

struct Sample {
  std::vector<TensorToWrite> tensors;
  std::map<std::string, std::string> bytes;
};

Sample any_sample() {
  Sample sample;
  const int count = *rc::gen::inRange(0, 8);
  for (int i = 0; i < count; ++i) {
    const auto dtype = static_cast<DType>(*rc::gen::inRange(0, static_cast<int>(DType::kBool) + 1));
    const auto shape = *rc::gen::container<std::vector<int64_t>>(*rc::gen::inRange(0, 5),
                                                                 rc::gen::inRange<int64_t>(0, 5));
    // Any bytes below 128 make UTF-8: quotes, control characters and backslashes among them.
    std::string name = *rc::gen::container<std::string>(rc::gen::inRange<char>(0, 127));
    name += "ü" + std::to_string(i);
    const TensorInfo info{name, dtype, shape};
    const auto bytes = *rc::gen::container<std::string>(info.bytes(), rc::gen::arbitrary<char>());
    sample.tensors.push_back(tensor_of(name, dtype, shape, bytes));
    sample.bytes[name] = bytes;
  }
  return sample;
}

RC_GTEST_PROP(SafetensorsProperty, RoundTrip, ()) {
  const TemporaryFolder folder;
  const Sample sample = any_sample();
  const auto metadata = *rc::gen::container<std::map<std::string, std::string>>(
      rc::gen::container<std::string>(rc::gen::inRange<char>(0, 127)),
      rc::gen::container<std::string>(rc::gen::inRange<char>(0, 127)));
  write_safetensors(folder / "x", sample.tensors, metadata);
  const auto file = open_safetensors(folder / "x");
  RC_ASSERT(file->metadata() == metadata);
  RC_ASSERT(file->tensors().size() == sample.tensors.size());
  for (const TensorToWrite& written : sample.tensors) {
    const TensorInfo* info = file->find(written.info.name);
    RC_ASSERT(info != nullptr);
    RC_ASSERT(info->dtype == written.info.dtype);
    RC_ASSERT(info->shape == written.info.shape);
    RC_ASSERT(tensor_bytes(*file, info->name) == sample.bytes.at(info->name));
  }
}

RC_GTEST_PROP(SafetensorsProperty, ChangedBytesAreReadOrRefused, ()) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", any_sample().tensors, {{"key", "value"}});
  std::string bytes = file_bytes(folder / "x");
  const int changes = *rc::gen::inRange(1, 4);
  for (int i = 0; i < changes; ++i) {
    bytes[*rc::gen::inRange<size_t>(0, bytes.size())] = *rc::gen::arbitrary<char>();
  }
  bytes.resize(*rc::gen::inRange<size_t>(bytes.size() / 2, bytes.size() + 1));
  const auto path = folder.write("y", bytes);
  refusal([&] {
    const auto file = open_safetensors(path);
    uint64_t total = 0;
    for (const TensorInfo& info : file->tensors()) total += tensor_bytes(*file, info.name).size();
    RC_ASSERT(total <= bytes.size());
  });
}

}  // namespace
}  // namespace sdtune
