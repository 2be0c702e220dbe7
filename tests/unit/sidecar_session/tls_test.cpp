// TLS on control and TCP data, in both roles.
#include <atomic>
#include <memory>
#include <string>

#include "tests/support/certificates.h"
#include "tests/unit/sidecar_session/sessions_fixture.h"

namespace sidetap::session {
namespace {

using rpcap::MessageType;
using testing::HasSubstr;
using testing_support::KeyPair;

class TlsSessions : public SessionsTest {
 protected:
  struct Files {
    std::string certificate, key;
  };
  Files write(const std::string& name, const KeyPair& pair) {
    return {folder_.write(name + ".crt", pair.certificate), folder_.write(name + ".key", pair.key)};
  }
  /// The tap is the TLS server though it dials: libpcap's "rpcaps".
  SessionsConfig rpcaps(std::uint16_t port) {
    SessionsConfig config = config_for({port});
    const Files files = write("tap", testing_support::make_leaf(ca_, {"DNS:tap"}));
    config.tls = {.role = TlsRole::kServer,
                  .certificate_file = files.certificate,
                  .key_file = files.key,
                  .ca_file = {},
                  .server_name = {}};
    config.message_timeout = std::chrono::milliseconds(5'000);
    return config;
  }
  SessionsConfig as_client(std::uint16_t port) {
    SessionsConfig config = config_for({port});
    config.tls.role = TlsRole::kClient;
    config.tls.ca_file = ca_file_;
    config.message_timeout = std::chrono::milliseconds(5'000);
    return config;
  }
  std::shared_ptr<SSL_CTX> sensor_client(const Files* own = nullptr) {
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    SSL_CTX_load_verify_file(context.get(), ca_file_.c_str());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (own != nullptr) use(*context, *own);
    return context;
  }
  std::shared_ptr<SSL_CTX> sensor_server(const std::string& name) {
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    use(*context, write("sensor", testing_support::make_leaf(ca_, {name})));
    return context;
  }
  static void use(SSL_CTX& context, const Files& files) {
    SSL_CTX_use_certificate_chain_file(&context, files.certificate.c_str());
    SSL_CTX_use_PrivateKey_file(&context, files.key.c_str(), SSL_FILETYPE_PEM);
  }
  bool ended_with_tls_fault() {
    return wait_for_metric("sidetap_session_ends_total{kind=\"tls\"} 1");
  }

  KeyPair ca_ = testing_support::make_ca("test CA");
  testing_support::TemporaryFolder folder_;
  std::string ca_file_ = folder_.write("ca.crt", ca_.certificate);
  LocalSocket sensor_{SOCK_STREAM};
};

TEST_F(TlsSessions, RpcapsProtectsControlAndData) {
  ASSERT_TRUE(start(rpcaps(sensor_.port())));
  const auto context = sensor_client();
  Wire wire(sensor_.accept());
  ASSERT_TRUE(wire.begin_tls(context.get(), true, "tap"));
  open_interface(wire);
  const LocalSocket listener(SOCK_STREAM);
  // libpcap's client accepts, and begins its second handshake, once it has the reply.
  expect_type(wire.ask(start_request(rpcap::kStartServerOpens, listener.port())),
              MessageType::kStartCaptureReply);
  Wire data(listener.accept());
  ASSERT_TRUE(data.begin_tls(context.get(), true, "tap"));
  ASSERT_TRUE(control_.wait_for_captures(1));
  control_.send_packet("secret");
  expect_type(data.receive(), MessageType::kPacket);
  expect_type(wire.ask(rpcap::encode_empty(MessageType::kStatsRequest)), MessageType::kStatsReply);
}

TEST_F(TlsSessions, NoPacketLeavesOverUdp) {
  ASSERT_TRUE(start(rpcaps(sensor_.port())));
  const auto context = sensor_client();
  Wire wire(sensor_.accept());
  ASSERT_TRUE(wire.begin_tls(context.get(), true));
  open_interface(wire);
  expect_type(wire.ask(start_request(rpcap::kStartDatagram, 5'000)), MessageType::kError);
  EXPECT_EQ(control_.captures(), 0U);
}

TEST_F(TlsSessions, ASensorThatSpeaksPlainIsNotServed) {
  ASSERT_TRUE(start(rpcaps(sensor_.port())));
  Wire wire(sensor_.accept());
  wire.send(rpcap::encode_auth_request({}));
  const auto answer = wire.receive();
  expect_type(answer, MessageType::kError);
  EXPECT_EQ(answer->header.value, 19);
  EXPECT_FALSE(wire.receive());
  EXPECT_TRUE(ended_with_tls_fault());
}

TEST_F(TlsSessions, ClientCertificatesAreAskedForWithACa) {
  SessionsConfig config = rpcaps(sensor_.port());
  config.tls.ca_file = ca_file_;
  ASSERT_TRUE(start(config));
  {
    const auto nameless = sensor_client();
    Wire wire(sensor_.accept());
    static_cast<void>(wire.begin_tls(nameless.get(), true));  // TLS 1.3 tells a client later
    wire.send(rpcap::encode_auth_request({}));
    EXPECT_FALSE(wire.receive());
    EXPECT_TRUE(ended_with_tls_fault());
  }
  const Files own = write("client", testing_support::make_leaf(ca_, {"DNS:sensor"}));
  const auto known = sensor_client(&own);
  Wire wire(sensor_.accept());
  ASSERT_TRUE(wire.begin_tls(known.get(), true));
  open_interface(wire);
}

TEST_F(TlsSessions, TheTapAsClientVerifiesTheSensor) {
  ASSERT_TRUE(start(as_client(sensor_.port())));
  const auto context = sensor_server("IP:127.0.0.1");
  Wire wire(sensor_.accept());
  ASSERT_TRUE(wire.begin_tls(context.get(), false));
  open_interface(wire);
  const LocalSocket listener(SOCK_STREAM);
  expect_type(wire.ask(start_request(0, listener.port())), MessageType::kStartCaptureReply);
  Wire data(listener.accept());
  ASSERT_TRUE(data.begin_tls(context.get(), false));
  ASSERT_TRUE(control_.wait_for_captures(1));
  control_.send_packet("secret");
  expect_type(data.receive(), MessageType::kPacket);
}

TEST_F(TlsSessions, TheTapAsClientRefusesAnotherName) {
  ASSERT_TRUE(start(as_client(sensor_.port())));
  const auto context = sensor_server("DNS:elsewhere");
  Wire wire(sensor_.accept());
  EXPECT_FALSE(wire.begin_tls(context.get(), false));
  EXPECT_FALSE(wire.receive());
  EXPECT_TRUE(ended_with_tls_fault());
}

TEST_F(TlsSessions, TheRegistrysCasVerifyTheSensorAndFollowItsRotation) {
  SessionsConfig config = as_client(sensor_.port());
  config.tls.role = TlsRole::kRegistry;
  config.tls.ca_file.clear();
  // The sessions outlive this function and the fixture's members.
  const auto rotated = std::make_shared<std::atomic<bool>>(false);
  const std::string another = testing_support::make_ca("another CA").certificate;
  config.registry_ca = [rotated, another, right = ca_.certificate] {
    return another + "\n" + (*rotated ? right : std::string());
  };
  ASSERT_TRUE(start(config));
  const auto context = sensor_server("IP:127.0.0.1");
  {
    Wire wire(sensor_.accept());
    EXPECT_FALSE(wire.begin_tls(context.get(), false)) << "of no CA that the tap knows";
    EXPECT_FALSE(wire.receive());
    *rotated = true;
  }
  // A dial may have begun before.
  for (int tries = 0; tries < 3; ++tries) {
    Wire wire(sensor_.accept());
    if (!wire.begin_tls(context.get(), false)) continue;
    open_interface(wire);
    return;
  }
  FAIL() << "the new CA is not taken up";
}

TEST_F(TlsSessions, TheNameToAskForCanBeConfigured) {
  SessionsConfig config = as_client(sensor_.port());
  config.tls.server_name = "sensor.example";
  ASSERT_TRUE(start(config));
  const auto context = sensor_server("DNS:sensor.example");
  Wire wire(sensor_.accept());
  ASSERT_TRUE(wire.begin_tls(context.get(), false));
  EXPECT_STREQ(SSL_get_servername(wire.tls(), TLSEXT_NAMETYPE_host_name), "sensor.example");
  open_interface(wire);
}

TEST_F(TlsSessions, RenewedFilesAreUsedAtTheNextDial) {
  SessionsConfig config = rpcaps(sensor_.port());
  ASSERT_TRUE(start(config));
  const auto context = sensor_client();
  {
    Wire wire(sensor_.accept());
    ASSERT_TRUE(wire.begin_tls(context.get(), true, "tap"));
    write("tap", testing_support::make_leaf(ca_, {"DNS:renewed"}));
  }
  Wire wire(sensor_.accept());
  ASSERT_TRUE(wire.begin_tls(context.get(), true, "renewed"));
}

TEST_F(TlsSessions, FilesThatAreWrongAreNamedAtTheStart) {
  SessionsConfig config = rpcaps(sensor_.port());
  config.tls.key_file = "/nowhere/tap.key";
  const auto started = start(config);
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().text, HasSubstr("key file /nowhere/tap.key"));
}

TEST_F(TlsSessions, ASensorThatNeverBeginsItsHandshakeIsGivenUp) {
  SessionsConfig config = rpcaps(sensor_.port());
  config.message_timeout = std::chrono::milliseconds(100);
  ASSERT_TRUE(start(config));
  Wire silent(sensor_.accept());
  EXPECT_FALSE(silent.receive());
  EXPECT_TRUE(ended_with_tls_fault());
}

}  // namespace
}  // namespace sidetap::session
