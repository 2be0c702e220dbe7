// What taps hear of Services, also while their backends end.
#include "tests/unit/webhook_registry/server_fixture.h"

namespace sidetap::webhook::registry {
namespace {

TEST_F(RegistryServer, TapsLearnOfServicesTogetherWithTheirBackends) {
  serve_with_services([](const http::HttpRequest& request) {
    const std::string_view target = request.target;
    std::string body = R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":
            {"name":"web","namespace":"shop"},"spec":{"clusterIPs":["10.96.0.1"]}}]})";
    if (target.find("endpointslices") != target.npos)
      body = R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"web-1",
              "namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},
              "addressType":"IPv4","endpoints":[{"addresses":["10.0.0.2"]}]}]})";
    // A watch that tells nothing.
    if (target.find("watch=1") != target.npos) body.clear();
    return http::HttpAnswer{200, "application/json", {}, body};
  });
  const auto client = tap({ip("10.0.0.1")});
  const auto backend = tap({ip("10.0.0.2")});
  EXPECT_TRUE(client->sees({}, Addresses{}));
  backend->forward(true);
  EXPECT_TRUE(client->sees({ip("10.0.0.2")}, Addresses{ip("10.96.0.1")}));
  EXPECT_TRUE(shows("sidetap_registry_services{backends=\"tapped\"} 1"));
  backend->forward(false);
  EXPECT_TRUE(client->sees({}, Addresses{}));
  EXPECT_TRUE(shows("sidetap_registry_services{backends=\"untapped\"} 1"));
}

TEST_F(RegistryServer, ShowsHowMuchOfEachListIsPublished) {
  serve_with_services([](const http::HttpRequest& request) {
    const std::string_view target = request.target;
    std::string body = R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":
            {"name":"web","namespace":"shop"},"spec":{"clusterIPs":["10.96.0.1"],
            "ports":[{"port":80,"nodePort":30080}]}}]})";
    if (target.find("nodes") != target.npos)
      body = R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"a"},
              "status":{"addresses":[{"type":"InternalIP","address":"172.18.0.1"}]}}]})";
    if (target.find("endpointslices") != target.npos)
      body = R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"web-1",
              "namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},
              "addressType":"IPv4","ports":[{"port":8080}],
              "endpoints":[{"addresses":["10.0.0.2"]}]}]})";
    if (target.find("watch=1") != target.npos) body.clear();  // a watch that tells nothing
    return http::HttpAnswer{200, "application/json", {}, body};
  });
  const auto backend = tap({ip("10.0.0.2")});
  backend->forward(true);
  for (const char* list : {"taps", "services", "nodes", "server_ports", "front_ends"}) {
    EXPECT_TRUE(shows("sidetap_registry_published{list=\"" + std::string(list) + "\"} 1")) << list;
    EXPECT_TRUE(shows("sidetap_registry_left_out{list=\"" + std::string(list) + "\"} 0")) << list;
  }
  for (const char* list : {"older", "client_owned"})
    EXPECT_TRUE(shows("sidetap_registry_published{list=\"" + std::string(list) + "\"} 0")) << list;
}

TEST_F(RegistryServer, WhatIsNotKnownOfServicesIsAnEmptyList) {
  serve_with_services([](const http::HttpRequest&) {
    return http::HttpAnswer{500, "application/json", {}, "{}"};
  });
  const auto client = tap({ip("10.0.0.1")});
  EXPECT_TRUE(client->sees({}, Addresses{}));
  const auto backend = tap({ip("10.0.0.2")});
  backend->forward(true);
  EXPECT_TRUE(client->sees({ip("10.0.0.2")}, Addresses{}));
}

/// One Service: 10.0.0.2 is ready, 10.0.0.3 has been told to end.
http::HttpAnswer scaling_down(const http::HttpRequest& request) {
  const std::string_view target = request.target;
  std::string body = R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":
          {"name":"web","namespace":"shop"},"spec":{"clusterIPs":["10.96.0.1"]}}]})";
  if (target.find("endpointslices") != target.npos)
    body = R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"web-1",
            "namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},
            "addressType":"IPv4","endpoints":[{"addresses":["10.0.0.2"]},
              {"addresses":["10.0.0.3"],"conditions":{"ready":false,"terminating":true}}]}]})";
  if (target.find("watch=1") != target.npos) body.clear();  // a watch that tells nothing
  return {200, "application/json", {}, body};
}

class ScaleDownServer : public RegistryServer {
 protected:
  /// What the client sees when the tap of the ending backend has left.
  void leave(bool ends_last, const Addresses& services) {
    serve_with_services(scaling_down);
    const auto client = tap({ip("10.0.0.1")});
    const auto stays = tap({ip("10.0.0.2")});
    ends_last_ = ends_last;
    const auto ends = tap({ip("10.0.0.3")});
    stays->forward(true);
    ends->forward(true);
    EXPECT_TRUE(client->sees({ip("10.0.0.2"), ip("10.0.0.3")}, Addresses{ip("10.96.0.1")}));
    ends->leave();
    EXPECT_TRUE(client->sees({ip("10.0.0.2")}, services));
    ends->end();
    EXPECT_TRUE(shows("sidetap_registry_taps{state=\"forwarding\"} 1"));
    EXPECT_TRUE(client->sees({ip("10.0.0.2")}, services));
  }
};

TEST_F(ScaleDownServer, AViewStaysDroppedWhenThePodOfATapThatLeavesHasEnded) {
  leave(true, {ip("10.96.0.1")});
}

TEST_F(ScaleDownServer, AViewAppearsWhileTheApplicationMayOutliveItsTap) { leave(false, {}); }

}  // namespace
}  // namespace sidetap::webhook::registry
