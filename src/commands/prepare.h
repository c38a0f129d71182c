// `sdtune prepare`: buckets and latents of a folder of pictures, written into metadata and .npz
// files, as sd-scripts' prepare_buckets_latents. `sdtune cache-latents`: the latents of any dataset
// that `train` would read, as its tools/cache_latents.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "options/option.h"
#include "train/train_options.h"

namespace sdtune {

struct PrepareOptions {
  std::filesystem::path train_data_dir;
  std::filesystem::path in_json;
  std::filesystem::path out_json;
  std::filesystem::path model_name_or_path;
  bool v2 = false;
  int64_t batch_size = 1;
  std::optional<int64_t> max_data_loader_n_workers;
  Size2 max_resolution{512, 512};
  int64_t min_bucket_reso = 256;
  int64_t max_bucket_reso = 1024;
  int64_t bucket_reso_steps = 64;
  bool bucket_no_upscale = false;
  MixedPrecision mixed_precision = MixedPrecision::kNo;
  bool full_path = false;
  bool recursive = false;
  PictureFlags pictures;
  bool cache_posterior = false;
  LatentNaming cache_names = LatentNaming::kSized;
  bool skip_existing = false;
  bool debug = false;
  std::string device = "auto";

  template <class V>
  void visit(V& v) {
    v("train_data_dir", train_data_dir, "The folder of pictures.", Required{}, Positional{});
    v("in_json", in_json, "Metadata to read; pictures that it lacks are added.", Required{},
      Positional{});
    v("out_json", out_json, "Metadata to write, with train_resolution for each picture.",
      Required{}, Positional{});
    v("model_name_or_path", model_name_or_path,
      "The model whose VAE encodes: a file, a folder or an id on the Hub.", Required{},
      Positional{});
    v("v2", v2, "Accepted: the VAE tells by itself.");
    v("batch_size", batch_size, "Pictures encoded at once.", Range{1, 4096});
    v("max_data_loader_n_workers", max_data_loader_n_workers,
      "Threads that read pictures; all cores when not given.", Range{0, 256});
    v("max_resolution", max_resolution, "Largest area of a bucket, \"N\" or \"W,H\".",
      Range{64, 8192});
    v("min_bucket_reso", min_bucket_reso, "Shortest side of a bucket.", Range{64, 8192});
    v("max_bucket_reso", max_bucket_reso, "Longest side of a bucket.", Range{64, 8192});
    v("bucket_reso_steps", bucket_reso_steps,
      "Sides of buckets are multiples of this; it must be one of 64.", Range{64, 8192});
    v("bucket_no_upscale", bucket_no_upscale,
      "Never enlarge a picture: buckets follow the pictures' own sizes.");
    v("mixed_precision", mixed_precision, "Type that the VAE computes in.",
      mixed_precision_names());
    v("full_path", full_path, "Keys of the metadata are paths instead of names.");
    v("recursive", recursive, "Pictures of sub-folders too.");
    v("cache_posterior", cache_posterior,
      "Keep mean and variance too, to draw latents anew at each appearance.");
    v("cache_names", cache_names,
      "Names of the files: NAME_0512x0768_sd.npz, or NAME.npz as earlier tools wrote them.",
      latent_naming_names());
    v("skip_existing", skip_existing,
      "Take files that are there as they are, without a look at what they were made from.");
    v("debug", debug, "Print each picture's bucket.");
    v("device", device, "Where to compute.", Choices{"auto", "cpu", "cuda"});
    pictures.visit(v);
  }
};

int run_prepare(std::span<const std::string> args);

struct CacheLatentsOptions {
  ModelOptions model;
  DataOptions dataset;
  MixedPrecision mixed_precision = MixedPrecision::kNo;
  bool no_half_vae = false;
  bool skip_existing = false;
  std::string device = "auto";
  ConfigFileOptions config;

  template <class V>
  void visit(V& v) {
    model.visit(v);
    dataset.visit(v);
    v.group("Computing");
    v("mixed_precision", mixed_precision, "Type that the VAE computes in.",
      mixed_precision_names());
    v("no_half_vae", no_half_vae, "The VAE computes in fp32, whatever the rest does.");
    v("skip_existing", skip_existing, "Accepted: what is there and fits is kept.");
    v("device", device, "Where to compute.", Choices{"auto", "cpu", "cuda"});
    v.group("Configuration");
    config.visit(v);
  }
};

int run_cache_latents(std::span<const std::string> args);

}  // namespace sdtune
