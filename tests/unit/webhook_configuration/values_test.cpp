#include "webhook/configuration/values.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "webhook/configuration/image_reference.h"
#include "webhook/configuration/quantity.h"

namespace sidetap::configuration {
namespace {

using testing::DoubleNear;
using testing::Optional;

TEST(Quantity, IsANumberWithASuffix) {
  const auto reads = [](const char* text, double amount) {
    EXPECT_THAT(parse_quantity(text), Optional(DoubleNear(amount, amount * 1e-12))) << text;
  };
  reads("0", 0);
  reads("007", 7);
  reads("+7", 7);
  reads("0.5", 0.5);
  reads(".5", 0.5);
  reads("5.", 5);
  reads("100n", 1e-7);
  reads("100u", 1e-4);
  reads("500m", 0.5);
  reads("1.5k", 1500);
  reads("2M", 2e6);
  reads("2G", 2e9);
  reads("2T", 2e12);
  reads("2P", 2e15);
  reads("2E", 2e18);
  reads("1Ki", 1024);
  reads("0.5Mi", 524'288);
  reads("1Gi", 0x1p30);
  reads("1Ti", 0x1p40);
  reads("1Pi", 0x1p50);
  reads("7Ei", 7 * 0x1p60);
}

TEST(Quantity, OrANumberWithAnExponent) {
  EXPECT_EQ(parse_quantity("1e3"), 1000);
  EXPECT_EQ(parse_quantity("1E3"), 1000);
  EXPECT_EQ(parse_quantity("1.5e+2"), 150);
  EXPECT_EQ(parse_quantity("5e-1"), 0.5);
}

// Each is refused by apimachinery's resource.ParseQuantity, or is nothing that can be asked for.
TEST(Quantity, IsNothingElse) {
  for (const char* text : {"",
                           ".",
                           "-1",
                           "1e3Mi",
                           "1e3m",
                           "1m3",
                           "1e",
                           "1e+",
                           "1e+-3",
                           "1e3.5",
                           "1 Gi",
                           " 1",
                           "1x",
                           "1K",
                           "1ki",
                           "1mi",
                           "1MiB",
                           "1.2.3",
                           "1,5",
                           "0x10",
                           "inf",
                           "nan",
                           "1_000",
                           "Mi",
                           "m",
                           "++1",
                           "1e99999999999",
                           "1e400",
                           "1e19",
                           "8Ei",
                           "10E",
                           "9223372036854775808",
                           "1e3e3"})
    EXPECT_EQ(parse_quantity(text), std::nullopt) << text;
}

TEST(Amounts, AreBounded) {
  for (const char* text : {"1m", "0.001", "1024"}) EXPECT_TRUE(check_cpu(text)) << text;
  for (const char* text : {"0", "999u", "1025", "1e18"}) EXPECT_FALSE(check_cpu(text)) << text;
  for (const char* text : {"16Mi", "16777216", "1Ti"}) EXPECT_TRUE(check_memory(text)) << text;
  for (const char* text : {"16777215", "64m", "1.1Ti"}) EXPECT_FALSE(check_memory(text)) << text;
}

TEST(ImageReference, IsWhatRuntimesTake) {
  const std::string digest = "@sha256:" + std::string(64, 'a');
  for (const std::string& text :
       {std::string("sidetap-sidecar"), std::string("sidetap-sidecar:0.1.0"),
        std::string("my_org/a__b/c---d.e:1"), std::string("localhost/a"),
        std::string("registry.example.com:5000/network/sidetap-sidecar:v1_x.y-Z"),
        std::string("[2001:db8::1]:5000/a:1"), std::string("[2001:db8::1]/a"),
        std::string("Host/a"), "a" + digest, "registry.example.com/a:1" + digest,
        "a:" + std::string(128, 't')})
    EXPECT_TRUE(is_image_reference(text)) << text;
}

TEST(ImageReference, IsNothingElse) {
  const std::string hash(64, 'a');
  for (const std::string& text : {std::string(),
                                  std::string("A"),
                                  std::string("a/B"),
                                  std::string("a b"),
                                  std::string("a:"),
                                  std::string(":a"),
                                  std::string("a:b:c"),
                                  std::string("a::b"),
                                  std::string("/a"),
                                  std::string("a/"),
                                  std::string("a//b"),
                                  std::string("a@"),
                                  std::string("a@sha256"),
                                  std::string("a@sha256:abc"),
                                  "a@:" + hash,
                                  "@sha256:" + hash,
                                  "a@sha256:" + hash + "g",
                                  "a@sha256+:" + hash,
                                  "a@sha256:" + hash + ":1",
                                  std::string("-a"),
                                  std::string("a-"),
                                  std::string("a..b"),
                                  std::string("a___b"),
                                  std::string("a._b"),
                                  std::string("a:.b"),
                                  std::string("a:-b"),
                                  std::string("https://a/b"),
                                  std::string("host:port/a"),
                                  std::string("host:/a"),
                                  std::string("[]/a"),
                                  std::string("[::1/a"),
                                  std::string("[x]/a"),
                                  std::string("[::1]5/a"),
                                  std::string("-host/a"),
                                  std::string("a\n"),
                                  std::string("a:\xc3"),
                                  std::string("a\"b"),
                                  "a:" + std::string(129, 't'),
                                  std::string(256, 'a')})
    EXPECT_FALSE(is_image_reference(text)) << text;
}

TEST(Names, ComeOutAsTheyWentIn) {
  EXPECT_EQ(check_object_name("registry.login-1").value(), "registry.login-1");
  for (const char* text : {"", "A", "a_b", "-a", "a-", ".a", "a.", "a..b", "a b"})
    EXPECT_FALSE(check_object_name(text)) << text;
  EXPECT_FALSE(check_object_name(std::string(64, 'a'))) << "of one part";
  EXPECT_EQ(check_variable_name("FLUSH_INTERVAL2").value(), "FLUSH_INTERVAL2");
  for (const char* text : {"", "2A", "A-B", "A B", "A=", "\xc3\xa4"})
    EXPECT_FALSE(check_variable_name(text)) << text;
}

TEST(Sensors, GetTheirPort) {
  EXPECT_EQ(check_sensor("a, b:7,[2001:db8::1]", 2003).value(), "a:2003,b:7,[2001:db8::1]:2003");
  EXPECT_FALSE(check_sensor("", 2003));
  EXPECT_FALSE(check_sensor("a,b,c,d,e,f,g,h,i,j,k", 2003)) << "more than ten";
}

}  // namespace
}  // namespace sidetap::configuration
