// The log: one line per event on standard error, as text for people or as JSON for machines.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sidetap::telemetry {

enum class LogFormat { kText, kJson };
enum class LogLevel { kDebug, kInfo, kWarn, kError };

/// The words by which operators name them. In this form, options take them (config::word).
std::vector<std::pair<std::string, LogFormat>> log_format_words();
std::vector<std::pair<std::string, LogLevel>> log_level_words();

/// Sets up the process-wide logger; call once, before threads start. Until then text at level info.
void init_log(LogFormat format, LogLevel level);

/// A named value of an event. The log escapes strings.
struct Field {
  std::string_view key;
  std::variant<std::string, std::int64_t, std::uint64_t, double, bool> value;

  Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, std::string_view v) : key(k), value(std::string(v)) {}
  Field(std::string_view k, const char* v) : key(k), value(std::string(v)) {}
  Field(std::string_view k, bool v) : key(k), value(v) {}
  Field(std::string_view k, double v) : key(k), value(v) {}
  template <typename T>
  requires std::is_integral_v<T> Field(std::string_view k, T v) : key(k) {
    if constexpr (std::is_signed_v<T>) {
      value = static_cast<std::int64_t>(v);
    } else {
      value = static_cast<std::uint64_t>(v);
    }
  }
};

/// Any thread. `message` is a constant sentence; what varies goes into fields.
void log(LogLevel level, std::string_view message, std::initializer_list<Field> fields = {});
void log(LogLevel level, std::string_view message, const std::vector<Field>& fields);

inline void debug(std::string_view m, std::initializer_list<Field> f = {}) {
  log(LogLevel::kDebug, m, f);
}
inline void info(std::string_view m, std::initializer_list<Field> f = {}) {
  log(LogLevel::kInfo, m, f);
}
inline void warn(std::string_view m, std::initializer_list<Field> f = {}) {
  log(LogLevel::kWarn, m, f);
}
inline void error(std::string_view m, std::initializer_list<Field> f = {}) {
  log(LogLevel::kError, m, f);
}

}  // namespace sidetap::telemetry
