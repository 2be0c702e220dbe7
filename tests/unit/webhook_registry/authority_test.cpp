#include "webhook/registry/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/registry/codec.h"
#include "tests/support/certificates.h"

namespace sidetap::webhook::registry {
namespace {

using testing_support::KeyPair;

class AuthorityTest : public testing::Test {
 protected:
  static Authority::Shown shown_by(const KeyPair& ca) {
    const KeyPair leaf = testing_support::make_leaf(ca, {"IP:127.0.0.1"});
    return http::TlsContext::make({leaf.certificate, leaf.key}).value();
  }
  /// Of what is told; empty: nothing is.
  std::string told() const {
    if (!authority_.text()) return {};
    const auto message = sidetap::registry::decode_registry_message(*authority_.text());
    return std::get<sidetap::registry::CaBundle>(message.value()).pem;
  }
  bool set(const std::string& bundle) {
    authority_.set(bundle);
    return authority_.review(shown_);
  }

  KeyPair ca_ = testing_support::make_ca("CA");
  KeyPair other_ = testing_support::make_ca("other");
  Authority::Shown shown_ = shown_by(ca_);
  Authority authority_;
};

TEST_F(AuthorityTest, TellsWhatVerifiesTheCertificate) {
  EXPECT_FALSE(authority_.review(shown_)) << "there is none yet";
  EXPECT_TRUE(set(ca_.certificate));
  EXPECT_EQ(told(), ca_.certificate);
  EXPECT_FALSE(set(ca_.certificate)) << "it is told already";
  const std::string both = other_.certificate + ca_.certificate;
  EXPECT_TRUE(set(both));
  EXPECT_EQ(told(), both);
}

TEST_F(AuthorityTest, KeepsWhatVerifiesTheCertificateBesideAWrongOne) {
  EXPECT_FALSE(set(other_.certificate));
  EXPECT_EQ(told(), "");
  EXPECT_TRUE(set(ca_.certificate));
  EXPECT_FALSE(set(other_.certificate));
  EXPECT_EQ(told(), ca_.certificate);
}

TEST_F(AuthorityTest, FollowsTheCertificate) {
  set(ca_.certificate);
  EXPECT_FALSE(set(other_.certificate)) << "the CA comes first";
  shown_ = shown_by(other_);
  EXPECT_TRUE(authority_.review(shown_));
  EXPECT_EQ(told(), other_.certificate);
  shown_ = shown_by(ca_);
  EXPECT_TRUE(authority_.review(shown_)) << "the certificate comes first";
  EXPECT_EQ(told(), "");
  EXPECT_TRUE(set(ca_.certificate));
  EXPECT_EQ(told(), ca_.certificate);
}

TEST_F(AuthorityTest, TellsNothingThatNoMessageHolds) {
  set(ca_.certificate);
  EXPECT_FALSE(
      set(ca_.certificate + std::string(sidetap::registry::kMostRegistryMessageBytes, 'x')));
  EXPECT_EQ(told(), ca_.certificate);
}

TEST_F(AuthorityTest, TellsNothingWithoutACertificate) {
  shown_ = nullptr;
  EXPECT_FALSE(set(ca_.certificate));
  EXPECT_EQ(told(), "");
}

}  // namespace
}  // namespace sidetap::webhook::registry
