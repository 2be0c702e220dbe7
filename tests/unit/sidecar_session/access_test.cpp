// What a session needs beside its sensor, from options and from a mounted Secret.
#include "sidecar/session/access.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/certificates.h"
#include "tests/unit/sidecar_session/active_fixture.h"

namespace sidetap::session {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;

class SecretAccess : public ActiveMode {
 protected:
  /// Without sensors.
  SessionsConfig with_secret(TlsRole role = TlsRole::kNone) const {
    SessionsConfig config;
    config.secret_folder = folder_.path().string();
    config.tls.role = role;
    return config;
  }
  /// Whole or not at all, as the kubelet does it.
  void put(const std::string& name, const std::string& text = "x") const {
    std::filesystem::rename(folder_.write("..new", text), folder_.path() / name);
  }
  void take(const std::string& name) const { std::filesystem::remove(folder_.path() / name); }
  static std::string fault(const SessionsConfig& config) {
    const auto access = read_access(config);
    return access ? "(none)" : access.error().text;
  }

  testing_support::TemporaryFolder folder_;
};

TEST_F(SecretAccess, IsWhatTheOptionsSayWhereNoSecretIsNamed) {
  SessionsConfig config;
  config.user = "me";
  config.password = "pw";
  config.tls = {.role = TlsRole::kClient, .ca_file = "/ca.pem"};
  const auto access = read_access(config);
  ASSERT_TRUE(access);
  EXPECT_EQ(access->user, "me");
  EXPECT_EQ(access->password, "pw");
  EXPECT_EQ(access->tls.ca_file, "/ca.pem");
}

TEST_F(SecretAccess, TakesEveryFileThatIsThere) {
  for (const char* name : {"ca.crt", "tls.crt", "tls.key"}) put(name);
  put("username", "me\n");
  put("password", "p w\r\n");
  const auto access = read_access(with_secret(TlsRole::kClient));
  ASSERT_TRUE(access) << access.error().text;
  EXPECT_THAT(access->tls.ca_file, EndsWith("/ca.crt"));
  EXPECT_THAT(access->tls.certificate_file, EndsWith("/tls.crt"));
  EXPECT_THAT(access->tls.key_file, EndsWith("/tls.key"));
  EXPECT_EQ(access->user, "me") << "the line's end is an editor's";
  EXPECT_EQ(access->password, "p w");
}

TEST_F(SecretAccess, LeavesWhatTheOptionsName) {
  for (const char* name : {"ca.crt", "tls.crt", "tls.key", "username", "password"}) put(name);
  SessionsConfig config = with_secret(TlsRole::kClient);
  config.tls.ca_file = "/ca.pem";
  config.user = "me";
  config.password = "";
  const auto access = read_access(config);
  ASSERT_TRUE(access) << access.error().text;
  EXPECT_EQ(access->tls.ca_file, "/ca.pem");
  EXPECT_EQ(access->user, "me");
  EXPECT_EQ(access->password, "") << "the file of --password-file is empty";
}

TEST_F(SecretAccess, FailsWhileTheSecretIsMissing) {
  EXPECT_THAT(fault(with_secret()), HasSubstr("holds no file of a Secret"));
  put("unknown");
  EXPECT_THAT(fault(with_secret()), HasSubstr("holds no file of a Secret"));
  put("ca.crt");
  EXPECT_EQ(fault(with_secret()), "(none)") << "no user is asked for, nor TLS";
  SessionsConfig elsewhere = with_secret();
  elsewhere.secret_folder = "/nowhere";
  EXPECT_THAT(fault(elsewhere), HasSubstr("/nowhere"));
}

TEST_F(SecretAccess, FailsWithoutAFileThatTlsNeeds) {
  put("username");
  put("password");
  EXPECT_THAT(fault(with_secret(TlsRole::kClient)),
              AllOf(HasSubstr("/ca.crt"), HasSubstr("client")))
      << "the system's CAs are no substitute";
  EXPECT_THAT(fault(with_secret(TlsRole::kServer)),
              AllOf(HasSubstr("/tls.crt"), HasSubstr("rpcaps")));
  put("ca.crt");
  EXPECT_EQ(fault(with_secret(TlsRole::kClient)), "(none)");
  put("tls.crt");
  EXPECT_THAT(fault(with_secret(TlsRole::kClient)), HasSubstr("/tls.key is missing"));
  EXPECT_THAT(fault(with_secret(TlsRole::kServer)), HasSubstr("/tls.key is missing"));
  put("tls.key");
  take("tls.crt");
  EXPECT_THAT(fault(with_secret(TlsRole::kClient)), HasSubstr("/tls.crt is missing"));
}

TEST_F(SecretAccess, NeverLetsEverybodyInWhereAUserIsMeant) {
  put("username");
  EXPECT_THAT(fault(with_secret()), HasSubstr("/password is missing"));
  take("username");
  put("password");
  EXPECT_THAT(fault(with_secret()), HasSubstr("/username is missing"));
  put("username", "\n");
  EXPECT_THAT(fault(with_secret()), HasSubstr("/username is empty"));
  take("username");
  take("password");
  put("ca.crt");
  SessionsConfig named = with_secret();
  named.user = "me";
  EXPECT_THAT(fault(named), HasSubstr("/password is missing"));
}

TEST_F(SecretAccess, AsksTheRegistryForItsCaAtEachSession) {
  SessionsConfig config;
  config.tls.role = TlsRole::kRegistry;
  EXPECT_THAT(fault(config), HasSubstr("no CA of the registry"));
  std::string told;
  config.registry_ca = [&] { return told; };
  EXPECT_THAT(fault(config), HasSubstr("no CA of the registry"))
      << "the system's CAs are no substitute";
  for (const char* ca : {"first", "second"}) {
    told = ca;
    const auto access = read_access(config);
    ASSERT_TRUE(access) << access.error().text;
    EXPECT_EQ(access->tls.ca_text, ca);
  }
}

TEST_F(SecretAccess, WhatProvesOtherSensorsDoesNotConcernThoseOfTheRegistry) {
  put("username");
  SessionsConfig config = with_secret(TlsRole::kClient);
  config.user = "me";
  config.password = "pw";
  config.tls.ca_file = "/ca.pem";
  config.tls.server_name = "sensor.example";
  config.tls.certificate_file = "/tap.pem";
  EXPECT_EQ(proved_by_registry(config).user, "me") << "these are not of the registry";
  config.tls.role = TlsRole::kRegistry;
  config.registry_ca = [] { return std::string("CA"); };
  const auto access = read_access(proved_by_registry(config));
  ASSERT_TRUE(access) << access.error().text;
  EXPECT_EQ(access->user, "");
  EXPECT_EQ(access->password, "");
  EXPECT_EQ(access->tls.ca_file, "");
  EXPECT_EQ(access->tls.server_name, "");
  EXPECT_EQ(access->tls.certificate_file, "/tap.pem") << "it proves the tap";
}

TEST_F(SecretAccess, IsReadForEachSession) {
  SessionsConfig config = config_for({sensor_.port()});
  config.secret_folder = folder_.path().string();
  ASSERT_TRUE(start(config)) << "a missing Secret is no reason to end";
  ASSERT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"secret\"} "));
  EXPECT_FALSE(sensor_.readable(0)) << "no sensor is dialled in vain";
  put("password", "pw");
  put("username", "me");
  {
    Wire wire(sensor_.accept());
    expect_type(wire.ask(rpcap::encode_auth_request({})), rpcap::MessageType::kError);
    expect_type(wire.ask(rpcap::encode_auth_request(
                    {.with_password = true, .user = "me", .password = "pw"})),
                rpcap::MessageType::kAuthReply);
    put("password", "other");
  }
  Wire wire(sensor_.accept());
  expect_type(wire.ask(rpcap::encode_auth_request(
                  {.with_password = true, .user = "me", .password = "other"})),
              rpcap::MessageType::kAuthReply);
}

