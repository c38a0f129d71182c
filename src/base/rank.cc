#include "base/rank.h"

#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/numbers.h"

namespace sdtune {

namespace {

std::optional<int> number_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  const std::string_view view(text);
  const std::optional<int> value = number_in<int>(view);
  if (!value || *value < 0) {
    throw Error(fmt::format("\"{}\" is not a process number", view),
                fmt::format("environment variable {}", variable),
                "start the processes with torchrun, accelerate, mpirun or srun, or unset it");
  }
  return value;
}

}  // namespace

Rank rank_from_environment() {
  constexpr const char* kNames[][3] = {
      {"RANK", "WORLD_SIZE", "LOCAL_RANK"},
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
      {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"},
  };
  for (const auto& [rank_name, size_name, local_name] : kNames) {
    const auto rank = number_from(rank_name);
    const auto size = number_from(size_name);
    if (!rank || !size) continue;
    if (*rank >= *size) {
      throw Error(
          fmt::format("process number {} is not below the number of processes {}", *rank, *size),
          fmt::format("environment variables {} and {}", rank_name, size_name));
    }
    return {*rank, *size, number_from(local_name).value_or(*rank)};
  }
  return {};
}

}  // namespace sdtune
