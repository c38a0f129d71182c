#include "annotate/caption_search.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/philox.h"

namespace sdtune {
namespace {

at::Tensor id_rows(const std::vector<TokenIds>& rows, at::Device device) {
  const auto width = static_cast<int64_t>(rows.at(0).size());
  const at::Tensor ids = at::empty({static_cast<int64_t>(rows.size()), width}, at::kLong);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].begin(), rows[i].end(), ids.mutable_data_ptr<int64_t>() + i * width);
  }
  return ids.to(device);
}

// What a search has in hand: the pictures still written for, and the decoder's cache of their rows.
class Writer {
 public:
  Writer(const BlipTextDecoder& decoder, const at::Tensor& states, const CaptionSearch& search)
      : decoder_(decoder),
        search_(search),
        device_(states.device()),
        cache_(decoder.begin(states, search.max_length)) {}

  // Scores of the word that follows each of `rows`, all of one length: [rows, vocab_size] fp32.
  // What the cache has not seen of them is read.
  at::Tensor next_scores(const std::vector<TokenIds>& rows, bool as_log_probabilities) {
    const at::Tensor ids = id_rows(rows, device_);
    const at::Tensor fresh = ids.narrow(1, cache_.length, ids.size(1) - cache_.length);
    const at::Tensor states = decoder_.forward(fresh, cache_);
    at::Tensor scores = decoder_.logits(states.select(1, -1));
    if (as_log_probabilities) scores = at::log_softmax(scores, -1);
    if (search_.repetition_penalty != 1.0) scores = penalised(scores, ids);
    if (ids.size(1) < search_.min_length) {
      scores.select(1, end_id()).fill_(-std::numeric_limits<float>::infinity());
    }
    return scores;
  }

  void select(const std::vector<int64_t>& rows, const std::vector<int64_t>& pictures) {
    cache_.select(rows, pictures);
  }

  int64_t end_id() const { return decoder_.config.sep_token_id; }

 private:
  at::Tensor penalised(const at::Tensor& scores, const at::Tensor& ids) const {
    const at::Tensor there = scores.gather(1, ids);
    const double penalty = search_.repetition_penalty;
    return scores.scatter(1, ids, at::where(there < 0, there * penalty, there / penalty));
  }

  const BlipTextDecoder& decoder_;
  const CaptionSearch& search_;
  at::Device device_;
  BlipTextCache cache_;
};

// The next id of each row, drawn.
std::vector<int64_t> drawn(const at::Tensor& scores, const CaptionSearch& search,
                           const std::vector<uint64_t>& pictures, size_t length) {
  const int64_t vocabulary = scores.size(1);
  const int64_t kept = search.top_k > 0 ? std::min(search.top_k, vocabulary) : vocabulary;
  const auto [values, ids] = at::topk(scores, kept);
  const at::Tensor likely = values.to(at::kCPU).contiguous();
  const at::Tensor likely_ids = ids.to(at::kCPU).contiguous();
  std::vector<int64_t> next;
  for (size_t row = 0; row < pictures.size(); ++row) {
    Random random(search.seed, Draw::kCaptionWord, pictures[row], length);
    const std::span<const float> of_row(likely.const_data_ptr<float>() + row * kept,
                                        static_cast<size_t>(kept));
    const size_t place = draw_from_nucleus(of_row, search.top_p, random.uniform());
    next.push_back(likely_ids.const_data_ptr<int64_t>()[row * kept + place]);
  }
  return next;
}

std::vector<int64_t> likeliest(const at::Tensor& scores) {
  const at::Tensor ids = scores.argmax(-1).to(at::kCPU);
  return {ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel()};
}

// One caption for each picture, word by word.
std::vector<TokenIds> write_words(Writer& writer, const TokenIds& prompt,
                                  const CaptionSearch& search, std::span<const uint64_t> pictures) {
  std::vector<TokenIds> captions(pictures.size(), prompt);
  std::vector<size_t> open(pictures.size());
  for (size_t i = 0; i < open.size(); ++i) open[i] = i;
  for (auto length = static_cast<int64_t>(prompt.size()); length < search.max_length; ++length) {
    std::vector<TokenIds> rows;
    std::vector<uint64_t> numbers;
    for (const size_t picture : open) {
      rows.push_back(captions[picture]);
      numbers.push_back(pictures[picture]);
    }
    const at::Tensor scores = writer.next_scores(rows, false);
    const std::vector<int64_t> next =
        search.sample ? drawn(scores, search, numbers, rows[0].size()) : likeliest(scores);
    std::vector<size_t> still_open;
    std::vector<int64_t> places;
    for (size_t row = 0; row < open.size(); ++row) {
      if (next[row] == writer.end_id()) continue;
      captions[open[row]].push_back(next[row]);
      still_open.push_back(open[row]);
      places.push_back(static_cast<int64_t>(row));
    }
    if (still_open.empty()) break;
    if (still_open.size() < open.size()) writer.select(places, places);
    open = std::move(still_open);
  }
  return captions;
}

// A caption that grows or is finished, and the sum of its words' log-probabilities; of a finished
// one divided by their number.
struct Beam {
  TokenIds ids;
  float score = 0;
};

// The captions of one picture.
class PictureBeams {
 public:
  PictureBeams(const TokenIds& prompt, const CaptionSearch& search)
      : search_(search), prompt_length_(prompt.size()), growing_{{prompt, 0}} {}

  const std::vector<Beam>& growing() const { return growing_; }
  const std::vector<int64_t>& parents() const { return parents_; }  // of growing(), last time
  const TokenIds& best() const { return finished_.at(0).ids; }

  struct Candidate {
    int64_t parent, token;
    float score;
  };

