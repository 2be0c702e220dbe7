// A ledger whose clock counts seconds, and what it says in short texts.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/addresses.h"
#include "webhook/identity/ledger.h"

namespace sidetap::webhook::identity {

/// So many seconds after some day.
inline Time at(std::int64_t seconds) {
  return Time(std::chrono::milliseconds(1'700'000'000'000)) + std::chrono::seconds(seconds);
}

/// Its UID is the name.
inline Pod pod(const std::string& name) { return {"shop", name, name, "n1"}; }

/// "web-1 10-20"; "web-1 10-" while it goes on.
inline std::string short_text(const Tenure& tenure) {
  const auto seconds = [](Time time) {
    return std::to_string(std::chrono::floor<std::chrono::seconds>(time - at(0)).count());
  };
  return tenure.pod->uid + " " + seconds(tenure.from) + "-" +
         (tenure.to ? seconds(*tenure.to) : "");
}

/// "held web-1 10-", "uncertain, after web-1 10-20, before web-2 30-", "unknown".
inline std::string short_text(const Answer& answer) {
  if (answer.is(Answer::Kind::kHeld)) return "held " + short_text(*answer.holder);
  if (answer.is(Answer::Kind::kUnknown)) return "unknown";
  return "uncertain" + (answer.last ? ", after " + short_text(*answer.last) : "") +
         (answer.next ? ", before " + short_text(*answer.next) : "");
}

inline std::vector<std::string> short_texts(const std::vector<Tenure>& tenures) {
  std::vector<std::string> texts;
  for (const Tenure& tenure : tenures)
    texts.push_back(tenure.address.to_string() + " " + short_text(tenure));
  return texts;
}

class LedgerTest : public testing::Test {
 protected:
  /// A connection of the pod proves the address, and no other.
  static void prove(Ledger& ledger, ConnectionId connection, const std::string& name,
                    const net::IpAddress& address, std::int64_t now) {
    ledger.update(connection, pod(name), {address}, at(now));
  }
  static void end(Ledger& ledger, ConnectionId connection, std::int64_t now) {
    ledger.end(connection, at(now), at(now));
  }
  static std::string ask(const Ledger& ledger, const net::IpAddress& address, std::int64_t time) {
    return short_text(ledger.ask(address, at(time)));
  }
  const net::IpAddress a_ = ip("10.0.0.1"), b_ = ip("10.0.0.2"), c_ = ip("fd00::3");
};

}  // namespace sidetap::webhook::identity
