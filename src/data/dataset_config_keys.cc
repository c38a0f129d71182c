#include "data/dataset_config_keys.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "data/dataset_config.h"

namespace sdtune {
namespace {

constexpr int64_t kLongestSide = 1 << 16;
constexpr int64_t kLargestBatch = 4096;
constexpr size_t kLongestShown = 60;
constexpr int64_t kLargestCount = 1'000'000'000;

std::string described(const TomlValue& value) {
  if (value.is_array()) return fmt::format("an array of {}", value.items.size());
  if (value.is_table()) return "a table";
  if (const bool* flag = std::get_if<bool>(&value.scalar)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<int64_t>(&value.scalar)) return std::to_string(*whole);
  if (const auto* text = std::get_if<std::string>(&value.scalar)) {
    return text->size() > kLongestShown ? fmt::format("a text of {} bytes", text->size())
                                        : "\"" + *text + "\"";
  }
  if (!std::holds_alternative<double>(value.scalar)) return "null";
  const std::string text = number_text(std::get<double>(value.scalar));
  return text.find_first_of(".en") == text.npos ? text + ".0" : text;
}

// One value of the file. Each accessor gives it in one form or throws UsageError with the place and
// the form.
class Given {
 public:
  Given(const ConfigPlace& place, const TomlValue& value) : place_(place), value_(value) {}

  const std::string& where() const { return place_.where; }

  [[noreturn]] void refuse(const std::string& accepted) const {
    refuse_config_value(place_, value_, accepted);
  }

  bool flag() const {
    const bool* flag = std::get_if<bool>(&value_.scalar);
    if (!flag) refuse("true or false, without quotes");
    return *flag;
  }

  int64_t whole(int64_t low, int64_t high) const {
    const auto* whole = std::get_if<int64_t>(&value_.scalar);
    if (!whole || *whole < low || *whole > high) refuse(whole_text(low, high));
    return *whole;
  }

  double number(double low, double high) const {
    const auto number = number_of(value_);
    if (!number || !(*number >= low && *number <= high)) refuse(number_range_text(low, high));
    return *number;
  }

  const std::string& text() const {
    const auto* text = std::get_if<std::string>(&value_.scalar);
    if (!text) refuse("a text in quotes");
    if (!is_plain_text(*text)) {
      throw UsageError(place_.key + " holds a character that no text may have", where(),
                       "write it without the character \\u0000");
    }
    return *text;
  }

  Size size() const {
    const auto side = [this](const TomlValue& value) {
      const auto* whole = std::get_if<int64_t>(&value.scalar);
      if (!whole || *whole < 8 || *whole > kLongestSide) {
        refuse(fmt::format("one whole number or [width, height], each from 8 to {}, without quotes",
                           kLongestSide));
      }
      return static_cast<int>(*whole);
    };
    if (value_.is_array() && value_.items.size() == 2) {
      return {side(value_.items[0]), side(value_.items[1])};
    }
    return {side(value_), side(value_)};
  }

  FaceCropRange face_range() const {
    const bool is_pair = value_.is_array() && value_.items.size() == 2;
    const auto low = is_pair ? number_of(value_.items[0]) : std::nullopt;
    const auto high = is_pair ? number_of(value_.items[1]) : std::nullopt;
    if (!low || !high || !(*low > 0 && *low <= *high) || !std::isfinite(*high)) {
      refuse("two numbers above 0, the smaller first, as [1.0, 3.0]");
    }
    return {*low, *high};
  }

  void check_table() const {
    if (!value_.is_table()) refuse("a table");
  }

 private:
  static std::optional<double> number_of(const TomlValue& value) {
    if (const auto* whole = std::get_if<int64_t>(&value.scalar)) return static_cast<double>(*whole);
    if (const auto* number = std::get_if<double>(&value.scalar)) return *number;
    return std::nullopt;
  }

  static std::string whole_text(int64_t low, int64_t high) {
    std::string range;
    if (low > std::numeric_limits<int64_t>::min()) range = fmt::format(" from {}", low);
    if (high < std::numeric_limits<int64_t>::max()) range += fmt::format(" up to {}", high);
    return fmt::format("a whole number{}, without quotes or a decimal point", range);
  }

  static std::string number_range_text(double low, double high) {
    std::string range;
    if (low > std::numeric_limits<double>::lowest()) range = " from " + number_text(low);
    if (high < std::numeric_limits<double>::max()) range += " up to " + number_text(high);
    return fmt::format("a number{}, without quotes", range);
  }

