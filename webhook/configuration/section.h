// Reads one mapping of the configuration file strictly.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/config/parsers.h"
#include "shared/result.h"
#include "shared/yaml/documents.h"

namespace sidetap::configuration {

using yaml::shown;
using yaml::Tree;

/// Thrown by Section and caught where the file is read. Holds one line for the operator.
struct Fault {
  std::string text;
};

/// Returns the value to keep; the Error says what is accepted.
using Check = config::Parser<std::string>;
using config::one_of;

/// Reads the keys of a mapping into targets. A target keeps its default if the key is missing or
/// null. Throws Fault at the first value that is not accepted. finish() throws for keys that nobody
/// read.
class Section {
 public:
  /// `path` is the mapping's place in the file ("sidecar.resources"), empty at the top. `lines`, if
  /// given, supplies the line numbers in faults. `tree` and `lines` must outlive the section.
  Section(const Tree& tree, std::string file, std::string path, const yaml::Lines* lines = nullptr);

  void text(std::string_view key, std::string& into, const Check& check = {});
  /// A list of texts, or one comma-separated text. `into` receives the comma-separated text,
  /// checked as a whole.
  void list(std::string_view key, std::string& into, const Check& check);
  std::optional<std::vector<std::string>> texts(std::string_view key, const Check& check = {});
  void number(std::string_view key, std::uint32_t& into, std::uint32_t least, std::uint32_t most);
  void number(std::string_view key, std::uint64_t& into, std::uint64_t least, std::uint64_t most);
  void boolean(std::string_view key, bool& into);
  std::optional<Section> section(std::string_view key);
  /// A list of mappings.
  std::vector<Section> section_list(std::string_view key);
  /// A mapping, or a list of them.
  std::vector<Section> sections(std::string_view key);
  /// The unchecked value, for keys with rules of their own; null if there is none.
  const Tree* take(std::string_view key);
  /// Visits every member.
  void each(const std::function<void(const std::string& key, const Tree& value)>& visit);
  void finish();

  /// An empty `key` stands for the mapping itself.
  [[noreturn]] void fail(std::string_view key, const std::string& value,
                         const std::string& accepted) const;

 private:
  std::string place(std::string_view key) const;
  /// " (line 7)" for a place; empty if the line is unknown.
  std::string line_of(const std::string& place) const;
  std::string scalar_text(std::string_view key, const Tree& value) const;
  std::string checked(std::string_view key, const std::string& text, const Check& check) const;

  const Tree* tree_;
  std::string file_;
  std::string path_;
  const yaml::Lines* lines_;
  std::vector<std::string> known_;
};

}  // namespace sidetap::configuration
