// Options of a program: each declared once, with its flag, environment variable, file key, default
// and check.
//
// Precedence: flag, then environment variable, then configuration file, then default. An
// environment variable that is set to nothing counts as not set. The help text and the error lines
// follow from the declaration.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/net/cidr.h"
#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap::config {

/// Turns an option's text into its value. On failure the Error's text says what is accepted, for
/// example "a number from 64 to 262144 (bytes)"; OptionSet puts the option's name and the value
/// before it.
template <typename T>
using Parser = std::function<Result<T>(std::string_view)>;

struct OptionSpec {
  std::string flag;           ///< "--snaplen"; required.
  std::string env = {};       ///< "SNAPLEN"; empty: none.
  std::string key = {};       ///< Key in the configuration file; empty: none.
  std::string value = {};     ///< Name of the value in the help, "BYTES". Empty: a switch.
  std::string fallback = {};  ///< Default as text, parsed like any value. Empty: value untouched.
  std::string help = {};      ///< One sentence, with the unit.
  bool required = false;
};

/// What a command line came to.
enum class ParseResult {
  kRun,    ///< Options are set; go on.
  kHelp,   ///< Help was asked for and printed; exit 0.
  kError,  ///< One line was printed on standard error; exit 2.
};

class OptionSet {
 public:
  using Environment = std::function<std::optional<std::string>(const std::string&)>;
  using FileValues = std::map<std::string, std::string>;

  /// `program` as typed ("sidetap-sidecar run"); `summary` one sentence.
  OptionSet(std::string program, std::string summary);

  /// `target` is written by parse() and must outlive it.
  template <typename T>
  void add(OptionSpec spec, Parser<T> parser, T& target) {
    add_raw(std::move(spec), [parser = std::move(parser), &target](std::string_view text) {
      auto value = parser(text);
      if (!value) return std::optional<std::string>(value.error().text);
      target = std::move(*value);
      return std::optional<std::string>();
    });
  }
  /// A flag without a value; the environment variable and file key take true or false.
  void add_switch(OptionSpec spec, bool& target);

  /// Parses `arguments` (without the program's name) into the targets. Prints help to standard
  /// output, or one error line to standard error: the option, the value, where it was set, and what
  /// is accepted.
  ParseResult parse(std::span<const char* const> arguments, const Environment& environment,
                    const FileValues& file = {});
  /// The same without printing: the error line, for tests and for callers without a terminal.
  Result<ParseResult> try_parse(std::span<const char* const> arguments,
                                const Environment& environment, const FileValues& file = {});

  std::string help() const;
  const std::vector<OptionSpec>& specs() const { return specs_; }
  /// Was it set by flag, environment or file (and not left at its default)? For options whose
  /// presence counts. Valid after parse().
  bool is_set(std::string_view flag) const;

 private:
  using Setter = std::function<std::optional<std::string>(std::string_view)>;
  void add_raw(OptionSpec spec, Setter setter);

  std::string program_;
  std::string summary_;
  std::vector<OptionSpec> specs_;
  std::vector<Setter> setters_;
  std::vector<bool> set_;
};

/// The process environment.
std::optional<std::string> process_environment(const std::string& name);

// Parsers for the kinds of values that options have.
Parser<std::string> any_text();
Parser<std::string> one_of(std::vector<std::string> accepted);
/// One of the words, as what it stands for.
template <typename T>
Parser<T> word(std::vector<std::pair<std::string, T>> words) {
  return [words = std::move(words)](std::string_view text) -> Result<T> {
    std::string accepted;
    for (const auto& [name, value] : words) {
      if (text == name) return value;
      accepted += (accepted.empty() ? "" : ", ") + name;
    }
    return Error{accepted};
  };
}
/// Decimal; `unit` is named in the error line.
template <typename T>
Parser<T> number(T least, T most, std::string unit);
/// "64K", "8M", "1G" (powers of 1024) or plain bytes.
Parser<std::uint64_t> byte_size(std::uint64_t least, std::uint64_t most);
/// "250ms", "10s", "5m", "1h"; a bare number is seconds. In milliseconds.
Parser<std::int64_t> duration_ms(std::int64_t least, std::int64_t most);
Parser<std::vector<net::Cidr>> cidr_list();
Parser<std::vector<net::IpAddress>> address_list();
/// Where to dial. A default port of 0: the port is required.
Parser<net::HostPort> host_port(std::uint16_t default_port = 0);
/// Where to listen: no host stands for every address.
Parser<net::HostPort> listen_address(std::uint16_t default_port = 0);
/// The same, for an option that has no value unless it is given.
Parser<std::optional<net::HostPort>> optional_listen_address();
/// Places to dial, as they are written: repetitions too.
Parser<std::vector<net::HostPort>> host_port_list(std::uint16_t default_port, std::size_t most);
/// A file that exists and can be read. The value is its path.
Parser<std::string> readable_file();

}  // namespace sidetap::config
