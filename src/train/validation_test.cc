#include "train/validation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace sdtune {
namespace {

Dataset dataset_of(int64_t count) {
  Dataset dataset;
  dataset.buckets = {{}};
  dataset.subsets = {{}};
  for (int64_t i = 0; i < count; ++i) {
    Item item;
    item.id = static_cast<uint64_t>(1000 + i);
    item.image = std::to_string(item.id) + ".png";
    dataset.items.push_back(item);
  }
  return dataset;
}

std::vector<uint64_t> ids_of(const Dataset& dataset) {
  std::vector<uint64_t> ids;
  for (const Item& item : dataset.items) ids.push_back(item.id);
  return ids;
}

TEST(ValidationSplit, TakesTheShareAndLeavesTheRestInOrder) {
  Dataset dataset = dataset_of(40);
  const Dataset taken = *take_validation_pictures(dataset, {0.25, 3});
  EXPECT_EQ(taken.items.size(), 10);
  EXPECT_EQ(taken.buckets.size(), 1);
  EXPECT_EQ(taken.subsets.size(), 1);
  const std::vector<uint64_t> left = ids_of(dataset), kept = ids_of(taken);
  EXPECT_TRUE(std::is_sorted(left.begin(), left.end()));
  std::set<uint64_t> all(left.begin(), left.end());
  all.insert(kept.begin(), kept.end());
  EXPECT_EQ(all.size(), 40);
}

TEST(ValidationSplit, IsAFunctionOfSeedAndPictures) {
  Dataset a = dataset_of(40), b = dataset_of(40), c = dataset_of(40), reversed = dataset_of(40);
  std::reverse(reversed.items.begin(), reversed.items.end());
  const auto taken = ids_of(*take_validation_pictures(a, {0.25, 3}));
  EXPECT_EQ(ids_of(*take_validation_pictures(b, {0.25, 3})), taken);
  EXPECT_NE(ids_of(*take_validation_pictures(c, {0.25, 4})), taken);
  auto backwards = ids_of(*take_validation_pictures(reversed, {0.25, 3}));
  std::reverse(backwards.begin(), backwards.end());
  EXPECT_EQ(backwards, taken);
}

TEST(ValidationSplit, HoldsAPictureBackFromAllDatasets) {
  Dataset dataset = dataset_of(40), again = dataset_of(40);
  for (Item& item : again.items) {
    item.id += 5000;  // as of another dataset
    item.image = std::filesystem::current_path() / "elsewhere/.." / item.image;
    dataset.items.push_back(item);
  }
  const Dataset taken = *take_validation_pictures(dataset, {0.25, 3});
  EXPECT_EQ(taken.items.size(), 20);
  std::multiset<std::string> names;
  for (const Item& item : taken.items) names.insert(item.image.filename().string());
  for (const std::string& name : names) EXPECT_EQ(names.count(name), 2) << name;
}

TEST(ValidationSplit, TakesAtLeastOneAndLeavesAtLeastOne) {
  Dataset dataset = dataset_of(10);
  EXPECT_EQ(take_validation_pictures(dataset, {0.001, 0})->items.size(), 1);
  EXPECT_EQ(dataset.items.size(), 9);
  Dataset one = dataset_of(1);
  EXPECT_THROW(take_validation_pictures(one, {0.5, 0}), UsageError);
}

TEST(ValidationSplit, IsNoneUnlessAskedFor) {
  Dataset dataset = dataset_of(4);
  EXPECT_FALSE(take_validation_pictures(dataset, {}).has_value());
  EXPECT_EQ(dataset.items.size(), 4);
}

}  // namespace
}  // namespace sdtune
