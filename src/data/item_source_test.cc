#include "data/item_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "data/test_datasets.h"
#include "image/augment.h"
#include "image/resize.h"

namespace sdtune {
namespace {

using testing::HasSubstr;

std::vector<float> planes_of(const Image& image) {
  std::vector<float> planes(size_t{3} * image.width * image.height);
  to_planes(image, planes.data());
  return planes;
}

std::vector<float> mirrored_rows(std::vector<float> values, size_t width) {
  for (size_t at = 0; at < values.size(); at += width) {
    std::reverse(values.begin() + static_cast<ptrdiff_t>(at),
                 values.begin() + static_cast<ptrdiff_t>(at + width));
  }
  return values;
}

double mean_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

// One picture, trained at 64 x 64.
class Pictures : public testing::Test {
 protected:
  Item item_of(const Image& image, const std::string& name = "a.png") {
    write_png(folder_ / name, image);
    const Dataset dataset = made(dataset_of({subset_of(folder_.path())}));
    return dataset.items[item_named(dataset, name)];
  }

  // An appearance of this epoch whose picture is mirrored, or is not.
  static Appearance appearing(const Item& item, const SubsetOptions& subset, bool flipped) {
    for (int64_t epoch = 0;; ++epoch) {
      const Appearance appearance{item, subset, 5, epoch, 0};
      if (augment_draws(appearance).flip == flipped) return appearance;
    }
  }

