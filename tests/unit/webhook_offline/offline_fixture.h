// Runs inject and explain on manifests in a folder of their own.
#pragma once

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "shared/yaml/documents.h"
#include "webhook/offline/commands.h"

namespace sidetap::offline {

class Offline : public testing::Test {
 protected:
  Offline() : folder_(testing::TempDir() + "sidetap-offline-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_);
    write("config.yaml",
          "sensor: {address: 10.10.10.10}\n"
          "subnets: {pods: [10.244.0.0/16], services: [10.96.0.0/12]}\n"
          "injection: {serverVersion: v1.36.1}\n");
  }
  ~Offline() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << text;
    return folder_ + "/" + name;
  }
  using Command = int (*)(std::span<const char* const>);
  int run(Command command, const std::string& manifests, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"-f", write("in.yaml", manifests), "--config",
                                      folder_ + "/config.yaml"};
    words.insert(words.end(), more.begin(), more.end());
    return run_with(command, words);
  }
  int run_with(Command command, const std::vector<std::string>& words) {
    std::vector<const char*> arguments;
    for (const std::string& word : words) arguments.push_back(word.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = command(arguments);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return status;
  }
  std::vector<yaml::Tree> trees() const { return trees_of(out_); }
  static std::vector<yaml::Tree> trees_of(const std::string& text) {
    const auto documents = yaml::read_documents(text, yaml::Repeated::kRefuse);
    EXPECT_TRUE(documents) << text;
    std::vector<yaml::Tree> trees;
    if (!documents) return trees;
    for (const yaml::Document& document : documents->all) {
      EXPECT_EQ(document.fault, "") << text;
      trees.push_back(document.tree);
    }
    return trees;
  }

  std::string folder_;
  std::string out_;
  std::string err_;
};

inline constexpr auto kManifests = R"(# a shop
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ports: [{port: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: web:1
        env:
        - {name: DEBUG, value: "on"}
        - {name: RATE, value: "1.50"}
---
apiVersion: v1
kind: Pod
metadata: {name: alone, annotations: {sidetap.io/inject: "false"}}
spec:
  containers: [{name: a, image: b}]
)";

}  // namespace sidetap::offline