TEST_F(SecretAccess, BringsTheCaOfATlsClient) {
  const auto ca = testing_support::make_ca("test CA");
  const auto leaf = testing_support::make_leaf(ca, {"IP:127.0.0.1"});
  const testing_support::TemporaryFolder sensors;
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_use_certificate_chain_file(context.get(), sensors.write("crt", leaf.certificate).c_str());
  SSL_CTX_use_PrivateKey_file(context.get(), sensors.write("key", leaf.key).c_str(),
                              SSL_FILETYPE_PEM);
  SessionsConfig config = config_for({sensor_.port()});
  config.secret_folder = folder_.path().string();
  config.tls.role = TlsRole::kClient;
  config.message_timeout = std::chrono::milliseconds(5'000);
  ASSERT_TRUE(start(config));
  ASSERT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"secret\"} "));
  put("ca.crt", ca.certificate);
  Wire wire(sensor_.accept());
  ASSERT_TRUE(wire.begin_tls(context.get(), false));
  open_interface(wire);
}

TEST_F(SecretAccess, IsWhatClientsNeedToo) {
  SessionsConfig config = config_for({});
  config.passive = PassiveSettings{.listen = {"127.0.0.1", 0}};
  config.secret_folder = folder_.path().string();
  ASSERT_TRUE(start(config));
  net::UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  const sockaddr_in address = loopback(sessions_->passive_port());
  ASSERT_EQ(::connect(fd.get(), generic(address), sizeof address), 0);
  Wire wire(std::move(fd));
  EXPECT_FALSE(wire.ask(rpcap::encode_auth_request({}))) << "nobody gets in without the password";
}

}  // namespace
}  // namespace sidetap::session
