// How much memory a device has in use and left, of a GPU its own, else the process's and the
// machine's; and whether it was too little.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <exception>

namespace sdtune {

uint64_t bytes_in_use(c10::Device device);  // by this process
uint64_t peak_bytes_in_use(c10::Device device);
void reset_peak_bytes(c10::Device device);  // of a GPU; a process's peak stays what it was
uint64_t bytes_free(c10::Device device);    // what torch holds unused included

// Whether it was for want of memory, on whatever device, that torch, cuBLAS, cuDNN or the program
// failed.
bool is_out_of_memory(const std::exception& error);

}  // namespace sdtune
