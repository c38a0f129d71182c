// The one error type of the program: what went wrong, where, and what to do about it.
// Thrown anywhere, caught in main.cc alone, which prints it and picks the exit code.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace sdtune {

// A failure that the user reads. Exit code 1.
class Error : public std::runtime_error {
 public:
  // `what`: one sentence, no full stop needed. `where`: file, option or step. `hint`: what to do.
  // Empty parts are left out of the printed message.
  explicit Error(std::string what, std::string where = "", std::string hint = "");

  const std::string& where() const { return where_; }
  const std::string& hint() const { return hint_; }

 protected:
  Error(int exit_code, std::string what, std::string where, std::string hint);

 private:
  std::string where_;
  std::string hint_;
  int exit_code_ = 1;

 public:
  int exit_code() const { return exit_code_; }
};

// A mistake in the command line or a configuration file. Exit code 2.
class UsageError : public Error {
 public:
  explicit UsageError(std::string what, std::string where = "", std::string hint = "");
};

// The name in `known` nearest to `name` by edit distance, or "" when none is near
// (distance at most a third of the length, at least 1).
std::string nearest_name(const std::string& name, const std::vector<std::string>& known);

}  // namespace sdtune
