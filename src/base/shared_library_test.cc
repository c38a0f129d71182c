#include "base/shared_library.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sdtune {
namespace {

TEST(SharedLibrary, OpensOneAndFindsItsSymbols) {
  const SharedLibrary library = open_library("libm.so.6");
  ASSERT_NE(library.handle, nullptr) << library.reason;
  const auto cosine = reinterpret_cast<double (*)(double)>(library_symbol(library, "cos"));
  ASSERT_NE(cosine, nullptr);
  EXPECT_EQ(cosine(0), 1);
  EXPECT_EQ(library_symbol(library, "no_such_symbol"), nullptr);
}

TEST(SharedLibrary, SaysWhyOneCannotBeOpened) {
  const SharedLibrary library = open_library("libno_such_library.so");
  EXPECT_EQ(library.handle, nullptr);
  EXPECT_NE(library.reason.find("libno_such_library.so"), std::string::npos) << library.reason;
  EXPECT_EQ(library_symbol(library, "cos"), nullptr);
}

TEST(SharedLibrary, NamesTheFolderOfALoadedOne) {
  EXPECT_TRUE(folder_of_loaded_library("libc.so.6").starts_with("/"));
  EXPECT_EQ(folder_of_loaded_library("libno_such_library.so"), "");
}

}  // namespace
}  // namespace sdtune
