#include "hub/hub_settings.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "base/files.h"

namespace sdtune {
namespace {

class HubSettingsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = temporary_name(fs::path(testing::TempDir()) / "hub_settings");
    fs::create_directories(folder_);
    for (const char* name :
         {"HF_ENDPOINT", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME",
          "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_DISABLE_IMPLICIT_TOKEN",
          "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DOWNLOAD_TIMEOUT", "REQUESTS_CA_BUNDLE",
          "CURL_CA_BUNDLE"}) {
      ::unsetenv(name);
    }
    ::setenv("HOME", folder_.c_str(), 1);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(HubSettingsTest, StandsWhereHuggingfaceHubLooks) {
  EXPECT_EQ(hub_settings_from_environment().cache, folder_ / ".cache/huggingface/hub");
  ::setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(hub_settings_from_environment().cache, "/x/huggingface/hub");
  ::setenv("HF_HOME", "~/h", 1);
  EXPECT_EQ(hub_settings_from_environment().cache, folder_ / "h/hub");
  ::setenv("HUGGINGFACE_HUB_CACHE", "/old", 1);
  EXPECT_EQ(hub_settings_from_environment().cache, "/old");
  ::setenv("HF_HUB_CACHE", "/new", 1);
  EXPECT_EQ(hub_settings_from_environment().cache, "/new");
}

TEST_F(HubSettingsTest, FindsTheToken) {
  EXPECT_EQ(hub_settings_from_environment().token, "");
  fs::create_directories(folder_ / ".cache/huggingface");
  write_file(folder_ / ".cache/huggingface/token", "hf_file\n");
  EXPECT_EQ(hub_settings_from_environment().token, "hf_file");
  write_file(folder_ / "kept", "hf_kept");
  ::setenv("HF_TOKEN_PATH", "~/kept", 1);
  EXPECT_EQ(hub_settings_from_environment().token, "hf_kept");
  ::setenv("HUGGING_FACE_HUB_TOKEN", "hf_old", 1);
  EXPECT_EQ(hub_settings_from_environment().token, "hf_old");
  ::setenv("HF_TOKEN", " hf_word ", 1);
  EXPECT_EQ(hub_settings_from_environment().token, "hf_word");
  ::setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "yes", 1);
  EXPECT_EQ(hub_settings_from_environment().token, "");
  ::unsetenv("HF_HUB_DISABLE_IMPLICIT_TOKEN");
  ::setenv("HF_TOKEN", "hf\r\nHost: elsewhere", 1);
  EXPECT_THROW(hub_settings_from_environment(), Error);
}

TEST_F(HubSettingsTest, TheFirstOfTwoNamesCounts) {
  ::setenv("TRANSFORMERS_OFFLINE", "1", 1);
  ::setenv("CURL_CA_BUNDLE", "/second", 1);
  EXPECT_TRUE(hub_settings_from_environment().offline);
  EXPECT_EQ(hub_settings_from_environment().certificates, "/second");
  ::setenv("HF_HUB_OFFLINE", "0", 1);
  ::setenv("REQUESTS_CA_BUNDLE", "/first", 1);
  EXPECT_FALSE(hub_settings_from_environment().offline);
  EXPECT_EQ(hub_settings_from_environment().certificates, "/first");
}

TEST_F(HubSettingsTest, EndpointOfflineAndPatience) {
  EXPECT_EQ(hub_settings_from_environment().endpoint, "https://huggingface.co");
  EXPECT_FALSE(hub_settings_from_environment().offline);
  ::setenv("HF_ENDPOINT", "http://mirror:80/", 1);
  ::setenv("HF_HUB_OFFLINE", "True", 1);
  ::setenv("HF_HUB_DOWNLOAD_TIMEOUT", "2", 1);
  const HubSettings settings = hub_settings_from_environment();
  EXPECT_EQ(settings.endpoint, "http://mirror:80");
  EXPECT_TRUE(settings.offline);
  EXPECT_EQ(settings.patience_s, 2);
  ::setenv("HF_HUB_DOWNLOAD_TIMEOUT", "soon", 1);
  EXPECT_THROW(hub_settings_from_environment(), Error);
  ::unsetenv("HF_HUB_DOWNLOAD_TIMEOUT");
  ::setenv("HF_ENDPOINT", "file:///etc", 1);
  EXPECT_THROW(hub_settings_from_environment(), Error);
}

}  // namespace
}  // namespace sdtune