  // Takes the 2 · num_beams best continuations, the best first. False when nothing that still grows
  // can become better than what is finished, or when there is no more room.
  bool grow(const std::vector<Candidate>& candidates, int64_t end_id) {
    const size_t words = growing_[0].ids.size() + 1 - prompt_length_;
    const bool is_full = growing_[0].ids.size() + 1 >= static_cast<size_t>(search_.max_length);
    const auto beams = static_cast<size_t>(search_.num_beams);
    std::vector<Beam> next;
    std::vector<int64_t> parents;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& candidate = candidates[i];
      const bool ends = is_full || candidate.token == end_id;
      if (ends && i >= beams) continue;
      if (!ends && next.size() == beams) continue;
      Beam beam{growing_[static_cast<size_t>(candidate.parent)].ids, candidate.score};
      if (candidate.token != end_id) beam.ids.push_back(candidate.token);
      if (ends) {
        beam.score /= static_cast<float>(words);
        finished_.push_back(std::move(beam));
      } else {
        next.push_back(std::move(beam));
        parents.push_back(candidate.parent);
      }
    }
    keep_best_finished(beams);
    if (next.empty()) return false;
    growing_ = std::move(next);
    parents_ = std::move(parents);
    return finished_.size() < beams ||
           growing_[0].score / static_cast<float>(words) > finished_.back().score;
  }

 private:
  void keep_best_finished(size_t beams) {
    std::stable_sort(finished_.begin(), finished_.end(),
                     [](const Beam& a, const Beam& b) { return a.score > b.score; });
    if (finished_.size() > beams) finished_.resize(beams);
  }

  const CaptionSearch& search_;
  size_t prompt_length_;
  std::vector<Beam> growing_;
  std::vector<int64_t> parents_;
  std::vector<Beam> finished_;
};

// The best 2 · num_beams continuations of each picture's rows, out of scores [rows, vocab_size].
std::vector<std::vector<PictureBeams::Candidate>> best_continuations(
    const at::Tensor& scores, const std::vector<PictureBeams*>& open, int64_t num_beams) {
  const auto pictures = static_cast<int64_t>(open.size());
  std::vector<float> sums;
  for (const PictureBeams* beams : open) {
    for (const Beam& beam : beams->growing()) sums.push_back(beam.score);
  }
  const at::Tensor total = scores + at::tensor(sums, scores.options()).unsqueeze(1);
  const int64_t vocabulary = scores.size(1);
  const at::Tensor flat = total.view({pictures, -1});
  const auto [values, places] = at::topk(flat, std::min(2 * num_beams, flat.size(1)));
  const at::Tensor best = values.to(at::kCPU).contiguous();
  const at::Tensor best_places = places.to(at::kCPU).contiguous();
  std::vector<std::vector<PictureBeams::Candidate>> result(open.size());
  for (int64_t i = 0; i < best.numel(); ++i) {
    const int64_t place = best_places.const_data_ptr<int64_t>()[i];
    result[static_cast<size_t>(i / best.size(1))].push_back(
        {place / vocabulary, place % vocabulary, best.const_data_ptr<float>()[i]});
  }
  return result;
}

std::vector<TokenIds> write_beams(Writer& writer, const TokenIds& prompt,
                                  const CaptionSearch& search, size_t pictures) {
  std::vector<PictureBeams> all(pictures, PictureBeams(prompt, search));
  std::vector<PictureBeams*> open;
  for (PictureBeams& beams : all) open.push_back(&beams);
  while (!open.empty()) {
    std::vector<TokenIds> rows;
    for (const PictureBeams* beams : open) {
      for (const Beam& beam : beams->growing()) rows.push_back(beam.ids);
    }
    const at::Tensor scores = writer.next_scores(rows, true);
    const auto candidates = best_continuations(scores, open, search.num_beams);
    const auto rows_of_picture = static_cast<int64_t>(rows.size() / open.size());
    std::vector<PictureBeams*> still_open;
    std::vector<int64_t> parents;
    std::vector<int64_t> places;
    for (size_t i = 0; i < open.size(); ++i) {
      if (!open[i]->grow(candidates[i], writer.end_id())) continue;
      const auto place = static_cast<int64_t>(i);
      for (const int64_t parent : open[i]->parents()) {
        parents.push_back(place * rows_of_picture + parent);
      }
      places.push_back(place);
      still_open.push_back(open[i]);
    }
    if (!still_open.empty()) writer.select(parents, places);
    open = std::move(still_open);
  }
  std::vector<TokenIds> captions;
  for (const PictureBeams& beams : all) captions.push_back(beams.best());
  return captions;
}

}  // namespace

size_t draw_from_nucleus(std::span<const float> scores, double top_p, double u) {
  std::vector<double> shares;
  double sum = 0;
  for (const float score : scores) {
    shares.push_back(std::exp(static_cast<double>(score) - scores[0]));
    sum += shares.back();
  }
  double left_out = 0;
  double kept = sum;
  while (shares.size() > 1) {
    left_out += shares.back();
    if (left_out > 0 && (top_p >= 1 || left_out / sum > 1 - top_p)) break;
    kept -= shares.back();
    shares.pop_back();
  }
  double rest = u * kept;
  for (size_t i = 0; i < shares.size(); ++i) {
    rest -= shares[i];
    if (rest < 0) return i;
  }
  return shares.size() - 1;
}

std::vector<TokenIds> search_captions(const BlipTextDecoder& decoder, const at::Tensor& states,
                                      const TokenIds& prompt, const CaptionSearch& search,
                                      std::span<const uint64_t> pictures) {
  Writer writer(decoder, states, search);
  if (!search.sample && search.num_beams > 1) {
    return write_beams(writer, prompt, search, pictures.size());
  }
  return write_words(writer, prompt, search, pictures);
}

}  // namespace sdtune
