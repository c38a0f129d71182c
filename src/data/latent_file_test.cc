#include "data/latent_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "data/test_datasets.h"
#include "formats/npz.h"

namespace sdtune {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Size kWide{200, 100};

LatentRecipe recipe_for(Size bucket = {64, 64}) {
  LatentRecipe recipe;
  recipe.image = kWide;
  recipe.placement = *cover(kWide, bucket);
  recipe.vae = "vae";
  recipe.image_hash = "hash";
  return recipe;
}

// As many values as the recipe's latents have, counted from `first`.
std::vector<float> counted(const LatentRecipe& recipe, float first) {
  const Size bucket = recipe.placement.bucket;
  std::vector<float> values(size_t{4} * (bucket.width / 8) * (bucket.height / 8));
  for (float& value : values) value = first++;
  return values;
}

LatentEntry entry_for(const LatentRecipe& recipe, float first = 0) {
  const auto side = [&](float begin) {
    Latents latents;
    latents.sample = counted(recipe, begin);
    if (recipe.posterior) latents.mean = counted(recipe, begin + 0.25f);
    if (recipe.posterior) latents.logvar = counted(recipe, begin + 0.5f);
    return latents;
  };
  LatentEntry entry{side(first), {}, {}};
  if (recipe.flipped) entry.flipped = side(first + 1000);
  const Size bucket = recipe.placement.bucket;
  if (recipe.alpha_mask) entry.alpha_mask.assign(size_t{1} * bucket.width * bucket.height, 0.5f);
  return entry;
}

LatentRecipe everything(LatentRecipe recipe = recipe_for()) {
  recipe.flipped = recipe.alpha_mask = recipe.posterior = true;
  return recipe;
}

class LatentFile : public testing::Test {
 protected:
  void write(const LatentRecipe& recipe, float first = 0) {
    write_latents(file_, recipe, entry_for(recipe, first));
  }

  using Arrays = std::vector<std::pair<std::string, std::vector<int64_t>>>;
  // As another program writes it.
  void write_foreign(const Arrays& arrays, const std::string& name = "a.npz") {
    std::vector<NpyArray> all;
    for (const auto& [array, shape] : arrays) {
      int64_t count = 1;
      for (const int64_t side : shape) count *= side;
      const std::vector<float> values(static_cast<size_t>(count), static_cast<float>(all.size()));
      all.push_back(make_npy(array, shape, std::span<const float>(values)));
    }
    write_npz(folder_ / name, all);
  }

  std::string why(const LatentRecipe& recipe) const { return why_unusable(file_, recipe); }

  // Why the file as it stands is not usable for the recipe after the change.
  std::string why_after(LatentRecipe recipe, const std::function<void(LatentRecipe&)>& change) {
    change(recipe);
    return why(recipe);
  }

