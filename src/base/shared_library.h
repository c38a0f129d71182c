// Opening a shared library while the program runs, for what a machine may lack: the CUDA driver,
// torch's CUDA part and our kernels for it. A library once opened stays for the rest of the
// process.
#pragma once

#include <string>

namespace sdtune {

struct SharedLibrary {
  void* handle = nullptr;  // null when it could not be opened
  std::string reason;      // why not, in the system's words
};

// `name`: a path, or a bare name that the system looks up. Its symbols become visible to libraries
// opened after it, and all it needs must be there now.
SharedLibrary open_library(const std::string& name);

// The address of `symbol`, or null.
void* library_symbol(const SharedLibrary& library, const std::string& symbol);

// The folder of a library that is already part of this process, or "" when it is not.
std::string folder_of_loaded_library(const std::string& name);

}  // namespace sdtune
