#include "formats/torch_checkpoint.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "base/files.h"
#include "formats/checkpoint_content.h"
#include "formats/nested_tensors.h"

namespace sdtune {
namespace {

constexpr uint64_t kChunk = 1 << 20;

uint32_t crc_of(uint32_t crc, std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// Bytes at the tensor's end that lie as a contiguous tensor's would, and the dimensions before
// them.
struct Run {
  uint64_t bytes = 0;
  size_t outer = 0;
};

Run contiguous_run(const PickleTensor& tensor) {
  int64_t elements = 1;
  size_t outer = tensor.shape.size();
  while (outer > 0 && (tensor.shape[outer - 1] == 1 || tensor.strides[outer - 1] == elements)) {
    elements *= tensor.shape[--outer];
  }
  return {static_cast<uint64_t>(elements) * dtype_size(tensor.dtype), outer};
}

// Copies a strided tensor, run by run, in row-major order.
void gather(const PickleTensor& tensor, const Run& run, const std::byte* storage,
            std::span<std::byte> out) {
  const uint64_t element = dtype_size(tensor.dtype);
  std::vector<int64_t> index(run.outer, 0);
  uint64_t offset = tensor.offset;  // in elements
  for (uint64_t done = 0; done < out.size(); done += run.bytes) {
    std::memcpy(out.data() + done, storage + offset * element, run.bytes);
    for (size_t d = run.outer; d-- > 0;) {
      const auto stride = static_cast<uint64_t>(tensor.strides[d]);
      offset += stride;
      if (++index[d] < tensor.shape[d]) break;
      offset -= stride * static_cast<uint64_t>(tensor.shape[d]);
      index[d] = 0;
    }
  }
}

class CheckpointFile final : public WeightFile {
 public:
  CheckpointFile(const std::filesystem::path& path, CheckpointLayout layout) : file_(path) {
    path_ = path;
    is_torch_checkpoint_ = true;
    const std::span<const std::byte> bytes = file_.bytes();
    const bool is_zip = bytes.size() >= 4 && std::memcmp(bytes.data(), "PK\3\4", 4) == 0;
    const std::string where = path.string();
    const FindTensors find_tensors =
        layout == CheckpointLayout::kNested ? find_nested_tensors : find_state_dict;
    CheckpointContent content = is_zip ? read_zip_checkpoint(bytes, where, find_tensors)
                                       : read_legacy_checkpoint(bytes, where, find_tensors);
    tensors_ = std::move(content.dict.infos);
    places_ = std::move(content.dict.tensors);
    metadata_ = std::move(content.dict.metadata);
    storages_ = std::move(content.storages);
    checked_.assign(storages_.size(), false);
    index();
  }

 private:
  void copy(size_t number, uint64_t begin, std::span<std::byte> out) const override {
    const PickleTensor& tensor = places_[number];
    const CheckpointStorage& storage = storages_[tensor.storage];
    const uint64_t offset = offset_of(storage);
    const Run run = contiguous_run(tensor);
    if (run.outer == 0) {
      const uint64_t first = tensor.offset * dtype_size(tensor.dtype) + begin;
      file_.read(offset + first, out);
      const bool whole = out.size() == storage.bytes;
      check_storage(tensor.storage, whole ? out : std::span<std::byte>());
      return;
    }
    std::vector<std::byte> all(tensors_[number].bytes());
    gather(tensor, run, file_.bytes().data() + offset, all);
    check_storage(tensor.storage, {});
    std::copy_n(all.begin() + static_cast<ptrdiff_t>(begin), out.size(), out.begin());
  }

  uint64_t offset_of(const CheckpointStorage& storage) const {
    if (!storage.entry) return storage.offset;
    return zip_entry_offset(file_.bytes(), *storage.entry, path_.string());
  }

  // Holds the storage against its checksum once. `whole` is its bytes where they were just copied,
  // or empty: then they are read again, which also drops the pages that gather() touched.
  void check_storage(uint32_t number, std::span<const std::byte> whole) const {
    const CheckpointStorage& storage = storages_[number];
    if (!storage.entry) return;
    {
      const std::lock_guard lock(mutex_);
      if (checked_[number]) return;
    }
    uint32_t crc = crc_of(0, whole);
    if (whole.empty()) {
      const uint64_t offset = offset_of(storage);
      std::vector<std::byte> chunk(std::min(kChunk, storage.bytes));
      for (uint64_t done = 0; done < storage.bytes; done += chunk.size()) {
        chunk.resize(std::min(kChunk, storage.bytes - done));
        file_.read(offset + done, chunk);
        crc = crc_of(crc, chunk);
      }
    }
    if (crc != storage.entry->crc) {
      throw Error(fmt::format("the checksum of storage {} is wrong", number), path_.string(),
                  "The file is damaged or was not fully downloaded. Get it again from its source.");
    }
    const std::lock_guard lock(mutex_);
    checked_[number] = true;
  }

  MappedFile file_;
  std::vector<PickleTensor> places_;  // parallel to tensors_
  std::vector<CheckpointStorage> storages_;
  mutable std::mutex mutex_;
  mutable std::vector<bool> checked_;
};

}  // namespace

std::unique_ptr<WeightFile> open_torch_checkpoint(const std::filesystem::path& path,
                                                  CheckpointLayout layout) {
  return std::make_unique<CheckpointFile>(path, layout);
}

}  // namespace sdtune
