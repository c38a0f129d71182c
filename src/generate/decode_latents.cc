#include "generate/decode_latents.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

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

// A side of one latent before and after the VAE: 1 of latents, kLatentSide of pixels.
struct Sides {
  int64_t before, after;
};
constexpr Sides kDecoding{1, kLatentSide}, kEncoding{kLatentSide, 1};

at::Tensor part(const at::Tensor& whole, const std::array<int64_t, 4>& tile, int64_t side) {
  const auto& [row, column, rows, columns] = tile;
  return whole.narrow(-2, row * side, rows * side).narrow(-1, column * side, columns * side);
}

// [B, c, H, W] -> what `vae` makes of it, tile by tile where it is longer than settings say.
template <class Vae>
at::Tensor in_tiles(const at::Tensor& input, Sides sides, int64_t slices, const Vae& vae) {
  const int64_t height = input.size(2) / sides.before, width = input.size(3) / sides.before;
  const int64_t longest = std::max(height, width), tile = tile_side(longest, slices);
  if (longest <= tile) return vae(input);
  const int64_t rows = std::min(tile, height), columns = std::min(tile, width);
  const at::Tensor weight =
      (ramp(rows * sides.after).unsqueeze(1) * ramp(columns * sides.after).unsqueeze(0))
          .to(input.device());
  const at::Tensor weights =
      at::zeros({height * sides.after, width * sides.after}, weight.options());
  at::Tensor sum;
  for (const int64_t row : tile_starts(height, tile)) {
    for (const int64_t column : tile_starts(width, tile)) {
      const std::array<int64_t, 4> place{row, column, rows, columns};
      const at::Tensor some = vae(part(input, place, sides.before));
      if (!sum.defined()) {
        sum = at::zeros({some.size(0), some.size(1), weights.size(0), weights.size(1)},
                        some.options());
      }
      part(sum, place, sides.after).add_(some * weight);
      part(weights, place, sides.after).add_(weight);
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
                                  const VaeSettings& settings) {
  const at::NoGradGuard no_grad;
  const int64_t batch = settings.batch > 0 ? settings.batch : latents.size(0);
  std::vector<Image> images;
  for (int64_t begin = 0; begin < latents.size(0); begin += batch) {
    const at::Tensor some =
        latents.slice(0, begin, begin + batch).to(device_of(vae)) / vae.config.scaling_factor;
    const at::Tensor decoded = in_tiles(some, kDecoding, settings.slices,
                                        [&](const at::Tensor& x) { return vae.decode(x); });
    warn_unless_finite(decoded, vae.compute_dtype);
    for (int64_t i = 0; i < decoded.size(0); ++i) images.push_back(to_image(decoded[i]));
  }
  return images;
}

at::Tensor encode_pictures(const AutoencoderKL& vae, std::span<const Image> pictures,
                           const VaeSettings& settings) {
  const at::NoGradGuard no_grad;
  const size_t batch = settings.batch > 0 ? static_cast<size_t>(settings.batch) : pictures.size();
  std::vector<at::Tensor> latents;
  for (size_t begin = 0; begin < pictures.size(); begin += batch) {
    std::vector<at::Tensor> planes;
    for (const Image& picture : pictures.subspan(begin, std::min(batch, pictures.size() - begin))) {
      planes.push_back(at::empty({3, picture.height, picture.width}, at::kFloat));
      to_planes(picture, planes.back().data_ptr<float>());
    }
    const at::Tensor moments =
        in_tiles(at::stack(planes).to(device_of(vae)), kEncoding, settings.slices,
                 [&](const at::Tensor& x) { return vae.encode(x); });
    latents.push_back(moments.chunk(2, 1)[0] * vae.config.scaling_factor);
  }
  return at::cat(latents);
}

at::Tensor mask_of_latents(const Image& mask, int64_t height, int64_t width) {
  const Image small = resize(mask, static_cast<int>(width), static_cast<int>(height));
  at::Tensor planes = at::empty({1, 3, height, width}, at::kFloat);
  to_planes(small, planes.data_ptr<float>());
  return (planes.mean(1, /*keepdim=*/true) / 2 + 0.5).clamp(0, 1);
}

}  // namespace sdtune
