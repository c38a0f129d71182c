#include "commands/resize_images.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "commands/name_list.h"
#include "data/folder_index.h"
#include "image/decode.h"
#include "image/encode.h"
#include "options/command_line.h"

namespace sdtune {
namespace {

constexpr int kMaxSide = 65536;
constexpr int kJpegQuality = 100;

struct Limit {
  std::string name;  // as given: part of the file names
  Size size;
};

[[noreturn]] void refuse_resolution(const std::string& word) {
  throw UsageError(fmt::format("'{}' is no size", word), "--max_resolution",
                   "give sizes from 1x1 to 65536x65536, as 512x512,384x384");
}

Limit parse_limit(const std::string& word) {
  Limit limit{.name = word};
  const char* end = word.data() + word.size();
  const auto width = std::from_chars(word.data(), end, limit.size.width);
  if (width.ec != std::errc() || width.ptr == end || *width.ptr != 'x') refuse_resolution(word);
  const auto height = std::from_chars(width.ptr + 1, end, limit.size.height);
  if (height.ec != std::errc() || height.ptr != end) refuse_resolution(word);
  for (const int side : {limit.size.width, limit.size.height}) {
    if (side < 1 || side > kMaxSide) refuse_resolution(word);
  }
  return limit;
}

std::vector<Limit> parse_limits(const std::string& text) {
  std::vector<Limit> limits;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string word = text.substr(begin, end - begin);
    std::erase(word, ' ');
    limits.push_back(parse_limit(word));
    begin = end + 1;
  }
  return limits;
}

// What lies in the source folder: pictures, of those with one stem the first by name; and all other
// files, by stem. Names that begin with a dot are left alone.
struct SourceFiles {
  std::vector<fs::path> pictures;
  std::vector<fs::path> repeated;
  std::vector<fs::path> others;
  std::multimap<std::string, fs::path> others_by_stem;
};

SourceFiles list_source(const fs::path& folder) {
  SourceFiles files;
  try {
    for (const fs::path& name : picture_names(folder)) files.pictures.push_back(name);
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      const fs::path name = entry.path().filename();
      std::error_code ignored;
      if (name.string().starts_with('.') || is_image_name(name) ||
          !entry.is_regular_file(ignored)) {
        continue;
      }
      files.others.push_back(name);
      files.others_by_stem.emplace(name.stem().string(), name);
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(fmt::format("the picture folder cannot be read: {}", error.code().message()),
                folder.string(), "check src_img_folder");
  }
  std::sort(files.others.begin(), files.others.end());
  std::map<std::string, bool> stems;
  std::erase_if(files.pictures, [&](const fs::path& name) {
    if (stems.emplace(name.stem().string(), true).second) return false;
    files.repeated.push_back(name);
    return true;
  });
  return files;
}

Image resized(const Image& original, Size limit, const ResizeImagesOptions& options) {
  const Size size = size_within(original.size(), limit);
  const int width = size.width - size.width % options.divisible_by;
  const int height = size.height - size.height % options.divisible_by;
  if (width == 0 || height == 0) {
    throw Error(fmt::format("at {} x {} pixels a side is shorter than --divisible_by={}",
                            size.width, size.height, options.divisible_by));
  }
  const Image whole = resize(original, size.width, size.height, options.interpolation);
  return crop(whole, (size.width - width) / 2, (size.height - height) / 2, width, height);
}

fs::path output_path(const ResizeImagesOptions& options, const fs::path& picture,
                     const Limit& limit, const std::string& extension) {
  return options.dst_img_folder / (picture.stem().string() + "+" + limit.name + extension);
}

void copy_over(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
  if (error) {
    throw Error(fmt::format("the file cannot be copied to {}: {}", to.string(), error.message()),
                from.string());
  }
}

void resize_one(const ResizeImagesOptions& options, const fs::path& picture,
                const std::vector<Limit>& limits) {
  const Image original = decode_image(options.src_img_folder / picture);
  for (const Limit& limit : limits) {
    const Image image = resized(original, limit.size, options);
    if (options.save_as_png) {
      write_png(output_path(options, picture, limit, ".png"), image);
    } else {
      write_jpeg(output_path(options, picture, limit, ".jpg"), image, kJpegQuality);
    }
  }
}

void copy_associated(const ResizeImagesOptions& options, const SourceFiles& files,
                     const fs::path& picture, const std::vector<Limit>& limits) {
  const auto [begin, end] = files.others_by_stem.equal_range(picture.stem().string());
  for (auto file = begin; file != end; ++file) {
    const fs::path& name = file->second;
    for (const Limit& limit : limits) {
      copy_over(options.src_img_folder / name,
                output_path(options, picture, limit, name.extension().string()));
    }
  }
}

// All pictures on a pool of threads; returns those that failed, with the reason.
std::vector<std::string> resize_all(const ResizeImagesOptions& options, const SourceFiles& files,
                                    const std::vector<Limit>& limits) {
  ThreadPool pool(static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u)),
                  end_image_thread);
  std::vector<std::future<void>> results;
  for (const fs::path& picture : files.pictures) {
    results.push_back(pool.submit([&, picture] {
      resize_one(options, picture, limits);
      if (options.copy_associated_files) copy_associated(options, files, picture, limits);
    }));
  }
  std::vector<std::string> failed;
  Progress progress({.label = "pictures", .total = static_cast<int64_t>(results.size())});
  for (size_t i = 0; i < results.size(); ++i) {
    try {
      results[i].get();
    } catch (const Error& error) {
      failed.push_back(fmt::format("{} ({})", files.pictures[i].string(), error.what()));
    }
    progress.update(static_cast<int64_t>(i) + 1);
  }
  return failed;
}

