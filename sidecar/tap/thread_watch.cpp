#include "sidecar/tap/thread_watch.h"

#include "shared/telemetry/log.h"

namespace sidetap {
namespace {

// A capture thread makes two turns a second when nothing passes.
constexpr std::chrono::seconds kLookAtThreadsEvery{5};

}  // namespace

void ThreadWatch::start(const std::vector<CaptureLoop*>& loops) {
  for (CaptureLoop* loop : loops) rows_.push_back({loop, Heartbeat(config_)});
  look_again();
}

void ThreadWatch::look_again() {
  look(Heartbeat::Time::clock::now());
  timer_.expires_after(kLookAtThreadsEvery);
  timer_.async_wait([this](const boost::system::error_code& stopped) {
    if (!stopped && !rows_.empty()) look_again();
  });
}

void ThreadWatch::look(Heartbeat::Time now) {
  for (Row& row : rows_) look_at(row, now);
}

void ThreadWatch::look_at(Row& row, Heartbeat::Time now) {
  using State = Heartbeat::State;
  const State before = row.heartbeat.state();
  const State state = row.heartbeat.look(now, row.loop->turns());
  if (state == before) return;
  switch (state) {
    case State::kAlive:
      if (before == State::kHangs)
        telemetry::info("the capture thread goes on", {{"interface", row.loop->name()}});
      break;
    case State::kSilent:
      // It wakes by itself, so this is only to leave it no reason. Once, because what is asked of a
      // thread that hangs piles up.
      row.loop->settle({});
      break;
    case State::kHangs:
      telemetry::error(
          "the capture thread hangs: nothing is captured, and /healthz fails",
          {{"interface", row.loop->name()},
           {"seconds", std::chrono::duration_cast<std::chrono::seconds>(config_.silence).count()}});
      break;
  }
}

std::string ThreadWatch::fault() const {
  std::string names;
  for (const Row& row : rows_) {
    if (row.heartbeat.state() != Heartbeat::State::kHangs) continue;
    names += (names.empty() ? "" : ", ") + row.loop->name();
  }
  return names.empty() ? names : "the capture thread hangs: interface " + names;
}

}  // namespace sidetap
