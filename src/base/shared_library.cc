#include "base/shared_library.h"

#include <dlfcn.h>
#include <link.h>

#include <filesystem>

namespace sdtune {

SharedLibrary open_library(const std::string& name) {
  void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle != nullptr) return {handle, ""};
  const char* reason = ::dlerror();
  return {nullptr, reason != nullptr ? reason : "unknown reason"};
}

void* library_symbol(const SharedLibrary& library, const std::string& symbol) {
  return library.handle == nullptr ? nullptr : ::dlsym(library.handle, symbol.c_str());
}

std::string folder_of_loaded_library(const std::string& name) {
  void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (handle == nullptr) return "";
  const link_map* map = nullptr;
  std::string folder;
  if (::dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0) {
    folder = std::filesystem::path(map->l_name).parent_path().string();
  }
  ::dlclose(handle);
  return folder;
}

}  // namespace sdtune
