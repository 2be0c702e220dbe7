// Streams over TLS, of which OpenSSL holds more than the receiver has asked for.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"
#include "sidecar/collector/tap_receiver.h"
#include "tests/unit/sidecar_collector/packed_packets.h"

namespace sidetap::collector {
namespace {

using TlsContextPtr = std::shared_ptr<SSL_CTX>;

/// Without certificates, which are of no concern here.
TlsContextPtr anonymous(const SSL_METHOD* method) {
  TlsContextPtr context(SSL_CTX_new(method), SSL_CTX_free);
  EXPECT_EQ(SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION), 1);
  EXPECT_EQ(SSL_CTX_set_cipher_list(context.get(), "aNULL:@SECLEVEL=0"), 1);
  // As the collector's own.
  SSL_CTX_set_read_ahead(context.get(), 1);
  return context;
}

struct TlsStream {
  net::UniqueFd socket{};  ///< The collector's end.
  std::shared_ptr<SSL> collector{};
  net::UniqueFd taps_socket{};
  std::shared_ptr<SSL> tap{};
};

TlsStream tls_stream() {
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  const TlsContextPtr server = anonymous(TLS_server_method());
  const TlsContextPtr client = anonymous(TLS_client_method());
  TlsStream stream{.socket = net::UniqueFd(ends[0]),
                   .collector = {SSL_new(server.get()), SSL_free},
                   .taps_socket = net::UniqueFd(ends[1]),
                   .tap = {SSL_new(client.get()), SSL_free}};
  SSL_set_fd(stream.collector.get(), stream.socket.get());
  SSL_set_accept_state(stream.collector.get());
  SSL_set_fd(stream.tap.get(), stream.taps_socket.get());
  SSL_set_connect_state(stream.tap.get());
  bool done = false;
  for (int i = 0; i < 10 && !done; ++i) {
    const int of_tap = SSL_do_handshake(stream.tap.get());
    done = SSL_do_handshake(stream.collector.get()) == 1 && of_tap == 1;
  }
  EXPECT_TRUE(done);
  return stream;
}

TEST(TapReceiverTls, WhoWaitsForTheDescriptorGetsAllThatHasCome) {
  // Depending on how many packets there are, their last ones are in the socket, or OpenSSL has read
  // them already.
  for (std::uint32_t packets = 44; packets <= 68; packets += 4) {
    TapReceiver receiver(ReceiverConfig(), {});
    PacketKeeper keeper;
    TlsStream stream = tls_stream();
    for (std::uint32_t i = 1; i <= packets; ++i) {
      const PacketBytes message = packet_message(i, 1'000);
      std::size_t written = 0;
      ASSERT_EQ(SSL_write_ex(stream.tap.get(), message.data(), message.size(), &written), 1);
    }
    receiver.add_stream(1, std::move(stream.socket), std::move(stream.collector),
                        [](const std::string&) {});
    pollfd waiting{receiver.descriptor(), POLLIN, 0};
    while (poll(&waiting, 1, 0) == 1) receiver.read(keeper, 1);
    EXPECT_EQ(keeper.packets.size(), packets);
  }
}

}  // namespace
}  // namespace sidetap::collector
