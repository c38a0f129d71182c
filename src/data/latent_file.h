// Latents of one picture kept in a .npz beside it: sd-scripts' files of every version in, its
// present form out, with one more array that says what the latents were made from, so that a
// changed picture, VAE, bucket or resize method is noticed. Which pictures are encoded when is
// decided elsewhere (latent_cache.h). docs/formats.md has the arrays.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace sdtune {

// What latents are made from, and which of them are wanted.
struct LatentRecipe {
  Size image;  // of the picture
  Placement placement;
  Interpolation interpolation = Interpolation::kDefault;
  bool fast_decode = false;
  std::string vae;         // fingerprint of its encoder's weights
  std::string image_hash;  // of the picture file's bytes
  bool flipped = false;    // the mirrored picture's latents too
  bool alpha_mask = false;
  bool posterior = false;    // mean and log-variance too
  bool sized_names = false;  // arrays are named after their size, so that one file holds several
};

// [4, height / 8, width / 8] each; log-variance and mean only with posterior, mirrored ones only
// with flipped.
struct Latents {
  std::vector<float> sample, mean, logvar;
};

struct LatentEntry {
  Latents plain;
  Latents flipped;
  std::vector<float> alpha_mask;  // [height, width] in [0, 1]
};

enum class LatentNaming {
  kSized,  // <stem>_<WWWW>x<HHHH>_sd.npz, W and H of the picture: sd-scripts' present name
  kStem,   // <stem>.npz, its older one
};

// Where the picture's entry is written.
std::filesystem::path latent_file_name(const std::filesystem::path& image, Size size,
                                       LatentNaming naming);

// Names under which entries of the picture may lie, newest form first. With `sdxl_names` also
// <stem>_<WWWW>x<HHHH>_sdxl.npz, which sd-scripts 0.10 writes for every kind of model.
std::vector<std::filesystem::path> latent_file_candidates(const std::filesystem::path& image,
                                                          Size size, bool sdxl_names);

// "" when the file holds what the recipe asks for; else why not, in words. A file that says what it
// was made from must say the same; one that does not (written by another program) must have the
// arrays in the right shapes. Never throws for what is in the file.
std::string why_unusable(const std::filesystem::path& file, const LatentRecipe& recipe);

// The latents of the picture or of its mirrored self: sample, or mean and log-variance where the
// recipe asks for the posterior. Throws Error naming the file and the array.
Latents read_latents(const std::filesystem::path& file, const LatentRecipe& recipe, bool flipped);
// [height, width] in [0, 1].
std::vector<float> read_alpha_mask(const std::filesystem::path& file, const LatentRecipe& recipe);

// Writes the entry, atomically. Arrays of other sizes that the file holds already stay when names
// are sized. Throws Error.
void write_latents(const std::filesystem::path& file, const LatentRecipe& recipe,
                   const LatentEntry& entry);

}  // namespace sdtune
