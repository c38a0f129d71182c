// sdtune-hub model|vae|file|state NAME: prints where the cache has it, after fetching what is
// missing. sdtune-hub upload SAVED REPO[/FOLDER]: puts a file or folder there. Both wait little
// between tries. For tests against a local server; not part of the product.
#include <cstdio>
#include <exception>
#include <string>

#include "base/error.h"
#include "hub/local_copy.h"
#include "hub/upload.h"

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

HubSettings impatient_settings() {
  HubSettings settings = hub_settings_from_environment();
  settings.first_wait_s = kFirstWait;
  return settings;
}

void send(const std::string& saved, const std::string& to) {
  UploadTarget target;
  const size_t end = to.find('/', to.find('/') + 1);
  target.place.repo = to.substr(0, end);
  if (end != std::string::npos) target.place.path = to.substr(end + 1);
  upload(impatient_settings(), target, saved, [](uint64_t, uint64_t) {});
}

void fetch(const std::string& kind, const std::string& name) {
  const HubPlace place = place_of(kind, name);
  std::printf("%s\n", local_copy(impatient_settings(), place, choice_of(kind, place)).path.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: sdtune-hub model|vae|file|state NAME | upload SAVED REPO\n");
    return 2;
  }
  try {
    if (argc == 4) {
      send(argv[2], argv[3]);
    } else {
      fetch(argv[1], argv[2]);
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s | %s | %s\n", error.what(), error.where().c_str(),
                 error.hint().c_str());
    return error.exit_code();
  }
  return 0;
}
