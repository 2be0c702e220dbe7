#include "sidecar/system/socket_owners.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/net/unique_fd.h"
#include "tests/support/addresses.h"

namespace sidetap {
namespace {

/// Both ends of a connection on the loopback interface.
struct OwnConnection {
  net::UniqueFd listener, client, server;
  std::uint16_t listener_port = 0, client_port = 0;
};

std::uint16_t local_port_of(int descriptor) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  EXPECT_EQ(::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

OwnConnection connect_to_self() {
  OwnConnection made;
  made.listener.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(made.listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(made.listener.get(), 1), 0);
  made.listener_port = local_port_of(made.listener.get());
  address.sin_port = htons(made.listener_port);
  made.client.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(made.client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  made.server.reset(::accept(made.listener.get(), nullptr, nullptr));
  made.client_port = local_port_of(made.client.get());
  return made;
}

mesh::SocketEnds ends_of(const OwnConnection& connection) {
  return {ip("127.0.0.1"), connection.client_port, ip("127.0.0.1"), connection.listener_port};
}

TEST(SocketOwners, TellsWhoListens) {
  const OwnConnection connection = connect_to_self();
  KernelSocketOwners owners;
  const auto listeners = owners.listeners();
  ASSERT_TRUE(listeners) << listeners.error().text;
  const mesh::Listener wanted{ip("127.0.0.1"), connection.listener_port,
                              static_cast<std::uint32_t>(::getuid())};
  EXPECT_NE(std::find(listeners->begin(), listeners->end(), wanted), listeners->end());
}

TEST(SocketOwners, TellsWhoHasEachEndOfAConnection) {
  const OwnConnection connection = connect_to_self();
  KernelSocketOwners owners;
  const mesh::SocketEnds client = ends_of(connection);
  const mesh::SocketEnds server{client.remote, client.remote_port, client.local, client.local_port};
  EXPECT_EQ(owners.owner_of(client), static_cast<std::uint32_t>(::getuid()));
  EXPECT_EQ(owners.owner_of(server), static_cast<std::uint32_t>(::getuid()));
  EXPECT_TRUE(owners.has_socket(server));
}

TEST(SocketOwners, KnowsNobodyForAConnectionThatIsNotThere) {
  const OwnConnection connection = connect_to_self();
  KernelSocketOwners owners;
  mesh::SocketEnds other = ends_of(connection);
  std::swap(other.local_port, other.remote_port);
  other.remote_port = 1;  // the kernel knows who listens, but not this client
  EXPECT_EQ(owners.owner_of(other), std::nullopt);
  EXPECT_FALSE(owners.has_socket(other));
}

TEST(SocketOwners, KnowsNobodyForAClosedEnd) {
  OwnConnection connection = connect_to_self();
  KernelSocketOwners owners;
  connection.client.reset();
  EXPECT_EQ(owners.owner_of(ends_of(connection)), std::nullopt);
  EXPECT_TRUE(owners.has_socket(ends_of(connection))) << "it waits for the other end";
}

TEST(SocketFacts, AreNotReadFromLess) {
  EXPECT_FALSE(read_socket_facts({}));
  const std::vector<std::byte> zeros(200);
  EXPECT_FALSE(read_socket_facts(zeros)) << "of no family";
}

}  // namespace
}  // namespace sidetap
