#include "shared/base64.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace sidetap {
namespace {

std::string base64(std::string_view bytes) {
  std::string text;
  append_base64(text, bytes);
  return text;
}

TEST(Base64, IsPaddedAsRfc4648Says) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
  EXPECT_EQ(base64("\xfb\xef\xbe"), "++++");
}

TEST(Base64, AppendsBehindWhatIsThere) {
  std::string text = "x";
  append_base64(text, "foo");
  EXPECT_EQ(text, "xZm9v");
}

TEST(Base64, IsReadAsItIsWritten) {
  for (const std::string bytes : {"", "f", "fo", "foo", "foobar", "\xff\xfe\xfd"})
    EXPECT_EQ(decode_base64(base64(bytes)), bytes);
  EXPECT_EQ(decode_base64("Zm9v\r\nYmFy\n"), "foobar");
  for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "Z=g=", "Zg==Zg==", "Zm 9", "Zm-_"})
    EXPECT_EQ(decode_base64(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace sidetap
