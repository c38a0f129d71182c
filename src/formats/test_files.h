// What the tests of this folder share: a folder that vanishes, bytes, and the text of a refusal.
// For tests alone.
#pragma once

#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "formats/weights.h"

namespace sdtune {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sdtune-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error("no temporary folder", name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }
  size_t count() const {
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) files += entry.exists();
    return files;
  }

 private:
  std::filesystem::path path_;
};

template <class T>
std::string little(std::type_identity_t<T> value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

inline std::string file_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string tensor_bytes(const WeightFile& file, const std::string& name) {
  const TensorInfo* info = file.find(name);
  if (info == nullptr) return "(absent)";
  std::string bytes(info->bytes(), '\0');
  file.read(*info, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

inline TensorToWrite tensor_of(std::string name, DType dtype, std::vector<int64_t> shape,
                               std::string bytes) {
  return {
      {std::move(name), dtype, std::move(shape)},
      [bytes = std::move(bytes)](const ByteSink& sink) { sink(std::as_bytes(std::span(bytes))); }};
}

// The message of the Error that `act` throws; "" when it throws none.
inline std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// Limits on memory are loosened by this much where sanitizers need their own.
#ifdef __SANITIZE_ADDRESS__
inline constexpr int kSlack = 20;
#else
inline constexpr int kSlack = 1;
#endif

// Bytes made to keep the reader busy would do so for minutes or hours; this is no limit on speed.
inline constexpr double kNotForEver = 20;

// Seconds of processor time that `act` takes.
inline double cpu_seconds(const std::function<void()>& act) {
  const std::clock_t begin = std::clock();
  act();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

}  // namespace sdtune
