#include "data/image_index.h"

#include <sqlite3.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/log.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;

constexpr int kApplicationId = 0x7364696e;  // "sdin", in the file's header
constexpr size_t kLargestText = 1 << 20;
constexpr int kLargestRow = 2 << 20;  // bytes; bounds what a damaged file can ask for
constexpr int kLargestSide = 1 << 20;
constexpr std::chrono::seconds kRacyTime{2};

// The whole schema, as SQLite keeps it; a database whose tables read otherwise is another
// version's. Paths are blobs, because names need not be UTF-8.
constexpr const char* kFilesTable =
    "CREATE TABLE files(path BLOB PRIMARY KEY, bytes INTEGER, mtime_ns INTEGER, width INTEGER, "
    "height INTEGER, hash TEXT) WITHOUT ROWID";
constexpr const char* kTextsTable =
    "CREATE TABLE texts(path BLOB PRIMARY KEY, bytes INTEGER, mtime_ns INTEGER, text BLOB) WITHOUT "
    "ROWID";

// A result code other than success; the only thing thrown here, and never out of this file.
struct SqlFailure {
  int code = SQLITE_ERROR;
  std::string message;
};

// The file is sound, but not this program's to write to.
struct ForeignDatabase {};

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

void check(sqlite3* database, int code) {
  if (code != SQLITE_OK)
    throw SqlFailure{sqlite3_errcode(database) & 0xff, sqlite3_errmsg(database)};
}

void execute(sqlite3* database, const char* sql) {
  check(database, sqlite3_exec(database, sql, nullptr, nullptr, nullptr));
}

class Statement {
 public:
  Statement(sqlite3* database, const char* sql) : database_(database) {
    sqlite3_stmt* raw = nullptr;
    check(database, sqlite3_prepare_v2(database, sql, -1, &raw, nullptr));
    statement_.reset(raw);
  }

  bool next() {
    const int code = sqlite3_step(statement_.get());
    if (code != SQLITE_ROW && code != SQLITE_DONE) check(database_, code);
    return code == SQLITE_ROW;
  }
  void reset() { sqlite3_reset(statement_.get()); }

  int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  std::string text(int column) const {
    const void* data = sqlite3_column_blob(statement_.get(), column);
    const int size = sqlite3_column_bytes(statement_.get(), column);
    return data ? std::string(static_cast<const char*>(data), static_cast<size_t>(size)) : "";
  }