  TestFolder folder_;
  fs::path file_ = folder_ / "a.npz";
};

TEST(LatentFileName, IsSdScripts) {
  EXPECT_EQ(latent_file_name("/d/a.b.png", {640, 48}, LatentNaming::kSized),
            "/d/a.b_0640x0048_sd.npz");
  EXPECT_EQ(latent_file_name("/d/a.png", {12000, 1024}, LatentNaming::kSized),
            "/d/a_12000x1024_sd.npz");
  EXPECT_EQ(latent_file_name("/d/a.png", {640, 48}, LatentNaming::kStem), "/d/a.npz");
  EXPECT_EQ(latent_file_name("a.png", {64, 64}, LatentNaming::kStem), "a.npz");
}

TEST(LatentFileName, CandidatesBeginWithTheNewestAndHaveSdxlOnRequestOnly) {
  EXPECT_THAT(latent_file_candidates("/d/a.png", {64, 512}, false),
              ElementsAre("/d/a_0064x0512_sd.npz", "/d/a.npz"));
  EXPECT_THAT(latent_file_candidates("/d/a.png", {64, 512}, true),
              ElementsAre("/d/a_0064x0512_sd.npz", "/d/a.npz", "/d/a_0064x0512_sdxl.npz"));
}

TEST_F(LatentFile, GivesBackWhatWasWritten) {
  LatentRecipe recipe = everything();
  write(recipe);
  const LatentEntry entry = entry_for(recipe);
  EXPECT_EQ(why(recipe), "");
  EXPECT_EQ(read_latents(file_, recipe, false).mean, entry.plain.mean);
  EXPECT_EQ(read_latents(file_, recipe, false).logvar, entry.plain.logvar);
  EXPECT_EQ(read_latents(file_, recipe, true).mean, entry.flipped.mean);
  EXPECT_EQ(read_latents(file_, recipe, true).logvar, entry.flipped.logvar);
  EXPECT_EQ(read_alpha_mask(file_, recipe), entry.alpha_mask);
  recipe.posterior = false;
  EXPECT_EQ(read_latents(file_, recipe, false).sample, entry.plain.sample);
  EXPECT_EQ(read_latents(file_, recipe, true).sample, entry.flipped.sample);
}

TEST_F(LatentFile, HasTheArraysThatReadersOfThisFormExpect) {
  const LatentRecipe recipe = everything(recipe_for({64, 128}));
  write(recipe);
  const NpzFile npz(file_);
  EXPECT_EQ(npz.find("latents")->shape, (std::vector<int64_t>{4, 16, 8}));
  EXPECT_EQ(npz.find("latents")->descr, "<f4");
  EXPECT_EQ(npz.find("latents_flipped")->shape, (std::vector<int64_t>{4, 16, 8}));
  EXPECT_EQ(npz.find("alpha_mask")->shape, (std::vector<int64_t>{128, 64}));
  EXPECT_THAT(integer_values(npz.read("original_size"), ""), ElementsAre(200, 100));
  // 200 x 100 in 64 x 128 is 64 x 32 with bars above and below.
  EXPECT_THAT(float_values(npz.read("crop_ltrb"), ""), ElementsAre(0, 48, 64, 80));
}

TEST_F(LatentFile, OfAnythingElseIsStale) {
  const LatentRecipe recipe = everything();
  write(recipe);
  const std::string size = "it was made for another size";
  EXPECT_EQ(why_after(recipe, [](auto& r) { r.image_hash = "other"; }), "the picture has changed");
  EXPECT_EQ(why_after(recipe, [](auto& r) { r.vae = "other"; }), "another VAE made it");
  EXPECT_EQ(why_after(recipe, [](auto& r) { r.placement.bucket = {64, 128}; }), size);
  EXPECT_EQ(why_after(recipe, [](auto& r) { r.placement.resized = {129, 64}; }), size);
  const std::string way = "the picture was resized in another way";
  EXPECT_EQ(why_after(recipe, [](auto& r) { r.interpolation = Interpolation::kBox; }), way);
  EXPECT_EQ(why_after(recipe, [](auto& r) { r.fast_decode = true; }), way);
  EXPECT_EQ(why(recipe), "");
}

TEST_F(LatentFile, WithoutAWantedArrayIsStale) {
  write(recipe_for());
  const LatentRecipe recipe = recipe_for();
  EXPECT_EQ(why(recipe), "");
  EXPECT_EQ(why_after(recipe, [](auto& r) { r.flipped = true; }), "it has no mirrored latents");
  EXPECT_EQ(why_after(recipe, [](auto& r) { r.alpha_mask = true; }), "it has no alpha mask");
  EXPECT_EQ(why_after(recipe, [](auto& r) { r.posterior = true; }),
            "it has no mean and log-variance");
  write(everything());
  EXPECT_EQ(why(recipe), "");  // more than is wanted does no harm
}

TEST_F(LatentFile, HoldsNoMirroredMeanIsNoticed) {
  LatentRecipe recipe = everything();
  LatentEntry entry = entry_for(recipe);
  entry.flipped.logvar.clear();
  write_latents(file_, recipe, entry);
  EXPECT_EQ(why(recipe), "it has no mean and log-variance");
  recipe.flipped = false;
  EXPECT_EQ(why(recipe), "");
}

TEST_F(LatentFile, InterpolationCountsAsWhatItStandsForAndOnlyWhereAPictureIsResized) {
  LatentRecipe recipe = recipe_for();
  write(recipe);
  recipe.interpolation = Interpolation::kArea;  // kDefault shrinks so
  EXPECT_EQ(why(recipe), "");
  recipe.interpolation = Interpolation::kLanczos;
  EXPECT_NE(why(recipe), "");
  recipe.image = {128, 64};
  ASSERT_EQ(recipe.placement.resized, recipe.image);
  write(recipe);
  for (const Interpolation any : {Interpolation::kDefault, Interpolation::kArea,
                                  Interpolation::kNearest, Interpolation::kBicubic}) {
    recipe.interpolation = any;
    EXPECT_EQ(why(recipe), "");
  }
}

TEST_F(LatentFile, OfAnotherProgramIsJudgedByItsShapes) {
  const std::vector<int64_t> shape = {4, 8, 8};
  LatentRecipe recipe = recipe_for();
  write_foreign({{"latents", shape}, {"original_size", {2}}, {"crop_ltrb", {4}}});
  EXPECT_EQ(why(recipe), "");
  EXPECT_EQ(read_latents(file_, recipe, false).sample, std::vector<float>(256, 0.0f));
  EXPECT_EQ(why_after(recipe,
                      [](auto& r) {
                        r.placement.bucket = {64, 128};
                      }),
            "it was made for another size");
  recipe.flipped = recipe.alpha_mask = true;
  EXPECT_EQ(why(recipe), "it has no mirrored latents");
  write_foreign({{"latents", shape}, {"latents_flipped", {4, 8, 9}}, {"alpha_mask", {64, 64}}});
  EXPECT_EQ(why(recipe), "it has no mirrored latents");
  write_foreign({{"latents", shape}, {"latents_flipped", shape}, {"alpha_mask", {64, 65}}});
  EXPECT_EQ(why(recipe), "it has no alpha mask");
  write_foreign({{"latents", shape}, {"latents_flipped", shape}, {"alpha_mask", {64, 64}}});
  EXPECT_EQ(why(recipe), "");
  EXPECT_EQ(read_latents(file_, recipe, true).sample, std::vector<float>(256, 1.0f));
  EXPECT_EQ(read_alpha_mask(file_, recipe), std::vector<float>(64 * 64, 2.0f));
  write_foreign({{"x", shape}});
  EXPECT_EQ(why(recipe), "it has no latents");
}

TEST_F(LatentFile, OfWholeNumbersIsNotUsed) {
  const std::vector<int64_t> values(256);
  for (const char* name : {"latents", "arr_0"}) {
    write_npz(file_, {make_npy(name, {4, 8, 8}, std::span<const int64_t>(values))});
    EXPECT_EQ(why(recipe_for()), "it was made for another size") << name;
  }
}

TEST_F(LatentFile, OfTheOldestFormHasItsMirroredLatentsBesideIt) {
  LatentRecipe recipe = recipe_for();
  write_foreign({{"arr_0", {4, 8, 8}}});
  EXPECT_EQ(why(recipe), "");
  EXPECT_EQ(read_latents(file_, recipe, false).sample, std::vector<float>(256, 0.0f));
  EXPECT_EQ(why_after(recipe, [](auto& r) { r.alpha_mask = true; }), "it has no alpha mask");
  EXPECT_EQ(why_after(recipe, [](auto& r) { r.posterior = true; }),
            "it has no mean and log-variance");
  EXPECT_EQ(why_after(recipe,
                      [](auto& r) {
                        r.placement.bucket = {64, 128};
                      }),
            "it was made for another size");
  recipe.flipped = true;
  EXPECT_EQ(why(recipe), "it has no mirrored latents");
  write_foreign({{"arr_0", {4, 8, 9}}}, "a_flip.npz");
  EXPECT_EQ(why(recipe), "it has no mirrored latents");
  folder_.write("a_flip.npz", "x");
  EXPECT_EQ(why(recipe), "it is damaged");
  const std::vector<float> mirrored(256, 7.0f);
  write_npz(folder_ / "a_flip.npz",
            {make_npy("arr_0", {4, 8, 8}, std::span<const float>(mirrored))});
  EXPECT_EQ(why(recipe), "");
  EXPECT_EQ(read_latents(file_, recipe, true).sample, mirrored);
}

TEST_F(LatentFile, HoldsSeveralSizesUnderSizedNames) {
  LatentRecipe small = everything(), large = everything(recipe_for({64, 128}));
  small.sized_names = large.sized_names = true;
  write(small);
  EXPECT_EQ(why(large), "it has no latents");
  write(large, 5000);
  EXPECT_EQ(why(small), "");
  EXPECT_EQ(why(large), "");
  EXPECT_EQ(read_latents(file_, small, true).mean, entry_for(small).flipped.mean);
  EXPECT_EQ(read_latents(file_, large, false).mean, entry_for(large, 5000).plain.mean);
  EXPECT_NE(NpzFile(file_).find("latents_16x8"), nullptr);  // height x width, as sd-scripts
  small.vae = "other";
  write(small, 9000);
  EXPECT_EQ(why(large), "");
  EXPECT_EQ(read_latents(file_, small, false).mean, entry_for(small, 9000).plain.mean);
  EXPECT_EQ(NpzFile(file_).arrays().size(), 20u);
}

TEST_F(LatentFile, KeepsNothingOfTheSizeThatIsWrittenAnew) {
  LatentRecipe recipe = everything();
  recipe.sized_names = true;
  write(recipe);
  LatentRecipe changed = recipe;
  changed.image_hash = "changed";
  changed.flipped = changed.alpha_mask = changed.posterior = false;
  write(changed, 100);
  EXPECT_EQ(why(changed), "");
  changed.flipped = true;
  EXPECT_EQ(why(changed), "it has no mirrored latents");
  changed.flipped = false;
  changed.posterior = true;
  EXPECT_EQ(why(changed), "it has no mean and log-variance");
}

TEST_F(LatentFile, DoesNotMixSizedNamesWithPlainOnes) {
  write(everything());
  LatentRecipe sized = recipe_for();
  EXPECT_EQ(why_after(sized, [](auto& r) { r.sized_names = true; }), "");  // plain names do
  sized.sized_names = true;
  sized.image_hash = "changed";
  EXPECT_EQ(why(sized), "the picture has changed");
  write(sized, 100);
  EXPECT_EQ(why(sized), "");
  sized.flipped = true;  // those there are the unchanged picture's
  EXPECT_EQ(why(sized), "it has no mirrored latents");
  EXPECT_THAT(error_text([&] { read_latents(file_, sized, true); }),
              AllOf(HasSubstr("latents_flipped"), HasSubstr(file_.string())));
}

TEST_F(LatentFile, CutOffAnywhereIsDamaged) {
  const LatentRecipe recipe = everything();
  write(recipe);
  const std::string whole = read_file(file_);
  for (size_t size = 0; size < whole.size(); size += 97) {
    folder_.write("a.npz", whole.substr(0, size));
    EXPECT_EQ(why(recipe), "it is damaged") << size;
  }
  fs::remove(file_);
  EXPECT_EQ(why(recipe), "it is damaged");
}

TEST_F(LatentFile, WithAChangedByteIsNeverAnExceptionToWhoAsks) {
  const LatentRecipe recipe = everything();
  write(recipe);
  const std::string whole = read_file(file_);
  for (size_t at = 0; at < whole.size(); at += 31) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x41);
    folder_.write("a.npz", changed);
    EXPECT_NO_THROW(why(recipe)) << at;
  }
}

