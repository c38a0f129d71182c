// The options that say which pictures there are, how they are cut, captioned and cached: one struct
// for every command that reads a dataset. dataset_setup.h turns it into a dataset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "data/latent_file.h"
#include "data/small_buckets.h"
#include "options/option.h"

namespace sdtune {

struct BucketFlags {
  std::optional<Size2> resolution;
  bool enable_bucket = false;
  int64_t min_bucket_reso = 256;
  int64_t max_bucket_reso = 1024;
  int64_t bucket_reso_steps = 64;
  bool bucket_no_upscale = false;
  SmallBuckets small_buckets = SmallBuckets::kShortBatch;

  template <class V>
  void visit(V& v) {
    v.group("Sizes and buckets");
    v("resolution", resolution,
      "Size of training, \"N\" or \"W,H\"; with buckets their largest area. Without it the "
      "metadata's train_resolution decides.",
      Range{64, 8192});
    v("enable_bucket", enable_bucket,
      "Sort pictures into buckets by aspect ratio instead of cropping to one size.");
    v("min_bucket_reso", min_bucket_reso, "Shortest side of a bucket.", Range{64, 8192});
    v("max_bucket_reso", max_bucket_reso, "Longest side of a bucket.", Range{64, 8192});
    v("bucket_reso_steps", bucket_reso_steps,
      "Sides of buckets are multiples of this; it must be one of 64.", Range{64, 8192});
    v("bucket_no_upscale", bucket_no_upscale,
      "Never enlarge a picture: buckets follow the pictures' own sizes.");
    v("small_buckets", small_buckets,
      "What becomes of a bucket with fewer pictures than a batch: short batches, dropped pictures, "
      "or pictures moved to the nearest bucket.",
      EnumNames<SmallBuckets>{{"short", SmallBuckets::kShortBatch},
                              {"drop", SmallBuckets::kDrop},
                              {"merge", SmallBuckets::kMerge}});
  }
};

struct CaptionFlags {
  std::string caption_extension = ".caption";
  std::string caption_separator = ",";
  bool shuffle_caption = false;
  int64_t keep_tokens = 0;
  std::string keep_tokens_separator;
  std::optional<std::string> secondary_separator;
  bool enable_wildcard = false;
  std::optional<std::string> caption_prefix;
  std::optional<std::string> caption_suffix;
  int64_t token_warmup_min = 1;
  double token_warmup_step = 0;
  double caption_dropout_rate = 0;
  int64_t caption_dropout_every_n_epochs = 0;
  double caption_tag_dropout_rate = 0;
  bool weighted_captions = false;
  int64_t max_token_length = 75;

  template <class V>
  void visit(V& v) {
    v.group("Captions");
    v("caption_extension", caption_extension,
      "In a plain folder: the text file beside a picture that holds its caption.",
      Aliases{"caption_extention"});
    v("caption_separator", caption_separator,
      "What stands between a caption and its tags, and between tags.");
    v("shuffle_caption", shuffle_caption, "Shuffle the tags of a caption at each appearance.");
    v("keep_tokens", keep_tokens, "Tags at the front that are neither shuffled nor dropped.",
      Range{0, 100000});
    v("keep_tokens_separator", keep_tokens_separator,
      "What stands between the tags that are kept in place and the others; after a second one "
      "follow tags that are kept at the end.");
    v("secondary_separator", secondary_separator,
      "Joins tags that stay together; becomes --caption_separator in the end.");
    v("enable_wildcard", enable_wildcard,
      "Draw one of {a|b|c}, and one line of a caption with several.");
    v("caption_prefix", caption_prefix, "Put before every caption, with a space.");
    v("caption_suffix", caption_suffix, "Put after every caption, with a space.");
    v("token_warmup_min", token_warmup_min, "Tags shown at the first step of --token_warmup_step.",
      Range{0, 100000});
    v("token_warmup_step", token_warmup_step,
      "Show more tags from step to step, all of them from this step on (below 1: share of all "
      "steps).",
      Range{0, 1e12});
    v("caption_dropout_rate", caption_dropout_rate, "Share of captions left empty.", Range{0, 1});
    v("caption_dropout_every_n_epochs", caption_dropout_every_n_epochs,
      "Leave all captions empty in each nth epoch; 0 is off.", Range{0, 1e9});
    v("caption_tag_dropout_rate", caption_tag_dropout_rate, "Share of tags left out.", Range{0, 1});
    v("weighted_captions", weighted_captions,
      "Read (words:1.2) and [words] as weights of attention.");
    v("max_token_length", max_token_length, "Longest caption in tokens: 75, 150 or 225.",
      Range{75, 225});
  }
};

struct PictureFlags {
  std::optional<std::string> resize_interpolation;
  bool fast_decode = false;
  bool flip_aug = false;
  bool color_aug = false;
  bool random_crop = false;
  std::optional<std::string> face_crop_aug_range;
  bool alpha_mask = false;

