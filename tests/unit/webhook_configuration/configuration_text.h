// Configurations from text, as the tests of their parts write them.
#pragma once

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "webhook/configuration/configuration_file.h"

namespace sidetap::configuration::test {

inline Configuration read(const std::string& text) {
  auto configuration = parse_configuration(text, "c.yaml");
  EXPECT_TRUE(configuration) << configuration.error().text;
  return configuration ? *configuration : Configuration();
}

/// One line says where, and what is accepted.
inline void expect_refused(const std::string& text, const std::string& place,
                           const std::string& accepted) {
  const auto configuration = parse_configuration(text, "c.yaml");
  ASSERT_FALSE(configuration) << text;
  const std::string& line = configuration.error().text;
  EXPECT_THAT(line,
              testing::AllOf(testing::HasSubstr("c.yaml: " + place), testing::HasSubstr(accepted)));
  EXPECT_EQ(line.find('\n'), line.npos) << line;
}

}  // namespace sidetap::configuration::test