TEST_F(LatentFile, WithADamagedRecordIsStale) {
  const auto with_record = [&](const std::string& text) {
    const std::vector<float> values(256);
    const auto bytes = std::as_bytes(std::span(text));
    write_npz(
        file_,
        {make_npy("latents", {4, 8, 8}, std::span<const float>(values)),
         {"sdtune", "|u1", {static_cast<int64_t>(text.size())}, {bytes.begin(), bytes.end()}}});
    return why(recipe_for());
  };
  EXPECT_EQ(with_record("{"), "its record is damaged");
  EXPECT_EQ(with_record("[]"), "its record is damaged");
  EXPECT_EQ(with_record(std::string(100'000, '[')), "its record is damaged");
  EXPECT_EQ(with_record("{}"), "the picture has changed");
  EXPECT_EQ(with_record(R"({"image": 3})"), "the picture has changed");
}

TEST_F(LatentFile, DamagedIsReplaced) {
  LatentRecipe recipe = everything();
  for (const bool sized : {false, true}) {
    recipe.sized_names = sized;
    write(recipe);
    folder_.write("a.npz", read_file(file_).substr(0, 1000));
    write(recipe);
    EXPECT_EQ(why(recipe), "");
  }
}

TEST_F(LatentFile, ErrorsOnReadingNameTheFileAndTheArray) {
  write(recipe_for());
  EXPECT_THAT(error_text([&] {
                read_latents(file_, recipe_for({64, 128}), false);
              }),
              AllOf(HasSubstr("'latents'"), HasSubstr(file_.string())));
  EXPECT_THAT(error_text([&] { read_alpha_mask(file_, recipe_for()); }), HasSubstr("'alpha_mask'"));
  EXPECT_THAT(error_text([&] { write_latents("/absent/a.npz", recipe_for(), {}); }),
              HasSubstr("/absent"));
}

}  // namespace
}  // namespace sdtune