  template <class V>
  void visit(V& v) {
    v.group("Pictures");
    v("resize_interpolation", resize_interpolation,
      "How pictures are resized; area when they shrink and Lanczos when they grow, if not given.",
      Choices{"lanczos", "nearest", "bilinear", "linear", "bicubic", "cubic", "area", "box"});
    v("fast_decode", fast_decode,
      "Shrink large pictures while they are decoded: faster, with slightly other pixels.");
    v("flip_aug", flip_aug, "Mirror half of all appearances.");
    v("color_aug", color_aug, "Change hue or gamma of a third of all appearances.");
    v("random_crop", random_crop, "Cut anywhere instead of from the middle.");
    v("face_crop_aug_range", face_crop_aug_range,
      "\"low,high\": crop around the face that the file name tells, without buckets.");
    v("alpha_mask", alpha_mask, "Keep the pictures' alpha channel as a mask.");
  }
};

inline EnumNames<LatentNaming> latent_naming_names() {
  return {{"sized", LatentNaming::kSized}, {"stem", LatentNaming::kStem}};
}

struct CacheFlags {
  bool cache_latents = false;
  bool cache_latents_to_disk = false;
  bool cache_posterior = false;
  int64_t vae_batch_size = 1;
  bool skip_cache_check = false;
  LatentNaming cache_names = LatentNaming::kSized;
  bool read_sdxl_npz = false;

  template <class V>
  void visit(V& v) {
    v.group("Latents computed once");
    v("cache_latents", cache_latents, "Encode all pictures before training, into memory.");
    v("cache_latents_to_disk", cache_latents_to_disk,
      "The same into .npz files beside the pictures, for the next run too; what has changed is "
      "encoded anew.");
    v("cache_posterior", cache_posterior,
      "Keep mean and variance, and draw each picture's latents anew at each appearance.");
    v("vae_batch_size", vae_batch_size, "Pictures encoded at once.", Range{1, 4096});
    v("skip_cache_check", skip_cache_check, "Take files that are there as they are.");
    v("cache_names", cache_names,
      "Names of the files: NAME_0512x0768_sd.npz, or NAME.npz as earlier tools wrote them.",
      latent_naming_names());
    v("read_sdxl_npz", read_sdxl_npz,
      "Use NAME_…_sdxl.npz too, which sd-scripts 0.10 wrote for every model. They do not say whose "
      "they are: leave it off where SDXL was trained on the same folder.");
  }
};

struct DataOptions {
  std::optional<std::filesystem::path> train_data_dir;
  std::optional<std::filesystem::path> in_json;
  std::optional<std::filesystem::path> dataset_config;
  std::optional<std::filesystem::path> conditioning_data_dir;
  int64_t dataset_repeats = 1;
  int64_t train_batch_size = 1;
  BucketFlags buckets;
  CaptionFlags captions;
  PictureFlags pictures;
  CacheFlags cache;
  int64_t max_data_loader_n_workers = 8;
  bool debug_dataset = false;
  bool cache_info = false;

  template <class V>
  void visit(V& v) {
    v.group("Dataset");
    v("train_data_dir", train_data_dir, "The folder of pictures.");
    v("in_json", in_json,
      "Metadata (JSON or JSONL): pictures by path or by name without extension, with caption and "
      "tags. Without it every picture of the folder is taken, with the text files beside it.");
    v("dataset_config", dataset_config,
      "TOML or JSON file of datasets and subsets, instead of the two above; other options of this "
      "group are what it leaves open.");
    v("conditioning_data_dir", conditioning_data_dir,
      "Folder of masks for --masked_loss: pictures of the same names, white where the loss "
      "counts.");
    v("dataset_repeats", dataset_repeats, "How often each picture is seen in an epoch.",
      Range{1, 1000000});
    v("train_batch_size", train_batch_size, "Pictures in a batch.", Range{1, 4096});
    v("max_data_loader_n_workers", max_data_loader_n_workers,
      "Threads that read pictures ahead of the training step, at most.", Range{0, 256});
    v("debug_dataset", debug_dataset,
      "Print what is in each batch of an epoch, and how fast they come, instead of training.");
    v("cache_info", cache_info, "Accepted: what is known of pictures is always remembered.");
    buckets.visit(v);
    captions.visit(v);
    pictures.visit(v);
    cache.visit(v);
  }
};

}  // namespace sdtune
