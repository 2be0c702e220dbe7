// A TCP connection to a tap, plain or TLS, as coroutines. Errors are boost::system::system_error.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include "shared/rpcap/codec.h"
#include "tests/sensor/options.h"

namespace sidetap::sensor {

class Stream {
 public:
  virtual ~Stream() = default;
  virtual boost::asio::awaitable<void> read(std::span<std::byte> all) = 0;
  virtual boost::asio::awaitable<std::size_t> read_some(std::span<std::byte> into) = 0;
  virtual boost::asio::awaitable<void> write(std::span<const std::byte> all) = 0;
  virtual boost::asio::ip::tcp::socket& socket() = 0;
};

struct Message {
  rpcap::Header header;
  rpcap::Bytes payload;
};
boost::asio::awaitable<Message> read_message(Stream& stream);

/// Create it once. Null if the options disable TLS. Throws what is wrong with the files.
std::shared_ptr<boost::asio::ssl::context> make_tls(const Options& options);

/// Performs the handshake if `tls` is not null.
boost::asio::awaitable<std::unique_ptr<Stream>> open_stream(
    boost::asio::ip::tcp::socket socket, std::shared_ptr<boost::asio::ssl::context> tls,
    const Options& options);

}  // namespace sidetap::sensor
