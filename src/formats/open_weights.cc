#include "formats/open_weights.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "formats/safetensors.h"

namespace sdtune {
namespace {

enum class Kind { kSafetensors, kTorch, kOther };

struct Finding {
  Kind kind = Kind::kOther;
  const char* what = "";  // of kOther
  const char* hint = "";
};

constexpr const char* kDownloadAgain =
    "The download failed. Get the file again, with the link that the site's download button uses.";

bool looks_like_html(std::string_view head) {
  const size_t begin = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  return begin != std::string_view::npos && head[begin] == '<';
}

Finding sniff(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, 512);
  const auto starts = [&](std::string_view magic) { return head.starts_with(magic); };
  if (head.empty()) return {Kind::kOther, "the file is empty", kDownloadAgain};
  if (starts("PK\3\4")) return {Kind::kTorch};
  // Before pickles, for a header's length may begin with the bytes of one; it is under 2^32.
  if (head.size() >= 9 && head[8] == '{' && head.substr(4, 4) == std::string_view("\0\0\0\0", 4)) {
    return {Kind::kSafetensors};
  }
  if (head.size() >= 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5) return {Kind::kTorch};
  if (head.size() >= 9 && head[8] == '{') return {Kind::kSafetensors};  // refused with its reason
  if (starts("version https://git-lfs")) {
    return {Kind::kOther, "the file is a Git LFS pointer, not the weights themselves",
            "Run 'git lfs pull' in its folder, or download the file itself."};
  }
  if (looks_like_html(head)) {
    return {Kind::kOther, "the file is a web page, not weights", kDownloadAgain};
  }
  if (head.front() == '{') {
    return {Kind::kOther, "the file is JSON text, not weights",
            "It may be an error message in place of a download: look into it."};
  }
  if (head.size() > 262 && head.substr(257, 5) == "ustar") {
    return {Kind::kOther, "the file is a tar archive",
            "Unpack it, or load and save it again with a present PyTorch if torch made it."};
  }
  if (starts("\x1f\x8b")) {
    return {Kind::kOther, "the file is compressed with gzip", "Unpack it first."};
  }
  if (starts("GGUF")) {
    return {Kind::kOther, "the file is of quantized GGUF weights, which cannot be trained",
            "Take the model's .safetensors version."};
  }
  return {Kind::kOther, "the file is neither safetensors nor a torch checkpoint",
          "Give a .safetensors, .ckpt, .pt or .bin file of weights. If it should be one, it is "
          "damaged: get it again."};
}

}  // namespace

std::unique_ptr<WeightFile> open_weights(const std::filesystem::path& path,
                                         CheckpointLayout layout) {
  if (std::filesystem::is_directory(path)) {
    throw Error("a file of weights was expected, but this is a folder", path.string(),
                "Give one file inside it.");
  }
  const MappedFile file(path);
  const std::span<const std::byte> bytes = file.bytes();
  const Finding finding = sniff({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  switch (finding.kind) {
    case Kind::kSafetensors:
      return open_safetensors(path);
    case Kind::kTorch:
      return open_torch_checkpoint(path, layout);
    case Kind::kOther:
      break;
  }
  throw Error(finding.what, path.string(), finding.hint);
}

}  // namespace sdtune
