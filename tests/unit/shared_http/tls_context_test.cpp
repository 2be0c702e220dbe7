#include "shared/http/tls_context.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/certificates.h"

namespace sidetap::http {
namespace {

using testing::HasSubstr;
using testing_support::KeyPair;
using testing_support::make_ca;
using testing_support::make_leaf;

class TlsContextTest : public testing::Test {
 protected:
  TlsMaterial leaf(long seconds = 3600) {
    const KeyPair pair = make_leaf(ca_, {"DNS:localhost"}, seconds);
    return {pair.certificate, pair.key};
  }
  KeyPair ca_ = make_ca("test CA");
};

TEST_F(TlsContextTest, KnowsWhenItsCertificateEnds) {
  const auto before = TlsContext::Clock::now();
  const auto context = TlsContext::make(leaf(7200)).value();
  EXPECT_TRUE(context->valid_at(before + std::chrono::seconds(1)));
  EXPECT_FALSE(context->valid_at(before + std::chrono::hours(3)));
  EXPECT_GT(context->not_after(), before + std::chrono::minutes(110));
}

TEST_F(TlsContextTest, TakesAChain) {
  TlsMaterial material = leaf();
  material.certificate += ca_.certificate;
  EXPECT_TRUE(TlsContext::make(material));
}

TEST_F(TlsContextTest, KnowsWhoseClientsWouldTakeIt) {
  const auto context = TlsContext::make(leaf()).value();
  const KeyPair other = make_ca("other CA");
  const KeyPair same_name = make_ca("test CA");
  EXPECT_TRUE(context->verified_by(ca_.certificate));
  EXPECT_TRUE(context->verified_by(other.certificate + ca_.certificate));
  EXPECT_TRUE(context->verified_by(ca_.certificate + ca_.certificate));
  for (const std::string& wrong :
       {other.certificate, same_name.certificate, leaf().certificate, std::string("garbage"),
        std::string(), ca_.certificate.substr(0, ca_.certificate.size() / 2)}) {
    EXPECT_FALSE(context->verified_by(wrong)) << wrong;
  }
  EXPECT_THAT(context->verified_by(other.certificate).error().text, HasSubstr("CN=leaf: "));
  const auto expired = TlsContext::make(leaf(-60)).value()->verified_by(ca_.certificate);
  EXPECT_THAT(expired.error().text, HasSubstr("expired"));
}

TEST_F(TlsContextTest, RefusesWhatDoesNotFitTogether) {
  TlsMaterial foreign_key = leaf();
  foreign_key.key = leaf().key;
  EXPECT_THAT(TlsContext::make(foreign_key).error().text, HasSubstr("private key does not belong"));

  TlsMaterial no_certificate = leaf();
  no_certificate.certificate = "-----BEGIN NOTHING-----\n";
  EXPECT_THAT(TlsContext::make(no_certificate).error().text, HasSubstr("certificate"));

  TlsMaterial cut = leaf();
  cut.certificate.resize(cut.certificate.size() / 2);
  EXPECT_FALSE(TlsContext::make(cut));

  TlsMaterial no_key = leaf();
  no_key.key = no_key.certificate;
  EXPECT_THAT(TlsContext::make(no_key).error().text, HasSubstr("private key"));

  TlsMaterial no_clients = leaf();
  no_clients.client_ca = "nothing";
  EXPECT_THAT(TlsContext::make(no_clients).error().text, HasSubstr("client CA"));
}

TEST_F(TlsContextTest, AStoreKeepsTheOldWhenTheNewIsBad) {
  TlsStore store;
  EXPECT_FALSE(store.usable());
  ASSERT_TRUE(store.replace(leaf()));
  const auto first = store.current();
  TlsMaterial bad = leaf();
  bad.key = leaf().key;
  EXPECT_FALSE(store.replace(bad));
  EXPECT_FALSE(store.replace(bad));
  EXPECT_EQ(store.current(), first);
  EXPECT_TRUE(store.usable());
  EXPECT_EQ(store.reload_failures(), 1u);  // A fault that stays is one fault.
  ASSERT_TRUE(store.replace(leaf()));
  EXPECT_NE(store.current(), first);
  EXPECT_EQ(store.reloads(), 2u);
}

TEST_F(TlsContextTest, AStoreDoesNothingForWhatIsInPlace) {
  TlsStore store;
  const TlsMaterial material = leaf();
  ASSERT_TRUE(store.replace(material));
  const auto first = store.current();
  ASSERT_TRUE(store.replace(material));
  EXPECT_EQ(store.current(), first);
  EXPECT_EQ(store.reloads(), 1u);
}

TEST_F(TlsContextTest, AnExpiredCertificateServesOnlyWhereThereIsNoBetter) {
  TlsStore store;
  ASSERT_TRUE(store.replace(leaf(-10)));
  EXPECT_FALSE(store.usable());
  EXPECT_EQ(store.out_of_dates(), 1u);
  ASSERT_TRUE(store.replace(leaf()));
  EXPECT_TRUE(store.usable());
  EXPECT_FALSE(store.replace(leaf(-10)));
  EXPECT_TRUE(store.usable());
  EXPECT_EQ(store.reload_failures(), 1u);
}

TEST_F(TlsContextTest, ReadsFilesAndNamesTheOneThatIsMissing) {
  const testing_support::TemporaryFolder folder;
  const TlsMaterial material = leaf();
  const TlsFiles files{folder.write("tls.crt", material.certificate),
                       (folder.path() / "tls.key").string()};
  TlsStore store;
  const auto failed = store.reload(files);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("tls.key"));
  folder.write("tls.key", material.key);
  EXPECT_TRUE(store.reload(files));
}

TEST_F(TlsContextTest, AnEmptyClientCaFileIsNoPermission) {
  const testing_support::TemporaryFolder folder;
  const TlsMaterial material = leaf();
  TlsStore store;
  EXPECT_FALSE(store.reload({folder.write("tls.crt", material.certificate),
                             folder.write("tls.key", material.key), folder.write("ca.crt", "")}));
}

}  // namespace
}  // namespace sidetap::http
