// sdtune-hub model|vae|file|state NAME: prints where the cache has it, after fetching what is
// missing, and waits little between tries. For tests against a local server; not part of the
// product.
#include <cstdio>
#include <exception>
#include <string>

#include "base/error.h"
#include "hub/local_copy.h"

namespace {

using namespace sdtune;

constexpr double kFirstWait = 0.02;

HubPlace place_of(const std::string& kind, const std::string& name) {
  if (kind == "state") return parse_state_place(name);
  const auto place = parse_model_id(name);
  if (!place) throw UsageError("this is no id", name);
  return *place;
}

FileChoice choice_of(const std::string& kind, const HubPlace& place) {
  if (kind == "model") return whole_model_files;
  if (kind == "vae") return vae_files;
  return kind == "file" ? only_file(place.path) : whole_folder(place.path);
}

void fetch(const std::string& kind, const std::string& name) {
  HubSettings settings = hub_settings_from_environment();
  settings.first_wait_s = kFirstWait;
  const HubPlace place = place_of(kind, name);
  std::printf("%s\n", local_copy(settings, place, choice_of(kind, place)).path.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: sdtune-hub model|vae|file|state NAME\n");
    return 2;
  }
  try {
    fetch(argv[1], argv[2]);
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s | %s | %s\n", error.what(), error.where().c_str(),
                 error.hint().c_str());
    return error.exit_code();
  }
  return 0;
}
