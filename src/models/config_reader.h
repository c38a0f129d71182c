// A JSON object whose keys are asked for one by one, each with the values it may have: what reads
// the config.json files of Diffusers and Transformers. It knows no model; which keys there are is
// its callers' (config_json.h, blip_config.h).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace sdtune {

// Every question is answered or refused by an Error that names the key, what was found and what was
// expected. A key that is null or missing has the fallback, as for the libraries that write these
// files.
class ConfigReader {
 public:
  using Json = nlohmann::ordered_json;

  // `where` stands in errors, `hint` says what to do about them. Error when the text is no JSON
  // object.
  ConfigReader(const std::string& text, std::string where, std::string hint);

  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const;
  bool has(const std::string& key) const { return json_.contains(key) && !json_[key].is_null(); }

  // From 1 to `max`; index() also takes 0.
  int64_t integer(const std::string& key, int64_t fallback, int64_t max) const;
  int64_t index(const std::string& key, int64_t fallback, int64_t max) const;
  std::vector<int64_t> integers(const std::string& key, std::vector<int64_t> fallback,
                                int64_t max) const;  // a list of 1 to 8
  // One value for every level, or a list with one for each.
  std::vector<int64_t> per_level(const std::string& key, int64_t fallback, size_t levels,
                                 int64_t max) const;
  double positive(const std::string& key, double fallback) const;
  bool boolean(const std::string& key, bool fallback) const;
  std::string word(const std::string& key, const std::string& fallback,
                   const std::vector<std::string>& allowed) const;
  // A list of words, one for each level, each one of `allowed`.
  std::vector<std::string> words(const std::string& key, std::vector<std::string> fallback,
                                 size_t levels, const std::vector<std::string>& allowed) const;
  // The key must be absent, null, or this value: what it switches on does not exist here.
  void only(const std::string& key, const Json& value) const;
  // The object at `key`; an empty one where there is none.
  ConfigReader section(const std::string& key) const;

 private:
  int64_t checked_integer(const std::string& key, const Json& value, int64_t min,
                          int64_t max) const;

  std::string where_;
  std::string hint_;
  Json json_;
};

}  // namespace sdtune
