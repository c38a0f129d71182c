// How much memory a device has in use and left, of a GPU its own, else the process's and the
// machine's; and whether it was too little.
#pragma once

#include <c10/core/Device.h>
#include <c10/util/Exception.h>

#include <cstdint>

namespace sdtune {

uint64_t bytes_in_use(c10::Device device);  // by this process
uint64_t bytes_free(c10::Device device);

// Whether torch failed for want of memory, on whatever device.
bool is_out_of_memory(const c10::Error& error);

}  // namespace sdtune
