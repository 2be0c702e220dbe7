#include "webhook/certificates/x509.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/http/tls_context.h"

namespace sidetap::certificates {
namespace {

using std::chrono::hours;
using testing::ElementsAre;

const TimePoint kNow = Clock::from_time_t(1'800'000'000);

TEST(X509, AnAuthorityIsOneAndKeepsItsTime) {
  const Pair ca = make_authority("test CA", kNow, hours(100)).value();
  const Facts facts = read_facts(ca.certificate).value();
  EXPECT_TRUE(facts.authority);
  EXPECT_EQ(facts.not_before, kNow - kBackdate);
  EXPECT_EQ(facts.not_after, kNow + hours(100));
  EXPECT_TRUE(key_fits(ca));
  EXPECT_TRUE(is_signed_by(ca.certificate, ca.certificate));
}

TEST(X509, ALeafBearsItsNamesAndItsAuthoritysSignature) {
  const Pair ca = make_authority("test CA", kNow, hours(100)).value();
  const Pair leaf = issue_leaf(ca, {"a.b.svc", "a.b"}, kNow, hours(10)).value();
  const Facts facts = read_facts(leaf.certificate).value();
  EXPECT_FALSE(facts.authority);
  EXPECT_THAT(facts.dns_names, ElementsAre("a.b.svc", "a.b"));
  EXPECT_EQ(facts.not_after, kNow + hours(10));
  EXPECT_TRUE(is_signed_by(leaf.certificate, ca.certificate));
  // Of the same name, but another key.
  const Pair other = make_authority("test CA", kNow, hours(100)).value();
  EXPECT_FALSE(is_signed_by(leaf.certificate, other.certificate));
  EXPECT_FALSE(key_fits({leaf.certificate, other.key}));
  EXPECT_TRUE(http::TlsContext::make({leaf.certificate, leaf.key}));
}

TEST(X509, ALeafDoesNotOutliveItsAuthority) {
  const Pair ca = make_authority("test CA", kNow, hours(5)).value();
  const Pair leaf = issue_leaf(ca, {"a"}, kNow, hours(10)).value();
  EXPECT_EQ(read_facts(leaf.certificate)->not_after, kNow + hours(5));
}

TEST(X509, LongNamesAreNames) {
  const std::string name = std::string(63, 'n') + "." + std::string(63, 's') + ".svc";
  const Pair ca = make_authority("test CA", kNow, hours(5)).value();
  const Pair leaf = issue_leaf(ca, {name}, kNow, hours(1)).value();
  EXPECT_THAT(read_facts(leaf.certificate)->dns_names, ElementsAre(name));
}

TEST(X509, WhatIsNoCertificateIsNothing) {
  EXPECT_FALSE(read_facts(""));
  EXPECT_FALSE(read_facts("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
  EXPECT_FALSE(key_fits({"", ""}));
  EXPECT_FALSE(is_signed_by("x", "y"));
  EXPECT_FALSE(issue_leaf({"x", "y"}, {"a"}, kNow, hours(1)));
}

}  // namespace
}  // namespace sidetap::certificates