  void bind(int at, int64_t number) {
    check(database_, sqlite3_bind_int64(statement_.get(), at, number));
  }
  // The bytes must outlive the step.
  void bind_blob(int at, std::string_view bytes) {
    check(database_, sqlite3_bind_blob64(statement_.get(), at, bytes.empty() ? "" : bytes.data(),
                                         bytes.size(), SQLITE_STATIC));
  }
  void bind_text(int at, std::string_view text) {
    check(database_, sqlite3_bind_text64(statement_.get(), at, text.empty() ? "" : text.data(),
                                         text.size(), SQLITE_STATIC, SQLITE_UTF8));
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

int64_t pragma(sqlite3* database, const char* sql) {
  Statement statement(database, sql);
  return statement.next() ? statement.integer(0) : 0;
}

std::vector<std::string> schema_of(sqlite3* database) {
  std::vector<std::string> tables;
  Statement statement(database, "SELECT sql FROM sqlite_schema ORDER BY name");
  while (statement.next()) tables.push_back(statement.text(0));
  return tables;
}

void create_schema(sqlite3* database) {
  execute(database, "BEGIN IMMEDIATE");
  if (schema_of(database).empty()) {  // no other process was quicker
    execute(database, fmt::format("PRAGMA application_id={}", kApplicationId).c_str());
    execute(database, kFilesTable);
    execute(database, kTextsTable);
  }
  execute(database, "COMMIT");
}

// Throws SqlFailure, with SQLITE_SCHEMA for another version's tables, or ForeignDatabase.
Database open_database(const fs::path& path, std::chrono::milliseconds patience) {
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  Database database(raw);
  check(raw, code);
  sqlite3_busy_timeout(raw, static_cast<int>(patience.count()));
  sqlite3_limit(raw, SQLITE_LIMIT_LENGTH, kLargestRow);
  execute(raw, "PRAGMA trusted_schema=OFF");
  std::vector<std::string> tables = schema_of(raw);
  if (tables.empty()) {
    create_schema(raw);
    tables = schema_of(raw);
  }
  if (pragma(raw, "PRAGMA application_id") != kApplicationId) throw ForeignDatabase{};
  if (tables != std::vector<std::string>{kFilesTable, kTextsTable}) {
    throw SqlFailure{SQLITE_SCHEMA, "it was written by another version of this program"};
  }
  return database;
}

bool is_damage(int code) {
  return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_SCHEMA;
}

// What was known of a file at its stamp.
template <class T>
struct Row {
  int64_t bytes = 0;
  int64_t mtime_ns = 0;
  T value;
};
template <class T>
using Rows = std::unordered_map<std::string, Row<T>>;
// In the order of their paths, in which the database takes them fastest.
template <class T>
using NewRows = std::map<std::string, Row<T>>;

// Binds 1 and 2 to the ends of the paths that lie under the folder.
struct PathRange {
  explicit PathRange(const fs::path& folder) : first(folder.string()) {
    while (first.ends_with('/')) first.pop_back();
    last = first + static_cast<char>('/' + 1);
    first += '/';
  }
  std::string first, last;
};

Rows<FileFacts> read_files(sqlite3* database, const PathRange& range) {
  Statement statement(database,
                      "SELECT path, bytes, mtime_ns, width, height, hash FROM files "
                      "WHERE path >= ? AND path < ?");
  statement.bind_blob(1, range.first);
  statement.bind_blob(2, range.last);
  Rows<FileFacts> rows;
  while (statement.next()) {
    const int64_t width = statement.integer(3), height = statement.integer(4);
    if (width < 1 || width > kLargestSide || height < 1 || height > kLargestSide) continue;
    rows[statement.text(0)] = {
        statement.integer(1),
        statement.integer(2),
        {{static_cast<int>(width), static_cast<int>(height)}, statement.text(5)}};
  }
  return rows;
}

Rows<std::string> read_texts(sqlite3* database, const PathRange& range) {
  Statement statement(database,
                      "SELECT path, bytes, mtime_ns, text FROM texts WHERE path >= ? AND path < ?");
  statement.bind_blob(1, range.first);
  statement.bind_blob(2, range.last);
  Rows<std::string> rows;
  while (statement.next()) {
    rows[statement.text(0)] = {statement.integer(1), statement.integer(2), statement.text(3)};
  }
  return rows;
}

void write_files(sqlite3* database, const NewRows<FileFacts>& rows) {
  Statement statement(database, "INSERT OR REPLACE INTO files VALUES(?, ?, ?, ?, ?, ?)");
  for (const auto& [path, row] : rows) {
    statement.bind_blob(1, path);
    statement.bind(2, row.bytes);
    statement.bind(3, row.mtime_ns);
    statement.bind(4, row.value.size.width);
    statement.bind(5, row.value.size.height);
    statement.bind_text(6, row.value.hash);
    statement.next();
    statement.reset();
  }
}

void write_texts(sqlite3* database, const NewRows<std::string>& rows) {
  Statement statement(database, "INSERT OR REPLACE INTO texts VALUES(?, ?, ?, ?)");
  for (const auto& [path, row] : rows) {
    statement.bind_blob(1, path);
    statement.bind(2, row.bytes);
    statement.bind(3, row.mtime_ns);
    statement.bind_blob(4, row.value);
    statement.next();
    statement.reset();
  }
}

template <class T>
std::optional<T> found(const Rows<T>& rows, const fs::path& path, const FileStamp& stamp) {
  const auto row = rows.find(path.native());
  if (row == rows.end() || row->second.bytes != stamp.bytes ||
      row->second.mtime_ns != stamp.mtime_ns) {
    return std::nullopt;
  }
  return row->second.value;
}

}  // namespace

struct ImageIndex::State {
  fs::path path;
  std::chrono::milliseconds patience;
  Database database;
  bool warned = false;
  Rows<FileFacts> files;
  Rows<std::string> texts;
  NewRows<FileFacts> new_files;
  NewRows<std::string> new_texts;
  mutable std::mutex mutex;

  void warn(const std::string& what) {
    if (!warned) log_warning("{}: {}", path.string(), what);
    warned = true;
  }

  // Runs an action on the database. Whatever fails is warned of once; damage moves the file out of
  // the way and runs the action on a new one.
  template <class Action>
  void attempt(const Action& action) {
    if (path.empty()) return;
    for (int tries = 0; tries < 2; ++tries) {
      try {
        if (!database) database = open_database(path, patience);
        action(database.get());
        return;
      } catch (const ForeignDatabase&) {
        warn("this is no index of pictures and stays as it is; none is kept");
        break;
      } catch (const SqlFailure& failure) {
        if (!is_damage(failure.code) || !move_away(failure.message)) {
          warn("the index of pictures cannot be used: " + failure.message);
          break;
        }
      }
    }
    give_up();
  }

