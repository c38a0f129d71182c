// Which process of how many this is, from the variables that torchrun, accelerate, mpirun and srun
// set.
#pragma once

namespace sdtune {

struct Rank {
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;
};

// RANK/WORLD_SIZE/LOCAL_RANK, else OMPI_COMM_WORLD_*, else SLURM_PROCID/NTASKS/LOCALID, else 0
// of 1. Error when a value is no number or rank is not below world_size.
Rank rank_from_environment();

}  // namespace sdtune
