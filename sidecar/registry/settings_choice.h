// Which of the replicas' settings a tap follows. Pure: the caller supplies the time.
//
// While the registry's configuration is rolled out, its replicas hold different ones for a while.
// The greatest generation counts at once, so a tap moves to new settings with the first replica
// that has them, and never back. Between equal generations, what is in force stays while a
// connected replica says so, unless a replica changes its word on a running connection: then its
// configuration has changed. A smaller generation counts only if all connected replicas have
// nothing else to say for a while, as after the release was installed anew. While no replica that
// gives settings is connected, what is in force stays.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "shared/registry/messages.h"

namespace sidetap::registry {

class SettingsChoice {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Names one replica; it has one connection at a time.
  using Replica = std::string;

  /// How long every connected replica must say something older before it counts.
  static constexpr std::chrono::milliseconds kPatience{30'000};

  // Each of these returns true if what is in force has changed.

  bool hear(const Replica& replica, Settings settings, Time now);
  /// The replica's connection has ended. One that has said nothing may be named as well.
  bool lost(const Replica& replica, Time now);
  /// Call it at the deadline.
  bool expire(Time now);

  /// When older settings begin to count; nothing while none wait.
  std::optional<Time> deadline() const { return deadline_; }
  /// Nothing until the first replica has given settings.
  const std::optional<Settings>& in_force() const { return in_force_; }

 private:
  bool reconsider(Time now);
  bool take(const Settings& settings);

  std::map<Replica, Settings> said_;  ///< The last word of each connected replica.
  std::optional<Settings> in_force_;
  std::optional<Time> deadline_;
};

}  // namespace sidetap::registry
