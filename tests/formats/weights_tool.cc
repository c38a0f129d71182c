// sdtune-weights convert IN OUT: reads any file of weights and writes OUT, a .safetensors or .ckpt
// by its name. For tests of the formats against PyTorch; not part of the product.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "formats/open_weights.h"
#include "formats/safetensors.h"
#include "formats/torch_checkpoint.h"

namespace {

using namespace sdtune;

int64_t number_or_zero(const WeightFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? 0 : std::stoll(found->second);
}

void convert(const std::filesystem::path& from, const std::filesystem::path& to) {
  const std::unique_ptr<WeightFile> file = open_weights(from);
  std::vector<TensorToWrite> tensors;
  for (const TensorInfo& info : file->tensors()) {
    tensors.push_back({info, [&file, &info](const ByteSink& sink) {
                         std::vector<std::byte> bytes(info.bytes());
                         file->read(info, bytes);
                         sink(bytes);
                       }});
  }
  if (to.extension() == ".safetensors") return write_safetensors(to, tensors, file->metadata());
  write_torch_checkpoint(to, tensors,
                         {.epoch = number_or_zero(*file, "epoch"),
                          .global_step = number_or_zero(*file, "global_step")});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 || std::string_view(argv[1]) != "convert") {
    std::fprintf(stderr, "usage: sdtune-weights convert IN OUT(.safetensors|.ckpt)\n");
    return 2;
  }
  try {
    convert(argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
