#include "formats/tensor_output.h"

#include <string_view>
#include <unordered_set>

#include "base/error.h"
#include "formats/checked_size.h"

namespace sdtune {

void check_tensors_to_write(const std::filesystem::path& path,
                            const std::vector<TensorToWrite>& tensors) {
  std::unordered_set<std::string_view> names;
  for (const TensorToWrite& tensor : tensors) {
    const TensorInfo& info = tensor.info;
    if (!names.insert(info.name).second) {
      throw Error(fmt::format("two tensors to be written are named '{}'", info.name),
                  path.string());
    }
    if (info.shape.size() > kMaxDimensions || !checked_bytes(info.shape, info.dtype)) {
      throw Error(fmt::format("the tensor '{}' has a shape that cannot be written", info.name),
                  path.string());
    }
  }
}

void produce_exactly(const std::filesystem::path& path, const TensorToWrite& tensor,
                     const ByteSink& sink) {
  const uint64_t promised = tensor.info.bytes();
  uint64_t delivered = 0;
  tensor.produce([&](std::span<const std::byte> bytes) {
    delivered += bytes.size();
    if (delivered > promised) {
      throw Error(fmt::format("the tensor '{}' delivered more than its {} bytes", tensor.info.name,
                              promised),
                  path.string());
    }
    sink(bytes);
  });
  if (delivered != promised) {
    throw Error(fmt::format("the tensor '{}' delivered {} of its {} bytes", tensor.info.name,
                            delivered, promised),
                path.string());
  }
}

}  // namespace sdtune
