#include "models/model_source.h"
#include "models/weight_checks.h"

namespace sdtune {
namespace {

struct Candidate {
  std::string name;
  bool whole;
};

// Where a weight may stand, the usual name first.
std::vector<Candidate> candidates(const BindRequest& request, const WeightName& want) {
  if (!request.ldm) return {{want.name, true}, {want.old_name, true}};
  std::vector<Candidate> all;
  for (const std::string& name : {want.ldm, want.old_ldm}) {
    if (!name.starts_with(request.table_prefix)) continue;
    all.push_back(
        {request.file_prefix + name.substr(request.table_prefix.size()), want.parts == 1});
  }
  return all;
}

BoundWeight bind(const BindRequest& request, WeightName want) {
  BoundWeight bound;
  for (const auto& candidate : candidates(request, want)) {
    if (candidate.name.empty()) continue;
    bound.found = request.file->find(candidate.name);
    bound.whole = candidate.whole;
    if (bound.found) break;
  }
  bound.want = std::move(want);
  return bound;
}

void check_shape(const BindRequest& request, const BoundWeight& bound) {
  const auto& expected = request.ldm ? bound.want.ldm_shape : bound.want.shape;
  if (!same_up_to_trailing_ones(bound.found->shape, expected)) {
    refuse_shape(*request.file, *bound.found, expected,
                 "The file does not fit its own sizes; get it again or convert it anew.");
  }
  check_floating(*request.file, *bound.found,
                 "Quantised models cannot be trained; give the original.");
}

}  // namespace

ModelPart bind_weights(BindRequest request) {
  ModelPart part;
  std::vector<std::string> missing;
  for (auto& want : request.weights) {
    BoundWeight bound = bind(request, std::move(want));
    if (bound.found) {
      check_shape(request, bound);
    } else {
      missing.push_back(request.ldm ? bound.want.ldm : bound.want.name);
    }
    part.weights.push_back(std::move(bound));
  }
  check_none_missing(*request.file, std::move(missing),
                     "The file is incomplete, or it is no Stable Diffusion model.");
  part.file = std::move(request.file);
  part.own_file = !request.ldm;
  return part;
}

}  // namespace sdtune
