#include "data/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "data/epoch_plan.h"
#include "image/test_pictures.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Black left of a bright bar and right of it: another look for each place.
Image bar_picture(int width, int height, int place) {
  Image image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const bool is_bright = (x * 9 / width + y * 8 / height * (place + 3)) % 7 < 3;
      for (int c = 0; c < 3; ++c) {
        image.rgb[3 * (static_cast<size_t>(y) * width + x) + c] = is_bright ? 220 : 20;
      }
    }
  }
  return image;
}

class Doctor : public testing::Test {
 protected:
  Doctor() {
    dataset_.buckets.resolution = {64, 64};
    dataset_.subsets.resize(1);
    dataset_.subsets[0].image_dir = folder_.path();
  }

  void add(const std::string& name, const Image& image, const std::string& caption = "a bar") {
    write_png(folder_ / name, image);
    if (!caption.empty()) folder_.write(fs::path(name).stem().string() + ".caption", caption);
  }

  Diagnosis look() { return examine({dataset_}, options_); }

  // "name: detail" of the findings of this kind.
  std::vector<std::string> found(FindingKind kind) {
    std::vector<std::string> texts;
    for (const Finding& finding : look().findings) {
      if (finding.kind == kind) texts.push_back(finding.name + ": " + finding.detail);
    }
    return texts;
  }

  TestFolder folder_;
  DatasetOptions dataset_;
  DoctorOptions options_;
};

TEST_F(Doctor, AGoodDatasetHasNoFindings) {
  add("a.png", bar_picture(64, 64, 0));
  add("b.png", bar_picture(128, 128, 1));
  const Diagnosis diagnosis = look();
  EXPECT_THAT(diagnosis.findings, IsEmpty());
  EXPECT_EQ(diagnosis.dataset.items.size(), 2);
  EXPECT_THAT(diagnosis.caption_lengths, ElementsAre(2, 0, 0, 0));
}

TEST_F(Doctor, UnreadablePictures) {
  add("a.png", bar_picture(64, 64, 0));
  folder_.write("empty.png", "");
  folder_.write("text.jpg", "no picture");
  write_jpeg(folder_ / "cut.jpg", bar_picture(640, 640, 2));
  fs::resize_file(folder_ / "cut.jpg", fs::file_size(folder_ / "cut.jpg") / 2);
  EXPECT_THAT(found(FindingKind::kUnreadablePicture),
              testing::UnorderedElementsAre(HasSubstr("empty.png: "), HasSubstr("text.jpg: "),
                                            HasSubstr("cut.jpg: ")));
  EXPECT_EQ(look().dataset.items.size(), 1);
  options_.decode_pictures = false;  // damage behind the header stays unseen
  EXPECT_EQ(found(FindingKind::kUnreadablePicture).size(), 2);
}

TEST_F(Doctor, CopiesAndNearCopies) {
  add("a.png", bar_picture(64, 64, 0));
  fs::copy_file(folder_ / "a.png", folder_ / "b.png");
  add("c.png", bar_picture(128, 128, 0));
  add("d.png", bar_picture(64, 64, 2));
  EXPECT_THAT(found(FindingKind::kCopies), ElementsAre("a.png: the same as b.png"));
  EXPECT_THAT(found(FindingKind::kNearCopies), ElementsAre("a.png: looks like c.png"));
  options_.decode_pictures = false;
  EXPECT_THAT(found(FindingKind::kCopies), ElementsAre("a.png: the same as b.png"));
  EXPECT_THAT(found(FindingKind::kNearCopies), IsEmpty());
}

TEST_F(Doctor, FlatPicturesAreNotAlike) {
  Image white(64, 64);
  std::fill(white.rgb.begin(), white.rgb.end(), 255);
  add("black.png", Image(64, 64));
  add("white.png", white);
  EXPECT_THAT(found(FindingKind::kNearCopies), IsEmpty());
}

TEST_F(Doctor, ADamagedCopyIsUnreadableToo) {
  write_jpeg(folder_ / "a.jpg", bar_picture(640, 640, 2));
  fs::resize_file(folder_ / "a.jpg", fs::file_size(folder_ / "a.jpg") / 2);
  fs::copy_file(folder_ / "a.jpg", folder_ / "b.jpg");
  EXPECT_EQ(found(FindingKind::kUnreadablePicture).size(), 2);
  EXPECT_THAT(found(FindingKind::kNoPictures),
              ElementsAre("all datasets: none of 2 pictures can be used"));
}

