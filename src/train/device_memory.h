// How much memory a device has in use and left: of a GPU its own, else the process's and the
// machine's.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace sdtune {

uint64_t bytes_in_use(c10::Device device);  // by this process
uint64_t bytes_free(c10::Device device);

}  // namespace sdtune