  TestFolder folder_;
  SubsetOptions subset_;
};

TEST_F(Pictures, AreResizedAndCutInTheMiddle) {
  const Item item = item_of(test_picture(90, 70, 1));
  ASSERT_EQ(item.placement.resized, (Size{82, 64}));
  const Image expected = crop(resize(test_picture(90, 70, 1), 82, 64), 9, 0, 64, 64);
  const SampleValues values = load_pixels({item, subset_});
  EXPECT_EQ(values.pixels, planes_of(expected));
  EXPECT_TRUE(values.latents.empty() && values.alpha_mask.empty());
}

TEST_F(Pictures, AreResizedAsTheSubsetSays) {
  const Item item = item_of(test_picture(90, 70, 1));
  for (const Interpolation interpolation : {Interpolation::kNearest, Interpolation::kBicubic}) {
    subset_.resize_interpolation = interpolation;
    const Image expected =
        crop(resize(test_picture(90, 70, 1), 82, 64, interpolation), 9, 0, 64, 64);
    EXPECT_EQ(load_pixels({item, subset_}).pixels, planes_of(expected));
  }
}

TEST_F(Pictures, ThatChangedAreFittedAnew) {
  const Item item = item_of(test_picture(90, 70));
  for (const Size size : {Size{128, 256}, Size{91, 70}, Size{64, 64}, Size{30, 40}}) {
    const Image changed = test_picture(size.width, size.height, 1);
    write_png(folder_ / "a.png", changed);
    const Placement now = *cover(size, {64, 64});
    const Image whole = resize(changed, now.resized.width, now.resized.height);
    const Image expected = crop(whole, (whole.width - 64) / 2, (whole.height - 64) / 2, 64, 64);
    EXPECT_EQ(load_pixels({item, subset_}).pixels, planes_of(expected)) << size.width;
  }
  write_png(folder_ / "a.png", test_picture(1, 2000, 1));
  EXPECT_THAT(error_text([&] {
                load_pixels({item, subset_});
              }),
              HasSubstr("changed to 1 x 2000 pixels"));
}

TEST_F(Pictures, FlipsMirrorPixelsInHalfOfTheEpochs) {
  const Item item = item_of(test_picture(90, 70));
  const std::vector<float> plain = load_pixels({item, subset_}).pixels;
  subset_.flip_aug = true;
  EXPECT_EQ(load_pixels(appearing(item, subset_, false)).pixels, plain);
  EXPECT_EQ(load_pixels(appearing(item, subset_, true)).pixels, mirrored_rows(plain, 64));
  int flips = 0;
  for (int64_t epoch = 0; epoch < 1000; ++epoch) {
    flips += augment_draws({item, subset_, 5, epoch, 0}).flip;
  }
  EXPECT_NEAR(flips, 500, 80);  // five standard deviations
}

TEST_F(Pictures, DrawsDependOnEachOfTheirIndicesAndNotOnOptions) {
  const Item item = item_of(test_picture(90, 70));
  Item other = item;
  other.id += 1;
  const AugmentDraws draws = augment_draws({item, subset_, 5, 1, 0});
  SubsetOptions everything = subset_;
  everything.flip_aug = everything.random_crop = everything.color_aug = true;
  EXPECT_EQ(augment_draws({item, everything, 5, 1, 0}).colour_seed, draws.colour_seed);
  EXPECT_NE(augment_draws({other, subset_, 5, 1, 0}).colour_seed, draws.colour_seed);
  EXPECT_NE(augment_draws({item, subset_, 6, 1, 0}).colour_seed, draws.colour_seed);
  EXPECT_NE(augment_draws({item, subset_, 5, 2, 0}).colour_seed, draws.colour_seed);
  EXPECT_NE(augment_draws({item, subset_, 5, 1, 1}).colour_seed, draws.colour_seed);
  EXPECT_NE(draws.crop_seed, draws.colour_seed);
}

TEST_F(Pictures, MasksAreMirroredWithTheirPictures) {
  const Image picture = with_alpha(test_picture(64, 64));
  Item item = item_of(picture);
  write_rgba_png(folder_ / "a.png", picture);
  EXPECT_TRUE(load_pixels({item, subset_}).alpha_mask.empty());
  subset_.alpha_mask = subset_.flip_aug = true;
  const SampleValues plain = load_pixels(appearing(item, subset_, false));
  const SampleValues flipped = load_pixels(appearing(item, subset_, true));
  ASSERT_EQ(plain.alpha_mask.size(), 64u * 64);
  for (int x = 0; x < 64; ++x) EXPECT_EQ(plain.alpha_mask[64 + x], (255 * x / 63) / 255.0f);
  EXPECT_EQ(flipped.alpha_mask, mirrored_rows(plain.alpha_mask, 64));
  EXPECT_EQ(flipped.pixels, mirrored_rows(plain.pixels, 64));
}

TEST_F(Pictures, MasksAreCutAsTheirPictures) {
  const Image picture = with_alpha(test_picture(128, 64));
  Item item = item_of(picture);
  write_rgba_png(folder_ / "a.png", picture);
  subset_.alpha_mask = subset_.random_crop = true;
  std::set<float> lefts;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    const SampleValues values = load_pixels({item, subset_, 5, epoch, 0});
    const float left = values.alpha_mask[0];
    lefts.insert(left);
    const int x = static_cast<int>(std::lround(left * 127));
    Image cut = crop(picture, x, 0, 64, 64);
    std::vector<float> mask(64 * 64);
    to_mask(cut, mask.data());
    EXPECT_EQ(values.alpha_mask, mask);
  }
  EXPECT_GT(lefts.size(), 5u);
}

TEST_F(Pictures, OpaqueOnesHaveAMaskOfOnes) {
  const Item item = item_of(test_picture(90, 70));
  subset_.alpha_mask = true;
  EXPECT_EQ(load_pixels({item, subset_}).alpha_mask, std::vector<float>(64 * 64, 1.0f));
}

// Every position of the excess is drawn, and nothing beyond.
TEST_F(Pictures, TakeTheirMasksFromOtherFilesAndMoveThemAlike) {
  Image picture = test_picture(90, 70, 1);
  Item item = item_of(picture);
  fs::create_directories(folder_ / "masks");
  item.mask = folder_ / "masks/a.png";
  write_png(item.mask, picture);
  subset_.flip_aug = subset_.random_crop = true;
  for (const bool flipped : {false, true}) {
    const Appearance appearance = appearing(item, subset_, flipped);
    const SampleValues values = masked_source(pixel_source(false))(appearance);
    ASSERT_EQ(values.alpha_mask.size(), 64 * 64);
    for (size_t i = 0; i < values.alpha_mask.size(); ++i) {
      ASSERT_NEAR(values.alpha_mask[i], values.pixels[i] / 2 + 0.5, 1e-6) << i;
    }
  }
}

TEST_F(Pictures, MasksOfAnotherSizeCoverTheSamePart) {
  Item item = item_of(test_picture(128, 64));
  item.mask = folder_ / "mask.bmp.png";
  Image mask(32, 16);
  for (int i = 0; i < 32 * 16; ++i) mask.rgb[3 * i] = i % 32 < 16 ? 255 : 0;
  write_png(item.mask, mask);
  subset_.resize_interpolation = Interpolation::kNearest;
  const SampleValues values = masked_source(pixel_source(false))({item, subset_});
  for (size_t x = 0; x < 64; ++x) EXPECT_EQ(values.alpha_mask[x], x < 32 ? 1 : 0) << x;
}

TEST_F(Pictures, WithoutAMaskFileKeepTheirAlpha) {
  const Item item = item_of(test_picture(64, 64));
  subset_.alpha_mask = true;
  EXPECT_EQ(masked_source(pixel_source(false))({item, subset_}).alpha_mask,
            load_pixels({item, subset_}).alpha_mask);
}

TEST_F(Pictures, RandomCropsLieAnywhereInside) {
  Image columns(68, 64);  // its red says the column
  for (size_t i = 0; i < columns.rgb.size(); i += 3) {
    columns.rgb[i] = static_cast<uint8_t>(i / 3 % 68);
  }
  const Item item = item_of(columns);
  ASSERT_EQ(item.placement.resized, (Size{68, 64}));
  subset_.random_crop = true;
  std::map<int, int> counts;
  for (int64_t repeat = 0; repeat < 200; ++repeat) {
    const auto pixels = load_pixels({item, subset_, 5, 0, repeat}).pixels;
    const int x = static_cast<int>(std::lround((pixels[0] + 1) * 127.5));
    EXPECT_EQ(pixels, planes_of(crop(columns, x, 0, 64, 64)));
    ++counts[x];
  }
  EXPECT_EQ(counts.size(), 5u);
  for (const auto& [x, count] : counts) EXPECT_GT(count, 10) << x;
}

TEST_F(Pictures, ColourChangesLeaveEverythingElse) {
  const Item item = item_of(test_picture(64, 64));
  SubsetOptions plain = subset_;
  plain.flip_aug = plain.alpha_mask = true;
  subset_ = plain;
  subset_.color_aug = true;
  int changed = 0;
  for (int64_t epoch = 0; epoch < 60; ++epoch) {
    const SampleValues before = load_pixels({item, plain, 5, epoch, 0});
    const SampleValues after = load_pixels({item, subset_, 5, epoch, 0});
    EXPECT_EQ(before.alpha_mask, after.alpha_mask);
    Image expected = test_picture(64, 64);
    const AugmentDraws draws = augment_draws({item, subset_, 5, epoch, 0});
    if (draws.flip) expected = mirrored(expected);
    EXPECT_EQ(before.pixels, planes_of(expected));
    Random random(draws.colour_seed, Draw::kAugment);
    augment_colour(expected, random);
    EXPECT_EQ(after.pixels, planes_of(expected));
    changed += before.pixels != after.pixels;
  }
  EXPECT_GT(changed, 5);
  EXPECT_LT(changed, 40);  // a third on average
}

TEST_F(Pictures, WithAFaceInTheirNameAreCutAroundIt) {
  const Image picture = test_picture(300, 200);
  const Item item = item_of(picture, "who_220_100_60_80.png");
  const Item whole = item_of(picture, "who.png");
  subset_.face_crop_aug_range = FaceCropRange{1, 1};
  const Face face{220, 100, 60, 80};
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    const Appearance appearance{item, subset_, 5, epoch, 0};
    Random random(augment_draws(appearance).crop_seed, Draw::kAugment);
    const Image expected = crop_to_face(picture, face, {{64, 64}, 1, 1, false}, random);
    EXPECT_EQ(load_pixels(appearance).pixels, planes_of(expected));
  }
  SubsetOptions none = subset_;
  none.face_crop_aug_range.reset();
  EXPECT_EQ(load_pixels({whole, subset_}).pixels, load_pixels({whole, none}).pixels);
}

