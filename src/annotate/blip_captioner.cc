#include "annotate/blip_captioner.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "annotate/blip_pixels.h"
#include "base/error.h"
#include "models/blip_files.h"
#include "text/white_space.h"
#include "text/word_piece_files.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;

// Original checkpoints come without words: their code takes those of bert-base-uncased.
WordPieces vocabulary_of(const BlipCaptionerOptions& options) {
  if (!options.vocabulary.empty()) return read_word_pieces(options.vocabulary);
  const fs::path folder =
      fs::is_directory(options.weights) ? options.weights : options.weights.parent_path();
  const fs::path place = folder.empty() ? fs::path(".") : folder;
  if (has_word_pieces(place)) return read_word_pieces(place);
  throw Error("the model comes without the words that it writes with", place.string(),
              "Put bert-base-uncased's vocab.txt there, or name it with --caption_vocabulary; any "
              "BLIP folder's vocab.txt or tokenizer.json is the same.");
}

Blip load_to_device(const BlipCaptionerOptions& options) {
  Blip model = load_blip(options.weights, options.type);
  visit_parameters(model,
                   [&](const std::string&, at::Tensor& slot) { slot = slot.to(options.device); });
  return model;
}

}  // namespace

BlipCaptioner::BlipCaptioner(const BlipCaptionerOptions& options)
    : options_(options), model_(load_to_device(options)), tokenizer_(vocabulary_of(options)) {
  const BlipTextConfig& config = model_.config.text;
  prompt_ = tokenizer_.encode(options.prompt);
  prompt_.insert(prompt_.begin(), config.bos_token_id);
  for (const int64_t id : prompt_) {
    if (id < config.vocab_size) continue;
    throw Error("the vocabulary is another model's: it has more pieces than this one",
                options.weights.string(), "Give the vocabulary that the model came with.");
  }
  const CaptionSearch& search = options.search;
  if (search.max_length <= static_cast<int64_t>(prompt_.size())) {
    throw UsageError(fmt::format("the prompt alone takes {} tokens", prompt_.size()),
                     "--max_length", "give a larger number, or a shorter --prompt");
  }
  if (search.max_length > config.max_position_embeddings) {
    throw UsageError(
        fmt::format("this model writes at most {} tokens", config.max_position_embeddings),
        "--max_length", "give that number or a smaller one");
  }
  if (2 * search.num_beams > config.vocab_size) {
    throw UsageError("there are more beams than words", "--num_beams", "give a smaller number");
  }
}

std::vector<std::string> BlipCaptioner::write(std::span<const ReadyPicture> pictures) const {
  const c10::InferenceMode inference;
  const int64_t side = image_size();
  const at::Tensor pixels = at::empty({static_cast<int64_t>(pictures.size()), 3, side, side});
  std::vector<uint64_t> numbers;
  for (size_t i = 0; i < pictures.size(); ++i) {
    to_blip_planes(pictures[i].image,
                   pixels.mutable_data_ptr<float>() + static_cast<int64_t>(i) * 3 * side * side);
    numbers.push_back(pictures[i].number);
  }
  const at::Tensor states =
      model_.vision_model.forward(pixels.to(options_.device).to(options_.type));
  const std::string prompt = tokenizer_.decode(prompt_);
  std::vector<std::string> captions;
  for (const TokenIds& ids :
       search_captions(model_.text_decoder, states, prompt_, options_.search, numbers)) {
    const std::string text = tokenizer_.decode(ids);
    captions.emplace_back(
        strip(std::string_view(text).substr(std::min(prompt.size(), text.size()))));
  }
  return captions;
}

}  // namespace sdtune