  const ConfigPlace& place_;
  const TomlValue& value_;
};

constexpr unsigned kSubset = static_cast<unsigned>(ConfigLevel::kSubset);
constexpr unsigned kUpper =
    static_cast<unsigned>(ConfigLevel::kGeneral) | static_cast<unsigned>(ConfigLevel::kDataset);
constexpr unsigned kEach = kUpper | kSubset;

std::string level_names(unsigned levels) {
  std::vector<std::string> names;
  for (const auto level : {ConfigLevel::kGeneral, ConfigLevel::kDataset, ConfigLevel::kSubset}) {
    if (levels & static_cast<unsigned>(level)) names.push_back(level_name(level));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

template <class T>
T& part(const ConfigTarget& target) {
  if constexpr (std::is_same_v<T, DatasetOptions>) return target.dataset;
  if constexpr (std::is_same_v<T, BucketOptions>) return target.dataset.buckets;
  if constexpr (std::is_same_v<T, SubsetOptions>) return target.subset;
  if constexpr (std::is_same_v<T, CaptionOptions>) return target.subset.caption;
}

template <class T, class F>
F& field(const ConfigTarget& target, F T::*member) {
  return part<T>(target).*member;
}

template <auto kMember>
void set_flag(const ConfigTarget& target, const Given& given) {
  field(target, kMember) = given.flag();
}

template <auto kMember>
void set_text(const ConfigTarget& target, const Given& given) {
  field(target, kMember) = given.text();
}

template <auto kMember, int64_t kLow, int64_t kHigh>
void set_whole(const ConfigTarget& target, const Given& given) {
  auto& number = field(target, kMember);
  number = static_cast<std::remove_reference_t<decltype(number)>>(given.whole(kLow, kHigh));
}

template <auto kMember>
void set_share(const ConfigTarget& target, const Given& given) {
  field(target, kMember) = given.number(0, 1);
}

void set_resolution(const ConfigTarget& target, const Given& given) {
  target.dataset.buckets.resolution = given.size();
  target.dataset.has_resolution = true;
}

void set_separator(const ConfigTarget& target, const Given& given) {
  if (given.text().empty()) given.refuse("at least one character, as \",\"");
  target.subset.caption.caption_separator = given.text();
}

void set_warmup_step(const ConfigTarget& target, const Given& given) {
  target.subset.caption.token_warmup_step = given.number(0, static_cast<double>(kLargestCount));
}

void set_loss_weight(const ConfigTarget& target, const Given& given) {
  target.subset.loss_weight = given.number(0, 1e6);
}

void set_face_range(const ConfigTarget& target, const Given& given) {
  target.subset.face_crop_aug_range = given.face_range();
}

void set_interpolation(const ConfigTarget& target, const Given& given) {
  target.subset.resize_interpolation = parse_interpolation(given.text(), given.where());
}

void check_regularization(const ConfigTarget&, const Given& given) {
  if (!given.flag()) return;
  throw UsageError("is_reg is true, but there is no prior loss here for regularization pictures",
                   given.where(),
                   "remove the subset, or train on its pictures with is_reg = false");
}

void check_split(const ConfigTarget&, const Given& given) {
  if (given.number(0, 1) > 0) {
    log_warning("{}: validation_split is an option of the run here: use --validation_split",
                given.where());
  }
}

void check_multiplier(const ConfigTarget&, const Given& given) {
  given.number(std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max());
}

void check_seed(const ConfigTarget&, const Given& given) {
  given.whole(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
}

void check_flag(const ConfigTarget&, const Given& given) { given.flag(); }
void check_attributes(const ConfigTarget&, const Given& given) { given.check_table(); }

struct Key {
  std::string_view name;
  unsigned levels;
  void (*set)(const ConfigTarget&, const Given&);
};

constexpr auto kKeys = std::to_array<Key>({
    {"resolution", kUpper, set_resolution},
    {"batch_size", kUpper, set_whole<&DatasetOptions::batch_size, 1, kLargestBatch>},
    {"enable_bucket", kUpper, set_flag<&BucketOptions::enable>},
    {"min_bucket_reso", kUpper, set_whole<&BucketOptions::min_reso, 1, kLongestSide>},
    {"max_bucket_reso", kUpper, set_whole<&BucketOptions::max_reso, 1, kLongestSide>},
    {"bucket_reso_steps", kUpper, set_whole<&BucketOptions::reso_steps, 1, kLongestSide>},
    {"bucket_no_upscale", kUpper, set_flag<&BucketOptions::no_upscale>},
    {"network_multiplier", kUpper, check_multiplier},
    {"validation_split", kUpper, check_split},
    {"validation_seed", kUpper, check_seed},
    {"resize_interpolation", kEach, set_interpolation},
    {"metadata_file", kSubset, set_text<&SubsetOptions::metadata_file>},
    {"image_dir", kSubset, set_text<&SubsetOptions::image_dir>},
    {"alpha_mask", kEach, set_flag<&SubsetOptions::alpha_mask>},
    {"conditioning_data_dir", kSubset, set_text<&SubsetOptions::mask_dir>},
    {"loss_weight", kEach, set_loss_weight},
    {"num_repeats", kEach,
     set_whole<&SubsetOptions::num_repeats, std::numeric_limits<int64_t>::min(), kLargestCount>},
    {"shuffle_caption", kEach, set_flag<&CaptionOptions::shuffle_caption>},
    {"enable_wildcard", kEach, set_flag<&CaptionOptions::enable_wildcard>},
    {"color_aug", kEach, set_flag<&SubsetOptions::color_aug>},
    {"flip_aug", kEach, set_flag<&SubsetOptions::flip_aug>},
    {"random_crop", kEach, set_flag<&SubsetOptions::random_crop>},
    {"face_crop_aug_range", kEach, set_face_range},
    {"caption_separator", kEach, set_separator},
    {"keep_tokens", kEach, set_whole<&CaptionOptions::keep_tokens, 0, kLargestCount>},
    {"keep_tokens_separator", kEach, set_text<&CaptionOptions::keep_tokens_separator>},
    {"secondary_separator", kEach, set_text<&CaptionOptions::secondary_separator>},
    {"caption_prefix", kEach, set_text<&CaptionOptions::caption_prefix>},
    {"caption_suffix", kEach, set_text<&CaptionOptions::caption_suffix>},
    {"token_warmup_min", kEach, set_whole<&CaptionOptions::token_warmup_min, 0, kLargestCount>},
    {"token_warmup_step", kEach, set_warmup_step},
    {"caption_dropout_rate", kEach, set_share<&CaptionOptions::caption_dropout_rate>},
    {"caption_tag_dropout_rate", kEach, set_share<&CaptionOptions::caption_tag_dropout_rate>},
    {"caption_dropout_every_n_epochs", kEach,
     set_whole<&CaptionOptions::caption_dropout_every_n_epochs, 0, kLargestCount>},
    {"custom_attributes", kEach, check_attributes},
    {"caption_extension", kEach, set_text<&SubsetOptions::caption_extension>},
    {"class_tokens", kEach, set_text<&SubsetOptions::class_tokens>},
    {"cache_info", kEach, check_flag},  // what is known of files is always kept
    {"is_reg", kSubset, check_regularization},
});

[[noreturn]] void refuse_key(const ConfigPlace& place) {
  std::vector<std::string> here, all;
  for (const Key& key : kKeys) {
    all.emplace_back(key.name);
    if (key.levels & static_cast<unsigned>(place.level)) here.emplace_back(key.name);
  }
  const std::string near = nearest_name(place.key, all);
  const auto nearest =
      std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& key) { return key.name == near; });
  throw UsageError(
      fmt::format("there is no key '{}'", place.key), place.where,
      nearest == kKeys.end()
          ? fmt::format("'{}' takes: {}", level_name(place.level), fmt::join(here, ", "))
          : fmt::format("did you mean {} (in: {})?", near, level_names(nearest->levels)));
}

}  // namespace

std::string level_name(ConfigLevel level) {
  if (level == ConfigLevel::kGeneral) return "general";
  return level == ConfigLevel::kDataset ? "datasets" : "datasets.subsets";
}

void apply_config_key(const ConfigPlace& place, const TomlValue& value,
                      const ConfigTarget& target) {
  const auto key = std::find_if(kKeys.begin(), kKeys.end(),
                                [&](const Key& known) { return known.name == place.key; });
  if (key == kKeys.end()) refuse_key(place);
  if (!(key->levels & static_cast<unsigned>(place.level))) {
    throw UsageError(fmt::format("{} is no key of '{}'", place.key, level_name(place.level)),
                     place.where, fmt::format("it is accepted in: {}", level_names(key->levels)));
  }
  key->set(target, Given(place, value));
}

void refuse_config_value(const ConfigPlace& place, const TomlValue& value,
                         const std::string& accepted) {
  throw UsageError(fmt::format("{} is {}", place.key, described(value)), place.where,
                   "give " + accepted);
}

}  // namespace sdtune
