#include "shared/config/options.h"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include <CLI/CLI.hpp>

#include "shared/net/distinct.h"

namespace sidetap::config {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// The default is part of the help only where it is more than a switch's "false".
std::string described(const OptionSpec& spec) {
  std::string text = spec.help;
  std::string notes;
  const auto note = [&](const std::string& words) { notes += (notes.empty() ? "" : "; ") + words; };
  if (!spec.fallback.empty()) note("default " + spec.fallback);
  if (spec.required) note("required");
  if (!spec.env.empty()) note("env " + spec.env);
  if (!spec.key.empty()) note("key " + spec.key);
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

void OptionSet::add_raw(OptionSpec spec, Setter setter) {
  specs_.push_back(std::move(spec));
  setters_.push_back(std::move(setter));
  set_.push_back(false);
}

void OptionSet::add_switch(OptionSpec spec, bool& target) {
  spec.value.clear();
  add_raw(std::move(spec), [&target](std::string_view text) { return set_bool(text, target); });
}

Result<ParseResult> OptionSet::try_parse(std::span<const char* const> arguments,
                                         const Environment& environment, const FileValues& file) {
  CLI::App app(summary_, program_);
  app.set_help_flag("-h,--help", "Print this help and exit");
  std::vector<std::string> texts(specs_.size());
  std::vector<CLI::Option*> options;
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const bool is_switch = specs_[i].value.empty();
    options.push_back(is_switch ? app.add_flag(specs_[i].flag)
                                : app.add_option(specs_[i].flag, texts[i])
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

  for (const auto& [key, value] : file) {
    const bool known =
        std::any_of(specs_.begin(), specs_.end(),
                    [&key = key](const OptionSpec& spec) { return spec.key == key; });
    if (!known) return Error{program_ + ": configuration file: unknown key \"" + key + "\""};
  }
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const OptionSpec& spec = specs_[i];
    std::optional<std::string> text;
    std::string origin = spec.flag;
    if (options[i]->count() > 0) {
      text = spec.value.empty() ? "true" : texts[i];
    }
    if (!text && !spec.env.empty()) {
      text = environment(spec.env);
      if (text && text->empty()) text.reset();
      if (text) origin = "environment variable " + spec.env;
    }
    if (!text && !spec.key.empty()) {
      if (const auto found = file.find(spec.key); found != file.end()) {
        text = found->second;
        origin = "configuration file key " + spec.key;
      }
    }
    set_[i] = text.has_value();
    if (!text && spec.required) {
      return Error{program_ + ": " + spec.flag + " is required" +
                   (spec.env.empty() ? "" : " (or environment variable " + spec.env + ")")};
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

ParseResult OptionSet::parse(std::span<const char* const> arguments, const Environment& environment,
                             const FileValues& file) {
  const auto result = try_parse(arguments, environment, file);
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
    out << "  " << spec.flag << (spec.value.empty() ? "" : " " + spec.value) << '\n';
    wrapped(described(spec));
  }
  out << "  -h, --help\n";
  wrapped("Print this help and exit.");
  return out.str();
}

bool OptionSet::is_set(std::string_view flag) const {
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    if (specs_[i].flag == flag) return set_[i];
  }
  return false;
}

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

Parser<std::string> any_text() {
  return [](std::string_view text) -> Result<std::string> { return std::string(text); };
}

Parser<std::string> one_of(std::vector<std::string> accepted) {
  return [accepted = std::move(accepted)](std::string_view text) -> Result<std::string> {
    for (const auto& word : accepted) {
      if (word == text) return word;
    }
    return Error{joined(accepted)};
  };
}

template <typename T>
Parser<T> number(T least, T most, std::string unit) {
  return [=](std::string_view text) -> Result<T> {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size() && value >= least &&
        value <= most) {
      return value;
    }
    return Error{"a number from " + std::to_string(least) + " to " + std::to_string(most) +
                 (unit.empty() ? "" : " (" + unit + ")")};
  };
}
template Parser<std::uint16_t> number(std::uint16_t, std::uint16_t, std::string);
template Parser<std::uint32_t> number(std::uint32_t, std::uint32_t, std::string);
template Parser<std::uint64_t> number(std::uint64_t, std::uint64_t, std::string);
template Parser<int> number(int, int, std::string);

Parser<std::uint64_t> byte_size(std::uint64_t least, std::uint64_t most) {
  return [=](std::string_view text) -> Result<std::uint64_t> {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
    unsigned shift = 0;
    bool good = error == std::errc{};
    if (suffix == "K" || suffix == "Ki") {
      shift = 10;
    } else if (suffix == "M" || suffix == "Mi") {
      shift = 20;
    } else if (suffix == "G" || suffix == "Gi") {
      shift = 30;
    } else {
      good = good && suffix.empty();
    }
    // Shifting back shows an overflow.
    const std::uint64_t bytes = value << shift;
    if (good && bytes >> shift == value && bytes >= least && bytes <= most) return bytes;
    return Error{"a size from " + std::to_string(least) + " to " + std::to_string(most) +
                 " bytes, with K, M or G if you like"};
  };
}

Parser<std::int64_t> duration_ms(std::int64_t least, std::int64_t most) {
  return [=](std::string_view text) -> Result<std::int64_t> {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    const std::int64_t factor = unit == "ms"                  ? 1
                                : unit.empty() || unit == "s" ? 1000
                                : unit == "m"                 ? 60'000
                                : unit == "h"                 ? 3'600'000
                                                              : 0;
    if (error == std::errc{} && factor != 0 && value >= 0 && value <= most / factor &&
        value * factor >= least) {
      return value * factor;
    }
    return Error{"a duration from " + std::to_string(least) + "ms to " + std::to_string(most) +
                 "ms, with the unit ms, s, m or h"};
  };
}

Parser<std::vector<net::Cidr>> cidr_list() {
  return [](std::string_view text) -> Result<std::vector<net::Cidr>> {
    auto list = net::parse_cidr_list(text);
    if (list) return list;
    return Error{"a comma list of IPv4 or IPv6 CIDRs, e.g. 10.244.0.0/16,fd00:10:244::/56 (" +
                 list.error().text + ")"};
  };
}

Parser<std::vector<net::IpAddress>> address_list() {
  return [](std::string_view text) -> Result<std::vector<net::IpAddress>> {
    std::vector<net::IpAddress> list;
    auto cidrs = net::parse_cidr_list(text);
    if (cidrs) {
      for (const net::Cidr& cidr : *cidrs) {
        if (cidr.length128() == 128) list.push_back(cidr.first());
      }
      if (list.size() == cidrs->size()) return net::distinct(std::move(list));
    }
    return Error{"a comma list of IPv4 or IPv6 addresses"};
  };
}

namespace {

using ReadPlace = Result<net::HostPort> (*)(std::string_view, std::uint16_t);

Parser<net::HostPort> place(ReadPlace read, std::uint16_t default_port, const std::string& form) {
  return [=](std::string_view text) -> Result<net::HostPort> {
    auto parsed = read(text, default_port);
    if (parsed) return parsed;
    return Error{form + ", IPv6 in brackets (" + parsed.error().text + ")"};
  };
}

}  // namespace

Parser<net::HostPort> host_port(std::uint16_t default_port) {
  return place(net::parse_host_port, default_port, default_port == 0 ? "HOST:PORT" : "HOST[:PORT]");
}

Parser<net::HostPort> listen_address(std::uint16_t default_port) {
  return place(net::parse_listen_address, default_port,
               default_port == 0 ? "[HOST]:PORT" : "HOST[:PORT] or :PORT");
}

Parser<std::optional<net::HostPort>> optional_listen_address() {
  return [parse = listen_address()](std::string_view text) -> Result<std::optional<net::HostPort>> {
    auto value = parse(text);
    if (!value) return value.error();
    return std::optional(std::move(*value));
  };
}

Parser<std::vector<net::HostPort>> host_port_list(std::uint16_t default_port, std::size_t most) {
  return [=](std::string_view text) -> Result<std::vector<net::HostPort>> {
    const auto wrong = [most](const std::string& why) {
      return Error{"1 to " + std::to_string(most) + " of HOST[:PORT], separated by commas (" + why +
                   ")"};
    };
    std::vector<net::HostPort> list;
    for (;;) {
      const std::size_t comma = std::min(text.find(','), text.size());
      auto parsed = net::parse_host_port(text.substr(0, comma), default_port);
      if (!parsed) return wrong(parsed.error().text);
      list.push_back(std::move(*parsed));
      if (comma == text.size()) break;
      text.remove_prefix(comma + 1);
    }
    if (list.size() > most) return wrong(std::to_string(list.size()) + " given");
    return list;
  };
}

Parser<std::string> readable_file() {
  return [](std::string_view text) -> Result<std::string> {
    std::string path(text);
    if (std::ifstream(path).good()) return path;
    return Error{"the path of a file that can be read"};
  };
}

}  // namespace sidetap::config