TEST_F(Pictures, CutAroundAFaceAreNotDecodedFast) {
  write_jpeg(folder_ / "who_220_100_60_80.jpg", test_picture(300, 200));
  const Item item = made(dataset_of({subset_of(folder_.path())})).items.at(0);
  EXPECT_NE(load_pixels({item, subset_}, true).pixels, load_pixels({item, subset_}).pixels);
  subset_.face_crop_aug_range = FaceCropRange{1, 1};
  EXPECT_EQ(load_pixels({item, subset_}, true).pixels, load_pixels({item, subset_}).pixels);
}

TEST_F(Pictures, TooSmallForAFaceCropAreCutAsOthers) {
  const Item item = item_of(test_picture(90, 50), "who_45_25_20_20.png");
  const std::vector<float> plain = load_pixels({item, subset_}).pixels;
  subset_.face_crop_aug_range = FaceCropRange{1, 2};
  EXPECT_EQ(load_pixels({item, subset_}).pixels, plain);
}

TEST_F(Pictures, DecodedFastAreNearlyTheSame) {
  Image smooth(800, 600);
  for (int y = 0; y < 600; ++y) {
    for (int x = 0; x < 800; ++x) {
      uint8_t* pixel = &smooth.rgb[size_t{3} * (size_t{800} * y + x)];
      pixel[0] = static_cast<uint8_t>(x / 4);
      pixel[1] = static_cast<uint8_t>(y / 3);
      pixel[2] = static_cast<uint8_t>((x + y) / 8);
    }
  }
  write_jpeg(folder_ / "a.jpg", smooth);
  const Dataset dataset = made(dataset_of({subset_of(folder_.path())}));
  const Item& item = dataset.items.at(0);
  for (const bool flip : {false, true}) {
    subset_.flip_aug = true;
    const Appearance appearance = appearing(item, subset_, flip);
    const auto full = load_pixels(appearance).pixels;
    const auto fast = load_pixels(appearance, true).pixels;
    EXPECT_NE(full, fast);
    EXPECT_LT(mean_difference(full, fast), 0.01);
    EXPECT_GT(mean_difference(full, mirrored_rows(fast, 64)), 0.1);
  }
}

TEST_F(Pictures, ThatAreGoneAreAnErrorWithTheirName) {
  const Item item = item_of(test_picture(90, 70));
  fs::remove(folder_ / "a.png");
  EXPECT_THAT(error_text([&] { load_pixels({item, subset_}); }), HasSubstr("a.png"));
}

}  // namespace
}  // namespace sdtune