TEST_F(Doctor, MissingAndEmptyCaptions) {
  add("a.png", bar_picture(64, 64, 0), "");
  add("b.png", bar_picture(64, 64, 1), " \n");
  add("c.png", bar_picture(64, 64, 2), "");
  folder_.write("c.txt", "tags are enough");
  EXPECT_THAT(found(FindingKind::kMissingCaption), ElementsAre("a.png: there is no a.caption"));
  EXPECT_THAT(found(FindingKind::kEmptyCaption), ElementsAre("b.png: b.caption is empty"));
  dataset_.subsets[0].class_tokens = "a thing";
  EXPECT_THAT(found(FindingKind::kMissingCaption), IsEmpty());
}

TEST_F(Doctor, LongCaptions) {
  std::string caption = "cat";
  for (int i = 1; i < 80; ++i) caption += " cat";
  add("a.png", bar_picture(64, 64, 0), caption);
  EXPECT_THAT(found(FindingKind::kLongCaption),
              ElementsAre("a.png: 80 tokens, the last 5 are cut off (--max_token_length=75)"));
  EXPECT_THAT(look().caption_lengths, ElementsAre(0, 1, 0, 0));
  options_.max_token_length = 150;
  EXPECT_THAT(found(FindingKind::kLongCaption), IsEmpty());
}

TEST_F(Doctor, BrokenCaptions) {
  add("a.png", bar_picture(64, 64, 0), "caf\xe9");
  add("b.png", bar_picture(64, 64, 1), std::string((1 << 20) + 1, 'x'));
  EXPECT_THAT(found(FindingKind::kBrokenCaption),
              ElementsAre(HasSubstr("b.caption: "), "a.png: its caption is not UTF-8"));
}

TEST_F(Doctor, OddTagsAndSpellings) {
  add("a.png", bar_picture(64, 64, 0), "long_hair, solo, solo");
  add("b.png", bar_picture(64, 64, 1), "Long hair, long_hair");
  EXPECT_THAT(found(FindingKind::kOddTags), ElementsAre("a.png: more than once: \"solo\""));
  EXPECT_THAT(found(FindingKind::kTagSpelling),
              ElementsAre("long hair: \"Long hair\" x 1, \"long_hair\" x 2"));
}

TEST_F(Doctor, SizesAndCrops) {
  add("crop.png", bar_picture(200, 100, 0));
  add("small.png", bar_picture(50, 50, 1));
  add("thin.png", bar_picture(2000, 10, 2));
  add("tiny.png", bar_picture(16, 16, 3));
  EXPECT_THAT(found(FindingKind::kHeavyCrop),
              ElementsAre("crop.png: 200 x 100 loses 50 % to 64 x 64"));
  EXPECT_THAT(found(FindingKind::kEnlarged),
              ElementsAre("small.png: 50 x 50, enlarged 1.28 times for 64 x 64"));
  EXPECT_THAT(found(FindingKind::kUnplaceablePicture), ElementsAre("thin.png: 2000 x 10"));
  EXPECT_THAT(found(FindingKind::kTinyPicture),
              ElementsAre("tiny.png: 16 x 16, enlarged 4.00 times for 64 x 64"));
}

TEST_F(Doctor, HugePictures) {
  add("a.png", Image(6000, 5000));
  options_.decode_pictures = false;
  EXPECT_THAT(found(FindingKind::kHugePicture), ElementsAre("a.png: 6000 x 5000"));
}

TEST_F(Doctor, NamesThatDisagree) {
  add("a.png", bar_picture(64, 64, 0));
  write_png(folder_ / "a.jpg", bar_picture(64, 64, 1));
  folder_.write("lost.caption", "whose?");
  EXPECT_THAT(found(FindingKind::kSharedStem),
              ElementsAre("a.png: shares its captions with a.jpg"));
  EXPECT_THAT(found(FindingKind::kWrongExtension), ElementsAre("a.jpg: it is PNG"));
  EXPECT_THAT(found(FindingKind::kTextWithoutPicture),
              ElementsAre("lost.caption: no picture of this name"));
}

TEST_F(Doctor, MetadataFaultsAreFindings) {
  add("a.png", bar_picture(64, 64, 0), "");
  add("b.png", bar_picture(64, 64, 1), "");
  folder_.write("meta.json", R"({"a": {"caption": 3}, "gone": {}, "b": {"tags": "x"},
                                 "b.png": {"tags": "x"}})");
  dataset_.subsets[0].metadata_file = folder_ / "meta.json";
  EXPECT_THAT(found(FindingKind::kMissingPicture), ElementsAre("gone: no such picture"));
  EXPECT_THAT(found(FindingKind::kBrokenCaption), ElementsAre(HasSubstr("a: ")));
  EXPECT_THAT(found(FindingKind::kMissingCaption), ElementsAre("a.png: no caption and no tags"));
  EXPECT_THAT(found(FindingKind::kListedTwice), ElementsAre("b.png: as \"b.png\""));
}

