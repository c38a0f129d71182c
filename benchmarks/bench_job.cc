#include "bench_job.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/error.h"
#include "base/system.h"

namespace sdtune {

namespace {

constexpr const char* kUsage = R"(sdtune-bench step|vae|text|rates [--name=value ...]

  step    whole training steps of the U-Net with random weights
  vae     the VAE encodes a batch of pictures
  text    the text encoder encodes a batch of captions
  rates   what the machine can do: products of matrices, and copies

  --width=512 --height=512 --batch=1 --tokens=77
  --precision=fp32|bf16|full_bf16
  --model=sd1|sd2       whose U-Net a step is of
  --steps=3             timed; one more runs before them, and two with graphs
  --optimizer=AdamW     by the names of --optimizer_type
  --fused-backward      updates follow each gradient; clipped tensor by tensor
  --checkpointing       gradient checkpointing
  --cuda-graphs         forward and backward passes repeated as a CUDA graph, both told as backward
  --profile             a table of where the time of a step goes (step on a CPU)
  --threads=N --device=cpu|cuda --tiny

Prints a line of JSON for each timed step, and a last one for the run.
)";

int64_t parse_count(const std::string& name, const std::string& text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < 1 || value > 1 << 20) {
    throw UsageError(fmt::format("\"{}\" is no number from 1 to {}", text, 1 << 20), name);
  }
  return value;
}

template <class Value>
Value choose(const std::string& name, const std::string& text,
             const std::map<std::string, Value>& choices) {
  const auto found = choices.find(text);
  if (found != choices.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& choice : choices) names.push_back(choice.first);
  throw UsageError(fmt::format("\"{}\" is not among {}", text, fmt::join(names, ", ")), name);
}

bool set_value(BenchJob& job, const std::string& name, const std::string& value) {
  const std::map<std::string, int64_t*> counts = {
      {"--width", &job.width},   {"--height", &job.height}, {"--batch", &job.batch},
      {"--tokens", &job.tokens}, {"--steps", &job.steps},   {"--threads", &job.threads}};
  const auto count = counts.find(name);
  if (count != counts.end()) {
    *count->second = parse_count(name, value);
  } else if (name == "--precision") {
    job.precision = choose<BenchPrecision>(name, value,
                                           {{"fp32", BenchPrecision::kFp32},
                                            {"bf16", BenchPrecision::kBf16},
                                            {"full_bf16", BenchPrecision::kFullBf16}});
  } else if (name == "--optimizer") {
    job.optimizer = value;
  } else if (name == "--device") {
    job.cuda = choose<bool>(name, value, {{"cpu", false}, {"cuda", true}});
  } else if (name == "--model") {
    job.sd2 = choose<bool>(name, value, {{"sd1", false}, {"sd2", true}});
  } else {
    return false;
  }
  return true;
}

bool set_flag(BenchJob& job, const std::string& name) {
  const std::map<std::string, bool*> flags = {{"--fused-backward", &job.fused_backward},
                                              {"--checkpointing", &job.checkpointing},
                                              {"--cuda-graphs", &job.cuda_graphs},
                                              {"--profile", &job.profile},
                                              {"--tiny", &job.tiny}};
  const auto flag = flags.find(name);
  if (flag != flags.end()) *flag->second = true;
  return flag != flags.end();
}

void check(const BenchJob& job) {
  if (job.width % 64 != 0 || job.height % 64 != 0) {
    throw UsageError("sides of pictures are multiples of 64", "--width, --height");
  }
  if (job.profile && (job.what != "step" || job.cuda)) {
    throw UsageError("only steps on the CPU are split into operators", "--profile");
  }
  if (job.cuda_graphs && (job.what != "step" || !job.cuda || job.fused_backward)) {
    throw UsageError("graphs are of steps on CUDA whose gradients stay", "--cuda-graphs",
                     "add --device=cuda and leave --fused-backward out");
  }
}

}  // namespace

at::ScalarType BenchJob::weight_type() const {
  return precision == BenchPrecision::kFullBf16 ? at::kBFloat16 : at::kFloat;
}

at::ScalarType BenchJob::compute_type() const {
  const bool narrow = precision != BenchPrecision::kFp32;
  return narrow && (cuda || processor_computes_bf16()) ? at::kBFloat16 : at::kFloat;
}

BenchJob parse_bench_job(const std::vector<std::string>& words) {
  BenchJob job;
  if (words.empty()) throw UsageError("it was not said what to time", "", bench_usage());
  job.what =
      choose<std::string>("the first word", words[0],
                          {{"step", "step"}, {"vae", "vae"}, {"text", "text"}, {"rates", "rates"}});
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equal = words[i].find('=');
    const bool known = equal == std::string::npos
                           ? set_flag(job, words[i])
                           : set_value(job, words[i].substr(0, equal), words[i].substr(equal + 1));
    if (!known) throw UsageError("there is no such option", words[i], "--help lists them");
  }
  check(job);
  return job;
}

std::string bench_usage() { return kUsage; }

}  // namespace sdtune
