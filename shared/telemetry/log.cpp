#include "shared/telemetry/log.h"

#include <atomic>

#include <nlohmann/json.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace sidetap::telemetry {
namespace {

std::atomic<LogFormat> log_format{LogFormat::kText};

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

nlohmann::ordered_json to_json(const Field& field) {
  return std::visit([](const auto& value) { return nlohmann::ordered_json(value); }, field.value);
}

/// Replaces invalid UTF-8 (for example in a name from the network), which would otherwise throw.
std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

template <typename Fields>
void write(LogLevel level, std::string_view message, const Fields& fields) {
  spdlog::logger* logger = spdlog::default_logger_raw();
  if (!logger->should_log(to_spdlog(level))) return;
  std::string line;
  if (log_format == LogFormat::kJson) {
    // The pattern opens the object with time and level; see init_log.
    line = "\"message\":" + dump(std::string(message));
    for (const Field& field : fields) {
      line += "," + dump(std::string(field.key)) + ":" + dump(to_json(field));
    }
  } else {
    line = message;
    for (const Field& field : fields) {
      line += " ";
      line += field.key;
      line += "=";
      line += dump(to_json(field));
    }
  }
  logger->log(to_spdlog(level), "{}", line);
}

}  // namespace

std::vector<std::pair<std::string, LogFormat>> log_format_words() {
  return {{"text", LogFormat::kText}, {"json", LogFormat::kJson}};
}

std::vector<std::pair<std::string, LogLevel>> log_level_words() {
  return {{"debug", LogLevel::kDebug},
          {"info", LogLevel::kInfo},
          {"warn", LogLevel::kWarn},
          {"error", LogLevel::kError}};
}

void init_log(LogFormat format, LogLevel level) {
  log_format = format;
  auto logger = std::make_shared<spdlog::logger>("sidetap",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern(format == LogFormat::kJson
                          ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                          : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                      spdlog::pattern_time_type::utc);
  logger->set_level(to_spdlog(level));
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void log(LogLevel level, std::string_view message, std::initializer_list<Field> fields) {
  write(level, message, fields);
}

void log(LogLevel level, std::string_view message, const std::vector<Field>& fields) {
  write(level, message, fields);
}

}  // namespace sidetap::telemetry
