#include "image/fast_jpeg.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it before itself

#include <jpeglib.h>

namespace sdtune {
namespace {

// A progressive file of a few kilobytes can ask for thousands of passes over all pixels.
constexpr int kMaxScans = 100;
constexpr int kStripRows = 8;

// libjpeg reports failure by a call that must not return, and no exception may pass through its
// frames: it jumps back to guarded(), whose steps own nothing that would need destroying.
class Decompressor {
 public:
  Decompressor() {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) { jump_back(info); };
    errors_.emit_message = [](j_common_ptr info, int level) {
      if (level < 0) jump_back(info);  // damage that libjpeg would paint over
    };
    progress_.progress_monitor = [](j_common_ptr info) {
      const auto* decompress = reinterpret_cast<jpeg_decompress_struct*>(info);
      if (decompress->input_scan_number > kMaxScans) jump_back(info);
    };
  }
  ~Decompressor() { jpeg_destroy_decompress(&info_); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  // Whether the header is one that this file decodes; the output's size is known then.
  bool start(std::string_view bytes, int shrink) {
    bool is_plain = false;
    const bool is_started = guarded([&] {
      jpeg_create_decompress(&info_);
      info_.progress = &progress_;
      jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      jpeg_read_header(&info_, TRUE);
      is_plain = info_.data_precision == 8 &&
                 (info_.jpeg_color_space == JCS_YCbCr || info_.jpeg_color_space == JCS_GRAYSCALE);
      if (!is_plain) return;
      info_.out_color_space = JCS_RGB;
      info_.scale_num = 1;
      info_.scale_denom = static_cast<unsigned>(shrink);
      jpeg_start_decompress(&info_);
    });
    return is_started && is_plain;
  }

  Size size() const {
    return {static_cast<int>(info_.output_width), static_cast<int>(info_.output_height)};
  }

  // The next rows to out [rows, width, 3]; false when the data is damaged.
  bool read(uint8_t* out, int rows) {
    return guarded([&] {
      const size_t stride = size_t{3} * info_.output_width;
      for (int done = 0; done < rows;) {
        JSAMPROW row = out + done * stride;
        done += static_cast<int>(jpeg_read_scanlines(&info_, &row, 1));
      }
    });
  }

  // Whether the data behind the last row is whole as well.
  bool finish() {
    return guarded([&] { jpeg_finish_decompress(&info_); });
  }

 private:
  template <class Step>
  bool guarded(Step step) {
    if (setjmp(return_point_) != 0) return false;
    step();
    return true;
  }

  [[noreturn]] static void jump_back(j_common_ptr info) {
    std::longjmp(static_cast<Decompressor*>(info->client_data)->return_point_, 1);
  }

  jpeg_decompress_struct info_ = {};
  jpeg_error_mgr errors_ = {};
  jpeg_progress_mgr progress_ = {};
  std::jmp_buf return_point_ = {};
};

}  // namespace

std::optional<Image> decode_plain_jpeg(std::string_view bytes, int shrink) {
  Decompressor jpeg;
  if (!jpeg.start(bytes, shrink)) return std::nullopt;
  Image image;
  image.width = jpeg.size().width;
  image.height = jpeg.size().height;
  const size_t stride = size_t{3} * image.width;
  image.rgb.reserve(stride * image.height);
  std::vector<uint8_t> strip(kStripRows * stride);  // stays in the processor's cache
  for (int y = 0; y < image.height; y += kStripRows) {
    const int rows = std::min(kStripRows, image.height - y);
    if (!jpeg.read(strip.data(), rows)) return std::nullopt;
    image.rgb.insert(image.rgb.end(), strip.begin(), strip.begin() + rows * stride);
  }
  if (!jpeg.finish()) return std::nullopt;
  return image;
}

}  // namespace sdtune
