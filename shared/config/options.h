// Options of a program: each declared once, with its flag, environment variable, default and check.
//
// Precedence: flag, then environment variable, then default. An empty environment variable counts
// as unset. The help text, the error lines and the operator's table of options
// (deploy/docs/options.md) are generated from the declaration.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/config/parsers.h"
#include "shared/result.h"

namespace sidetap::config {

/// Its texts must outlive it; use literals.
struct OptionSpec {
  std::string_view flag;           ///< "--snaplen"; required.
  std::string_view env = {};       ///< "SNAPLEN". Empty: none.
  std::string_view value = {};     ///< Name of the value in the help, "BYTES". Empty: a switch.
  std::string_view fallback = {};  ///< Parsed like any value. Empty: target kept.
  std::string_view help = {};      ///< One sentence, with the unit.
  bool required = false;
  friend bool operator==(const OptionSpec&, const OptionSpec&) = default;
};

/// The outcome of parsing a command line.
enum class ParseResult {
  kRun,    ///< Options are set; continue.
  kHelp,   ///< Help was asked for and printed; exit 0.
  kError,  ///< One line was printed on standard error; exit 2.
};

class OptionSet {
 public:
  using Environment = std::function<std::optional<std::string>(const std::string&)>;

  /// `program` as typed ("sidetap-sidecar run"); `summary` one sentence.
  OptionSet(std::string program, std::string summary);

  /// `target` is written by parse() and must outlive it.
  template <typename T>
  void add(const OptionSpec& spec, Parser<T> parser, T& target) {
    add_raw(spec, [parser = std::move(parser), &target](std::string_view text) {
      auto value = parser(text);
      if (!value) return std::optional<std::string>(value.error().text);
      target = std::move(*value);
      return std::optional<std::string>();
    });
  }
  /// A flag without a value; the environment variable takes true or false.
  void add_switch(OptionSpec spec, bool& target);

  /// Parses `arguments` (without the program's name) into the targets. Prints help to standard
  /// output, or one line to standard error that names the option, the value, where it was set, and
  /// what is accepted.
  ParseResult parse(std::span<const char* const> arguments, const Environment& environment);
  /// The same without printing. The Error holds the error line. With `only`, the options for which
  /// it returns false keep their targets, whatever their values are.
  Result<ParseResult> try_parse(std::span<const char* const> arguments,
                                const Environment& environment,
                                const std::function<bool(const OptionSpec&)>& only = {});

  std::string help() const;
  /// In the order of declaration. The operator's page is generated from this table.
  const std::vector<OptionSpec>& specs() const { return specs_; }

 private:
  using Setter = std::function<std::optional<std::string>(std::string_view)>;
  void add_raw(const OptionSpec& spec, Setter setter);

  std::string program_;
  std::string summary_;
  std::vector<OptionSpec> specs_;
  std::vector<Setter> setters_;
};

/// The process environment.
std::optional<std::string> process_environment(const std::string& name);

}  // namespace sidetap::config