void check_folders(const ResizeImagesOptions& options) {
  make_writable_folder(options.dst_img_folder);
  remove_stale_temporaries(options.dst_img_folder);
  std::error_code ignored;
  if (fs::equivalent(options.src_img_folder, options.dst_img_folder, ignored)) {
    throw UsageError("the pictures would be written among their originals", "dst_img_folder",
                     "give another folder");
  }
}

}  // namespace

Size size_within(Size picture, Size limit) {
  const double pixels = static_cast<double>(picture.width) * picture.height;
  const double allowed = static_cast<double>(limit.width) * limit.height;
  if (pixels <= allowed) return picture;
  const double scale = std::sqrt(allowed / pixels);
  return {std::max(1, static_cast<int>(picture.width * scale)),
          std::max(1, static_cast<int>(picture.height * scale))};
}

int run_resize_images(std::span<const std::string> args) {
  ResizeImagesOptions options;
  OptionTable table = describe(options);
  if (!parse_command_line(table, args)) return 0;
  const std::vector<Limit> limits = parse_limits(options.max_resolution);
  const SourceFiles files = list_source(options.src_img_folder);
  check_folders(options);

  const std::vector<std::string> failed = resize_all(options, files, limits);
  for (const fs::path& name : files.others) {
    copy_over(options.src_img_folder / name, options.dst_img_folder / name);
  }
  if (!files.repeated.empty()) {
    log_warning(
        "{} pictures share the name of another one without its extension and were left "
        "out: {}",
        files.repeated.size(), first_names(files.repeated));
  }
  for (const std::string& name : failed) log_warning("left out {}", name);
  if (!failed.empty() && failed.size() == files.pictures.size()) {
    throw Error(fmt::format("none of the {} pictures could be made smaller", failed.size()),
                options.src_img_folder.string());
  }
  log_info("wrote {} pictures in {} sizes to {}; {} left out, {} other files copied",
           files.pictures.size() - failed.size(), limits.size(), options.dst_img_folder.string(),
           failed.size() + files.repeated.size(), files.others.size());
  return 0;
}

}  // namespace sdtune
