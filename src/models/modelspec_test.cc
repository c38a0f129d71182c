#include "models/modelspec.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"

namespace sdtune {
namespace {

TEST(Modelspec, SaysWhatTheModelIs) {
  ModelspecFields fields;
  fields.title = "cats";
  fields.date = "2026-01-31T12:00:00";
  fields.version = "1.2.3";
  const auto metadata = modelspec_metadata(fields);
  EXPECT_EQ(metadata.at("modelspec.sai_model_spec"), "1.0.1");
  EXPECT_EQ(metadata.at("modelspec.architecture"), "stable-diffusion-v1");
  EXPECT_EQ(metadata.at("modelspec.implementation_version"), "sdtune/1.2.3");
  EXPECT_EQ(metadata.at("modelspec.title"), "cats");
  EXPECT_EQ(metadata.at("modelspec.resolution"), "512x512");
  EXPECT_EQ(metadata.at("modelspec.prediction_type"), "epsilon");
  EXPECT_EQ(metadata.size(), 8u) << "empty fields are left out";
}

TEST(Modelspec, FollowsFamilyAndOptions) {
  ModelspecFields fields;
  fields.family = ModelFamily::kV2;
  EXPECT_EQ(modelspec_metadata(fields).at("modelspec.architecture"), "stable-diffusion-v2-512");
  fields.prediction = PredictionType::kV;
  fields.timestep_range = {0, 999};
  fields.clip_skip = 2;
  fields.author = "me";
  auto metadata = modelspec_metadata(fields);
  EXPECT_EQ(metadata.at("modelspec.architecture"), "stable-diffusion-v2-768-v");
  EXPECT_EQ(metadata.at("modelspec.resolution"), "768x768");
  EXPECT_EQ(metadata.at("modelspec.prediction_type"), "v");
  EXPECT_EQ(metadata.at("modelspec.timestep_range"), "0,999");
  EXPECT_EQ(metadata.at("modelspec.encoder_layer"), "2");
  EXPECT_EQ(metadata.at("modelspec.author"), "me");
  fields.resolution = {640, 512};
  EXPECT_EQ(modelspec_metadata(fields).at("modelspec.resolution"), "640x512");
}

TEST(Modelspec, ThumbnailBecomesADataUrl) {
  const fs::path picture = fs::temp_directory_path() / ("thumbnail-" + std::to_string(::getpid()));
  write_file(picture, "\x89PNGab");
  EXPECT_EQ(picture_data_url(picture), "data:image/png;base64,iVBOR2Fi");
  write_file(picture, "\xff\xd8\xff!");
  EXPECT_EQ(picture_data_url(picture), "data:image/jpeg;base64,/9j/IQ==");
  write_file(picture, "text");
  EXPECT_THROW(picture_data_url(picture), Error);
  fs::remove(picture);
  EXPECT_THROW(picture_data_url(picture), Error);
  ModelspecFields fields;
  fields.thumbnail = "data:image/png;base64,AA==";
  EXPECT_EQ(modelspec_metadata(fields).at("modelspec.thumbnail"), fields.thumbnail);
}

}  // namespace
}  // namespace sdtune
