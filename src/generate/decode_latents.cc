#include "generate/decode_latents.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/log.h"
#include "image/resize.h"

namespace sdtune {

namespace {

constexpr int64_t kLeastTile = 64;
constexpr int64_t kTile = 128;
constexpr int64_t kLargestWhole = 192;

at::Device device_of(const AutoencoderKL& vae) { return vae.post_quant_conv.weight.device(); }

int64_t tile_side(int64_t longest, int64_t slices) {
  if (slices > 0) return std::max(kLeastTile, (longest + slices - 1) / slices);
  return longest > kLargestWhole ? kTile : longest;
}

// Rises over the first quarter of the tile and falls over the last: [length].
at::Tensor ramp(int64_t length) {
  const at::Tensor ahead = at::arange(1, length + 1, at::kFloat);
  const at::Tensor behind = ahead.flip(0);
  return at::minimum(ahead, behind).div(static_cast<double>(length) / 4).clamp_max(1);
}

at::Tensor decode_in_tiles(const AutoencoderKL& vae, const at::Tensor& latents, int64_t tile) {
  const int64_t height = latents.size(2), width = latents.size(3);
  const int64_t rows = std::min(tile, height), columns = std::min(tile, width);
  const at::Tensor weight =
      (ramp(rows * kLatentSide).unsqueeze(1) * ramp(columns * kLatentSide).unsqueeze(0))
          .to(latents.device());
  at::Tensor sum = at::zeros(
      {latents.size(0), vae.config.out_channels, height * kLatentSide, width * kLatentSide},
      latents.options().dtype(at::kFloat));
  at::Tensor weights = at::zeros({height * kLatentSide, width * kLatentSide}, sum.options());
  const auto part = [&](const at::Tensor& whole, int64_t row, int64_t column, int64_t side) {
    const int64_t axis = whole.dim() - 2;
    return whole.narrow(axis, row * side, rows * side)
        .narrow(axis + 1, column * side, columns * side);
  };
  for (const int64_t row : tile_starts(height, tile)) {
    for (const int64_t column : tile_starts(width, tile)) {
      const at::Tensor decoded = vae.decode(part(latents, row, column, 1));
      part(sum, row, column, kLatentSide).add_(decoded * weight);
      part(weights, row, column, kLatentSide).add_(weight);
    }
  }
  return sum / weights;
}

// [3, H, W] in [-1, 1] -> 8 bits, rounded.
Image to_image(const at::Tensor& planes) {
  const at::Tensor bytes = (planes.permute({1, 2, 0}) / 2 + 0.5)
                               .clamp(0, 1)
                               .mul(255)
                               .round()
                               .nan_to_num(0)
                               .to(at::kByte)
                               .contiguous()
                               .to(at::kCPU);
  Image image(static_cast<int>(bytes.size(1)), static_cast<int>(bytes.size(0)));
  std::copy_n(bytes.const_data_ptr<uint8_t>(), image.rgb.size(), image.rgb.begin());
  return image;
}

void warn_unless_finite(const at::Tensor& pictures, at::ScalarType type) {
  if (at::isfinite(pictures).all().item<bool>()) return;
  log_warning("a picture is not finite{}",
              type == at::kHalf ? "; --no_half_vae decodes in fp32" : "");
}

}  // namespace

std::vector<int64_t> tile_starts(int64_t length, int64_t tile) {
  if (length <= tile) return {0};
  const int64_t stride = std::max<int64_t>(1, tile - tile / 4);
  const int64_t gaps = (length - tile + stride - 1) / stride;
  std::vector<int64_t> starts;
  for (int64_t i = 0; i <= gaps; ++i) starts.push_back((length - tile) * i / gaps);
  return starts;
}

std::vector<Image> decode_latents(const AutoencoderKL& vae, const at::Tensor& latents,
                                  const DecodeSettings& settings) {
  const at::NoGradGuard no_grad;
  const int64_t longest = std::max(latents.size(2), latents.size(3));
  const int64_t tile = tile_side(longest, settings.slices);
  const int64_t batch = settings.batch > 0 ? settings.batch : latents.size(0);
  std::vector<Image> images;
  for (int64_t begin = 0; begin < latents.size(0); begin += batch) {
    const at::Tensor some =
        latents.slice(0, begin, begin + batch).to(device_of(vae)) / vae.config.scaling_factor;
    const at::Tensor decoded = longest > tile ? decode_in_tiles(vae, some, tile) : vae.decode(some);
    warn_unless_finite(decoded, vae.compute_dtype);
    for (int64_t i = 0; i < decoded.size(0); ++i) images.push_back(to_image(decoded[i]));
  }
  return images;
}

at::Tensor encode_pictures(const AutoencoderKL& vae, std::span<const Image> pictures) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> planes;
  for (const Image& picture : pictures) {
    planes.push_back(at::empty({3, picture.height, picture.width}, at::kFloat));
    to_planes(picture, planes.back().data_ptr<float>());
  }
  const at::Tensor moments = vae.encode(at::stack(planes).to(device_of(vae)));
  return moments.chunk(2, 1)[0] * vae.config.scaling_factor;
}

at::Tensor mask_of_latents(const Image& mask, int64_t height, int64_t width) {
  const Image small = resize(mask, static_cast<int>(width), static_cast<int>(height));
  at::Tensor planes = at::empty({1, 3, height, width}, at::kFloat);
  to_planes(small, planes.data_ptr<float>());
  return (planes.mean(1, /*keepdim=*/true) / 2 + 0.5).clamp(0, 1);
}

}  // namespace sdtune
