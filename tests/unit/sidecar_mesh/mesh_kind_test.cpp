#include "sidecar/mesh/mesh_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_mesh/mesh_fixture.h"

namespace sidetap::mesh {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(MeshKind, IsToldByTheProxysPorts) {
  EXPECT_EQ(istio().kind, Kind::kIstio);
  EXPECT_EQ(ambient().kind, Kind::kAmbient);
  EXPECT_EQ(linkerd().kind, Kind::kLinkerd);
  EXPECT_EQ(consul().kind, Kind::kEnvoy);
  EXPECT_EQ(find_mesh({}, listeners_of({15001, 15006, 15010}, 5678)).kind, Kind::kEnvoy) << "Kuma";
  EXPECT_EQ(find_mesh({}, listeners_of({15006, 15008, 15021})).kind, Kind::kIstio)
      << "its sidecar may take HBONE too";
}

TEST(MeshKind, IsNoneWithoutAProxy) {
  EXPECT_EQ(find_mesh({}, listeners_of({})), Mesh());
  EXPECT_EQ(find_mesh({}, listeners_of({20000})), Mesh()) << "an application's port";
  EXPECT_EQ(find_mesh({.kind = Kind::kIstio}, listeners_of({})), Mesh())
      << "the proxy has not started yet";
  EXPECT_EQ(find_mesh({}, {}), Mesh());
}

TEST(MeshKind, KnowsTheApplicationsPortsFromTheProxys) {
  EXPECT_THAT(istio().application_ports, ElementsAre(5432, 8080));
  EXPECT_THAT(istio().users, ElementsAre(kProxyUser));
  EXPECT_TRUE(istio().is_proxy_port(15020));
  // The proxy's user listens on a port that no table knows.
  auto listeners = listeners_of({15001, 15006, 15021});
  listeners.push_back({ip("127.0.0.1"), 7777, kProxyUser});
  EXPECT_THAT(find_mesh({}, listeners).application_ports, ElementsAre(5432, 8080));
  // The tap's own port.
  listeners.push_back({ip("::"), 15920, 0});
  EXPECT_THAT(find_mesh({.excluded = {15920}}, listeners).application_ports,
              ElementsAre(5432, 8080));
}

TEST(MeshKind, ProxiesThatAreRootAreNotToldByTheirUser) {
  EXPECT_THAT(ambient().users, IsEmpty());
  auto listeners = listeners_of({15001, 15006, 15008}, 0);
  listeners.push_back({ip("0.0.0.0"), 80, 0});
  EXPECT_THAT(find_mesh({}, listeners).application_ports, ElementsAre(80, 5432, 8080));
}

TEST(MeshKind, APortOfAnotherMeshIsTheApplications) {
  auto listeners = listeners_of({15001, 15006}, 5678);
  listeners.push_back({ip("0.0.0.0"), 20'000, kAppUser});
  const Mesh kuma = find_mesh({}, listeners);
  EXPECT_THAT(kuma.users, ElementsAre(5678U));
  EXPECT_TRUE(kuma.is_application_port(20'000));
}

TEST(MeshKind, TakesMorePortsFromTheOperator) {
  const Mesh mesh = find_mesh({.kind = Kind::kEnvoy, .ports = {10'000}}, listeners_of({10'000}, 7));
  EXPECT_EQ(mesh.kind, Kind::kEnvoy);
  EXPECT_TRUE(mesh.is_proxy_user(7));
  EXPECT_FALSE(mesh.is_application_port(10'000));
}

TEST(MeshKind, KnowsThePortsThatTakeAnyConnection) {
  EXPECT_TRUE(ambient().is_tunnel(15008));
  EXPECT_TRUE(linkerd().is_tunnel(4143));
  EXPECT_TRUE(consul().is_tunnel(20'000));
  EXPECT_FALSE(istio().is_tunnel(15006)) << "clients name the application's port";
}

}  // namespace
}  // namespace sidetap::mesh