TEST_F(Doctor, UnreadableSources) {
  add("a.png", bar_picture(64, 64, 0));
  dataset_.subsets.push_back(dataset_.subsets[0]);
  dataset_.subsets[1].image_dir = folder_ / "gone";
  EXPECT_THAT(found(FindingKind::kUnreadableSource), ElementsAre(HasSubstr("/gone: ")));
  EXPECT_EQ(look().dataset.items.size(), 1);
  dataset_.subsets.erase(dataset_.subsets.begin());
  EXPECT_THROW(look(), Error);
}

TEST_F(Doctor, AnEmptyFolder) {
  EXPECT_THAT(found(FindingKind::kNoPictures), ElementsAre(HasSubstr("no pictures are listed")));
}

TEST_F(Doctor, WithoutAResolution) {
  add("a.png", bar_picture(512, 512, 0));
  dataset_.has_resolution = false;
  EXPECT_EQ(found(FindingKind::kNoResolution).size(), 1);
  EXPECT_EQ(look().buckets.at(0).bucket.size, (Size{512, 512}));
  folder_.write("meta.json", R"({"a": {"caption": "x", "train_resolution": [128, 64]}})");
  dataset_.subsets[0].metadata_file = folder_ / "meta.json";
  EXPECT_THAT(found(FindingKind::kNoResolution), IsEmpty());
  EXPECT_EQ(look().buckets.at(0).bucket.size, (Size{128, 64}));
}

TEST_F(Doctor, SmallBucketsAreShortOrDropped) {
  add("a.png", bar_picture(64, 64, 0));
  dataset_.batch_size = 4;
  EXPECT_THAT(found(FindingKind::kShortBatch), ElementsAre("64 x 64: 1 sample for batches of 4"));
  options_.small_buckets = SmallBuckets::kDrop;
  EXPECT_THAT(found(FindingKind::kDropped), ElementsAre("a.png: bucket 64 x 64"));
}

TEST_F(Doctor, OnePictureInTwoDatasetsIsLookedAtOnce) {
  add("a.png", bar_picture(50, 50, 0), "");
  DatasetOptions large = dataset_;
  large.buckets.resolution = {128, 128};
  const Diagnosis diagnosis = examine({dataset_, large}, options_);
  const auto count = [&](FindingKind kind) {
    return std::count_if(diagnosis.findings.begin(), diagnosis.findings.end(),
                         [kind](const Finding& finding) { return finding.kind == kind; });
  };
  EXPECT_EQ(count(FindingKind::kMissingCaption), 1);
  EXPECT_EQ(count(FindingKind::kListedTwice), 0);
  EXPECT_EQ(count(FindingKind::kCopies), 0);
  EXPECT_EQ(count(FindingKind::kEnlarged), 1);
  EXPECT_EQ(count(FindingKind::kTinyPicture), 1);
  EXPECT_EQ(diagnosis.dataset.items.size(), 2);
}

// What the doctor counts is what training does.
TEST_F(Doctor, PlacesAsTrainingDoes) {
  for (int i = 0; i < 12; ++i) {
    add(fmt::format("{}.png", i), bar_picture(64 + 37 * i % 200, 64 + 53 * i % 300, i));
  }
  dataset_.buckets = {.resolution = {128, 128}, .enable = true, .min_reso = 64, .max_reso = 256};
  dataset_.batch_size = 4;
  dataset_.subsets[0].num_repeats = 3;
  for (const auto choice : {SmallBuckets::kShortBatch, SmallBuckets::kDrop, SmallBuckets::kMerge}) {
    options_.small_buckets = choice;
    const Dataset doctor = look().dataset;
    const Dataset training = make_dataset({dataset_}, {.small_buckets = choice});
    EXPECT_EQ(doctor.buckets, training.buckets);
    EXPECT_EQ(batches_per_epoch(doctor), batches_per_epoch(training));
    ASSERT_EQ(doctor.items.size(), training.items.size());
    for (size_t i = 0; i < doctor.items.size(); ++i) {
      EXPECT_EQ(doctor.items[i].image, training.items[i].image);
      EXPECT_EQ(doctor.items[i].caption, training.items[i].caption);
      EXPECT_EQ(doctor.items[i].bucket, training.items[i].bucket);
      EXPECT_EQ(doctor.items[i].repeats, training.items[i].repeats);
      EXPECT_EQ(doctor.items[i].placement.resized, training.items[i].placement.resized);
    }
  }
}

TEST(CropShare, IsTheMiddle) {
  const Placement placement{{64, 64}, {128, 65}};
  const CropShare crop = crop_share(placement);
  EXPECT_EQ(crop.x, 0.25);
  EXPECT_EQ(crop.y, 0);
  EXPECT_EQ(crop.width, 0.5);
  EXPECT_DOUBLE_EQ(crop.height, 64.0 / 65);
  EXPECT_DOUBLE_EQ(crop_loss(placement), 1 - 0.5 * 64 / 65);
}

}  // namespace
}  // namespace sdtune
