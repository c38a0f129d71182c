#include "models/config_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace sdtune {
namespace {

constexpr size_t kMaxListed = 8;

}  // namespace

ConfigReader::ConfigReader(const std::string& text, std::string where, std::string hint)
    : where_(std::move(where)), hint_(std::move(hint)) {
  json_ = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json_.is_object()) {
    throw Error("the configuration is not a JSON object", where_,
                "The file is damaged or is no model configuration. Get it again from its source.");
  }
}

void ConfigReader::refuse(const std::string& key, const std::string& expected) const {
  constexpr size_t kMaxShown = 100;
  std::string shown = json_.contains(key) ? json_[key].dump(-1, ' ', /*ensure_ascii=*/true,
                                                            Json::error_handler_t::replace)
                                          : "missing";
  if (shown.size() > kMaxShown) shown = shown.substr(0, kMaxShown) + "…";
  throw Error(fmt::format("\"{}\" is {}; expected {}", key, shown, expected), where_, hint_);
}

int64_t ConfigReader::integer(const std::string& key, int64_t fallback, int64_t max) const {
  return has(key) ? checked_integer(key, json_[key], 1, max) : fallback;
}

int64_t ConfigReader::index(const std::string& key, int64_t fallback, int64_t max) const {
  return has(key) ? checked_integer(key, json_[key], 0, max) : fallback;
}

std::vector<int64_t> ConfigReader::integers(const std::string& key, std::vector<int64_t> fallback,
                                            int64_t max) const {
  if (!has(key)) return fallback;
  const Json& list = json_[key];
  if (!list.is_array() || list.empty() || list.size() > kMaxListed) {
    refuse(key, fmt::format("a list of 1 to {} numbers", kMaxListed));
  }
  std::vector<int64_t> values;
  for (const Json& item : list) values.push_back(checked_integer(key, item, 1, max));
  return values;
}

std::vector<int64_t> ConfigReader::per_level(const std::string& key, int64_t fallback,
                                             size_t levels, int64_t max) const {
  if (!has(key) || !json_[key].is_array()) {
    return std::vector<int64_t>(levels, integer(key, fallback, max));
  }
  std::vector<int64_t> values = integers(key, {}, max);
  if (values.size() != levels) refuse(key, fmt::format("{} numbers", levels));
  return values;
}

double ConfigReader::positive(const std::string& key, double fallback) const {
  if (!has(key)) return fallback;
  const double value = json_[key].is_number() ? json_[key].get<double>() : 0;
  if (!(value > 0 && value < 1e6)) refuse(key, "a number above 0");
  return value;
}

bool ConfigReader::boolean(const std::string& key, bool fallback) const {
  if (!has(key)) return fallback;
  if (!json_[key].is_boolean()) refuse(key, "true or false");
  return json_[key].get<bool>();
}

std::string ConfigReader::word(const std::string& key, const std::string& fallback,
                               const std::vector<std::string>& allowed) const {
  if (!has(key)) return fallback;
  const std::string value = json_[key].is_string() ? json_[key].get<std::string>() : "";
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
    refuse(key, fmt::format("\"{}\"", fmt::join(allowed, "\" or \"")));
  }
  return value;
}

std::vector<std::string> ConfigReader::words(const std::string& key,
                                             std::vector<std::string> fallback, size_t levels,
                                             const std::vector<std::string>& allowed) const {
  std::vector<std::string> values = std::move(fallback);
  if (has(key)) {
    values.clear();
    if (!json_[key].is_array()) refuse(key, "a list of block types");
    for (const Json& item : json_[key]) {
      values.push_back(item.is_string() ? item.get<std::string>() : "");
      if (std::find(allowed.begin(), allowed.end(), values.back()) == allowed.end()) {
        refuse(key, fmt::format("\"{}\" alone", fmt::join(allowed, "\" or \"")));
      }
    }
  }
  if (values.size() != levels) refuse(key, fmt::format("{} block types", levels));
  return values;
}

void ConfigReader::only(const std::string& key, const Json& value) const {
  if (has(key) && json_[key] != value) refuse(key, value.is_null() ? "null" : value.dump());
}

ConfigReader ConfigReader::section(const std::string& key) const {
  if (!has(key)) return {"{}", where_, hint_};
  if (!json_[key].is_object()) refuse(key, "an object");
  return {json_[key].dump(-1, ' ', true, Json::error_handler_t::replace), where_ + ", " + key,
          hint_};
}

int64_t ConfigReader::checked_integer(const std::string& key, const Json& value, int64_t min,
                                      int64_t max) const {
  const bool fits = value.is_number_unsigned() &&
                    value.get<uint64_t>() >= static_cast<uint64_t>(min) &&
                    value.get<uint64_t>() <= static_cast<uint64_t>(max);
  if (!fits) refuse(key, fmt::format("a whole number from {} to {}", min, max));
  return value.get<int64_t>();
}

}  // namespace sdtune