  bool move_away(const std::string& reason) {
    database.reset();
    const fs::path away = path.string() + ".unusable";
    std::error_code error;
    fs::rename(path, away, error);
    if (error) return false;
    warn(fmt::format("the index of pictures cannot be read ({}) and begins anew; the old one is {}",
                     reason, away.string()));
    return true;
  }

  void give_up() {
    database.reset();
    path.clear();
  }
};

std::optional<FileStamp> stamp_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  const uintmax_t bytes = fs::file_size(path, error);
  if (error) return std::nullopt;
  const fs::file_time_type changed = fs::last_write_time(path, error);
  if (error) return std::nullopt;
  const auto since_1970 = std::chrono::file_clock::to_sys(changed).time_since_epoch();
  return FileStamp{static_cast<int64_t>(bytes),
                   std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count(),
                   changed + kRacyTime <= std::chrono::file_clock::now()};
}

ImageIndex::ImageIndex(const fs::path& database, std::chrono::milliseconds patience)
    : state_(std::make_unique<State>()) {
  state_->path = database;
  state_->patience = patience;
  if (database.empty()) return;
  std::error_code ignored;  // the database cannot be opened then, which is warned of
  if (database.has_parent_path()) fs::create_directories(database.parent_path(), ignored);
  state_->attempt([](sqlite3*) {});
}

ImageIndex::~ImageIndex() = default;

void ImageIndex::load(const fs::path& folder) {
  const std::lock_guard lock(state_->mutex);
  state_->attempt([&](sqlite3* database) {
    const PathRange range(folder);
    Rows<FileFacts> files = read_files(database, range);
    Rows<std::string> texts = read_texts(database, range);
    state_->files.merge(files);
    state_->texts.merge(texts);
  });
}

std::optional<FileFacts> ImageIndex::find(const fs::path& path, const FileStamp& stamp) const {
  const std::lock_guard lock(state_->mutex);
  return found(state_->files, path, stamp);
}

std::optional<std::string> ImageIndex::find_text(const fs::path& path,
                                                 const FileStamp& stamp) const {
  const std::lock_guard lock(state_->mutex);
  return found(state_->texts, path, stamp);
}

void ImageIndex::put(const fs::path& path, const FileStamp& stamp, const FileFacts& facts) {
  if (!stamp.settled) return;
  const std::lock_guard lock(state_->mutex);
  const Row<FileFacts> row{stamp.bytes, stamp.mtime_ns, facts};
  state_->files[path.native()] = state_->new_files[path.native()] = row;
}

void ImageIndex::put_text(const fs::path& path, const FileStamp& stamp, const std::string& text) {
  if (!stamp.settled || text.size() > kLargestText) return;
  const std::lock_guard lock(state_->mutex);
  const Row<std::string> row{stamp.bytes, stamp.mtime_ns, text};
  state_->texts[path.native()] = state_->new_texts[path.native()] = row;
}

void ImageIndex::commit() {
  const std::lock_guard lock(state_->mutex);
  if (state_->new_files.empty() && state_->new_texts.empty()) return;
  state_->attempt([&](sqlite3* database) {
    execute(database, "BEGIN IMMEDIATE");
    write_files(database, state_->new_files);
    write_texts(database, state_->new_texts);
    execute(database, "COMMIT");
  });
  state_->new_files.clear();
  state_->new_texts.clear();
}

fs::path default_index_file(const fs::path& folder) {
  const auto absolute_variable = [](const char* name) {
    const char* value = std::getenv(name);
    const fs::path path = value ? value : "";
    return path.is_absolute() ? path : fs::path();
  };
  fs::path cache = absolute_variable("XDG_CACHE_HOME");
  if (cache.empty()) {
    const fs::path home = absolute_variable("HOME");
    if (home.empty()) return {};
    cache = home / ".cache";
  }
  std::error_code error;
  fs::path known = fs::weakly_canonical(fs::absolute(folder, error), error);
  if (error) return {};
  if (!known.has_filename()) known = known.parent_path();
  return cache / "sdtune" / (hash_hex(known.native()) + ".sqlite");
}

}  // namespace sdtune
