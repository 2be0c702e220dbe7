#include "shared/config/options.h"

#include <cstdlib>
#include <iostream>
#include <sstream>

#include <CLI/CLI.hpp>

namespace sidetap::config {
namespace {

bool is_switch(const OptionSpec& spec) { return spec.value.empty(); }

/// The help omits the default of a switch, which is always "false".
std::string described(const OptionSpec& spec) {
  std::string text(spec.help);
  std::string notes;
  const auto note = [&](std::string_view words, std::string_view value = {}) {
    if (!notes.empty()) notes += "; ";
    notes.append(words).append(value);
  };
  if (!spec.fallback.empty()) note("default ", spec.fallback);
  if (spec.required) note("required");
  if (!spec.env.empty()) note("env ", spec.env);
  return notes.empty() ? text : text + " [" + notes + "]";
}

std::optional<std::string> set_bool(std::string_view text, bool& target) {
  if (text == "true" || text == "1" || text == "yes") {
    target = true;
  } else if (text == "false" || text == "0" || text == "no") {
    target = false;
  } else {
    return "true or false";
  }
  return std::nullopt;
}

}  // namespace

OptionSet::OptionSet(std::string program, std::string summary)
    : program_(std::move(program)), summary_(std::move(summary)) {}

void OptionSet::add_raw(const OptionSpec& spec, Setter setter) {
  specs_.push_back(spec);
  setters_.push_back(std::move(setter));
}

void OptionSet::add_switch(OptionSpec spec, bool& target) {
  spec.value = {};
  add_raw(spec, [&target](std::string_view text) { return set_bool(text, target); });
}

Result<ParseResult> OptionSet::try_parse(std::span<const char* const> arguments,
                                         const Environment& environment,
                                         const std::function<bool(const OptionSpec&)>& only) {
  CLI::App app(summary_, program_);
  app.set_help_flag("-h,--help", "Print this help and exit");
  std::vector<std::string> texts(specs_.size());
  std::vector<CLI::Option*> options;
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const std::string flag(specs_[i].flag);
    options.push_back(is_switch(specs_[i])
                          ? app.add_flag(flag)
                          : app.add_option(flag, texts[i])
                                ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast));
  }
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return ParseResult::kHelp;
  } catch (const CLI::ParseError& error) {
    return Error{program_ + ": " + error.what() + " (see --help)"};
  }

  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const OptionSpec& spec = specs_[i];
    if (only && !only(spec)) continue;
    const std::string variable =
        spec.env.empty() ? "" : "environment variable " + std::string(spec.env);
    std::optional<std::string> text;
    std::string origin(spec.flag);
    if (options[i]->count() > 0) text = is_switch(spec) ? "true" : texts[i];
    if (!text && !variable.empty()) {
      text = environment(std::string(spec.env));
      if (text && text->empty()) text.reset();
      if (text) origin = variable;
    }
    if (!text && spec.required) {
      return Error{program_ + ": " + std::string(spec.flag) + " is required" +
                   (variable.empty() ? "" : " (or " + variable + ")")};
    }
    if (!text && !spec.fallback.empty()) text = spec.fallback;
    if (!text) continue;
    if (const auto accepted = setters_[i](*text)) {
      return Error{program_ + ": " + origin + ": \"" + *text +
                   "\" is not accepted; accepted: " + *accepted};
    }
  }
  return ParseResult::kRun;
}

ParseResult OptionSet::parse(std::span<const char* const> arguments,
                             const Environment& environment) {
  const auto result = try_parse(arguments, environment);
  if (!result) {
    std::cerr << result.error().text << '\n';
    return ParseResult::kError;
  }
  if (*result == ParseResult::kHelp) std::cout << help();
  return *result;
}

std::string OptionSet::help() const {
  constexpr std::size_t kWidth = 100;
  constexpr std::size_t kIndent = 6;
  std::ostringstream out;
  out << summary_ << "\n\nUsage: " << program_ << " [options]\n\nOptions:\n";
  const auto wrapped = [&](const std::string& text) {
    std::istringstream words(text);
    std::string word;
    std::size_t column = 0;
    while (words >> word) {
      if (column == 0 || column + 1 + word.size() > kWidth) {
        if (column != 0) out << '\n';
        out << std::string(kIndent, ' ') << word;
        column = kIndent + word.size();
      } else {
        out << ' ' << word;
        column += 1 + word.size();
      }
    }
    out << '\n';
  };
  for (const OptionSpec& spec : specs_) {
    out << "  " << spec.flag << (is_switch(spec) ? "" : " ") << spec.value << '\n';
    wrapped(described(spec));
  }
  out << "  -h, --help\n";
  wrapped("Print this help and exit.");
  return out.str();
}

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

}  // namespace sidetap::config
