#include "image/fast_jpeg.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it before itself

#include <jpeglib.h>

#include "image/area_resize.h"

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
      if (shrink > 1) info_.dct_method = JDCT_IFAST;  // a level or two off, and 2 % faster
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

// The rows of a started picture, decoded a strip at a time, which stays in the processor's cache.
class StripReader {
 public:
  explicit StripReader(Decompressor& jpeg)
      : jpeg_(jpeg), size_(jpeg.size()), strip_(kStripRows * stride()) {}

  size_t stride() const { return size_t{3} * size_.width; }

  // Asked for from the top down. Behind damage the rows are what was there before.
  const uint8_t* row(int y) {
    while (y >= end_ && is_whole_) {
      begin_ = end_;
      end_ = std::min(begin_ + kStripRows, size_.height);
      is_whole_ = jpeg_.read(strip_.data(), end_ - begin_);
    }
    return &strip_[(y - begin_) % kStripRows * stride()];
  }

  // Whether the rows left over and what follows them are undamaged as well.
  bool finish() {
    row(size_.height - 1);
    return is_whole_ && jpeg_.finish();
  }

 private:
  Decompressor& jpeg_;
  Size size_;
  std::vector<uint8_t> strip_;  // rows [begin, end)
  int begin_ = 0;
  int end_ = 0;
  bool is_whole_ = true;
};

}  // namespace

std::optional<Image> decode_plain_jpeg(std::string_view bytes, int shrink, Size area) {
  Decompressor jpeg;
  if (!jpeg.start(bytes, shrink)) return std::nullopt;
  StripReader strips(jpeg);
  const Size size = jpeg.size();
  Image image;
  if (area.width > 0 && shrinks_by_rows(size, area)) {
    image.width = area.width;
    image.height = area.height;
    image.rgb = shrink_rows([&](int y) { return strips.row(y); }, size, 3, area);
  } else {
    image.width = size.width;
    image.height = size.height;
    image.rgb.reserve(strips.stride() * size.height);
    for (int y = 0; y < size.height; ++y) {
      const uint8_t* row = strips.row(y);
      image.rgb.insert(image.rgb.end(), row, row + strips.stride());
    }
  }
  if (!strips.finish()) return std::nullopt;
  return image;
}

}  // namespace sdtune
