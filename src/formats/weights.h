// Named tensors in files, whatever the file: the one interface of safetensors, .ckpt and folders.
// Bytes are little-endian and row-major; nothing here knows models or torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace sdtune {

enum class DType {
  kF64,
  kF32,
  kF16,
  kBF16,
  kF8E4M3,
  kF8E5M2,
  kI64,
  kI32,
  kI16,
  kI8,
  kU64,
  kU32,
  kU16,
  kU8,
  kBool
};

uint64_t dtype_size(DType dtype);     // bytes of one element
const char* dtype_name(DType dtype);  // safetensors' name: "F32", "BF16", "F8_E4M3", …
bool dtype_is_floating(DType dtype);

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;

  int64_t numel() const;
  uint64_t bytes() const { return static_cast<uint64_t>(numel()) * dtype_size(dtype); }
};

// A file of named tensors, checked when opened: every tensor's bytes are known to lie inside the
// file.
class WeightFile {
 public:
  virtual ~WeightFile() = default;

  const std::filesystem::path& path() const { return path_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // in the file's order
  const TensorInfo* find(const std::string& name) const;               // null when absent
  // True for torch's own files (.ckpt, .pt, .bin), false for safetensors.
  bool is_torch_checkpoint() const { return is_torch_checkpoint_; }
  // Text entries: safetensors' __metadata__; a .ckpt's epoch and global_step as decimal numbers.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Copies the tensor's elements, contiguous, into `out`, whose size must be info.bytes().
  void read(const TensorInfo& info, std::span<std::byte> out) const;
  // The same for a run of its bytes, from `begin` on, so that a large tensor need not be held
  // whole. Error when the tensor does not have these bytes.
  void read_part(const TensorInfo& info, uint64_t begin, std::span<std::byte> out) const;

 protected:
  void index();  // call when tensors_ is complete; Error on a name that stands twice
  // read_part() of tensors()[number], whose bytes [begin, begin + out.size()) are known to exist
  // and to be at least one.
  virtual void copy(size_t number, uint64_t begin, std::span<std::byte> out) const = 0;

  std::filesystem::path path_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
  bool is_torch_checkpoint_ = false;

 private:
  std::unordered_map<std::string, size_t> by_name_;
};

// A tensor to be written: `produce` is called once, when its turn comes, and hands its bytes to the
// sink in order, in pieces of its choice. So a file of any size is written with one tensor in
// memory at most.
using ByteSink = std::function<void(std::span<const std::byte>)>;
struct TensorToWrite {
  TensorInfo info;
  std::function<void(const ByteSink& sink)> produce;
};

}  // namespace sdtune
