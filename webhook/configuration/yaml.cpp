#include "webhook/configuration/yaml.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>

#include <simdjson.h>
#include <yaml-cpp/yaml.h>

namespace sidetap::configuration {
namespace {

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

template <typename T>
bool parse_whole(std::string_view text, int base, T& value) {
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value, base);
  return result.ec == std::errc() && result.ptr == end;
}

/// An integer as Go's parsers read it: sign, then 0x, 0o, 0b or a leading 0 for another base.
bool parse_integer(std::string_view text, Tree& into) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = text[1];
    base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    text.remove_prefix(base != 8 || mark == 'o' || mark == 'O' ? 2 : 1);
  }
  std::uint64_t magnitude = 0;
  if (text.empty() || text[0] == '-' || text[0] == '+' || !parse_whole(text, base, magnitude))
    return false;
  constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
  if (magnitude <= kLargest)
    into = negative ? -static_cast<std::int64_t>(magnitude) : static_cast<std::int64_t>(magnitude);
  else if (!negative)
    into = magnitude;
  else
    return false;
  return true;
}

bool parse_float(std::string_view text, Tree& into) {
  std::string_view digits = text;
  if (digits.starts_with('-') || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty() || !(digits[0] == '.' || (digits[0] >= '0' && digits[0] <= '9'))) return false;
  if (digits[0] == '.' && (digits.size() < 2 || digits[1] < '0' || digits[1] > '9')) return false;
  double value = 0;
  const char* const end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end || !std::isfinite(value)) return false;
  into = text[0] == '-' ? -value : value;
  return true;
}

/// What a plain scalar stands for.
Tree resolve(const std::string& text) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return nullptr;
  if (is_one_of(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"}))
    return true;
  if (is_one_of(text, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"}))
    return false;
  const char first = text[0];
  if (!((first >= '0' && first <= '9') || is_one_of({&first, 1}, {"+", "-", "."}))) return text;
  std::string digits = text;
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  Tree value;
  if (parse_integer(digits, value)) return value;
  if (!parse_float(digits, value)) return text;
  const std::size_t sign = first == '+' || first == '-' ? 1 : 0;
  const bool whole = digits.find_first_not_of("0123456789", sign) == digits.npos;
  return whole ? Tree::binary({text.begin(), text.end()}) : value;
}

class YamlReader {
 public:
  Tree read(const YAML::Node& node, std::size_t depth) {
    if (depth > kMaxTreeDepth) throw std::runtime_error("nested too deeply");
    if (++values_ > kMaxTreeValues) throw std::runtime_error("too large");
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return scalar(node);
      case YAML::NodeType::Sequence:
        return sequence(node, depth);
      case YAML::NodeType::Map:
        return map(node, depth);
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        break;
    }
    return nullptr;
  }

 private:
  static Tree scalar(const YAML::Node& node) {
    // "!" marks what was in quotes; another tag but these says that it is text, or unknown.
    if (is_one_of(node.Tag(), {"?", "", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float",
                               "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"}))
      return resolve(node.Scalar());
    return node.Scalar();
  }
  Tree sequence(const YAML::Node& node, std::size_t depth) {
    Tree list = Tree::array();
    for (const YAML::Node& item : node) list.push_back(read(item, depth + 1));
    return list;
  }
  Tree map(const YAML::Node& node, std::size_t depth) {
    Tree object = Tree::object();
    Tree merged = Tree::object();
    for (const auto& item : node) {
      if (!item.first.IsScalar())
        throw std::runtime_error("a key is not a text" + place(item.first));
      const std::string& key = item.first.Scalar();
      Tree value = read(item.second, depth + 1);
      if (key == "<<" && item.first.Tag() == "?") {
        merge(value, merged);
        continue;
      }
      if (object.contains(key))
        throw std::runtime_error("the key \"" + key + "\" is there twice" + place(item.first));
      object[key] = std::move(value);
    }
    for (auto& [key, value] : merged.items())
      if (!object.contains(key)) object[key] = value;
    return object;
  }
  static void merge(const Tree& value, Tree& into) {
    if (value.is_array()) {
      for (const Tree& one : value) merge(one, into);
    } else if (value.is_object()) {
      for (const auto& [key, member] : value.items())
        if (!into.contains(key)) into[key] = member;
    } else {
      throw std::runtime_error("<< merges mappings only");
    }
  }
  static std::string place(const YAML::Node& node) {
    return " (line " + std::to_string(node.Mark().line + 1) + ")";
  }

  std::size_t values_ = 0;
};

Tree parse_json(std::string_view text) {
  const auto bounded = [](int depth, Tree::parse_event_t, Tree&) {
    if (static_cast<std::size_t>(depth) > kMaxTreeDepth)
      throw std::runtime_error("nested too deeply");
    return true;
  };
  return Tree::parse(text, bounded);
}

std::string spelling(const Tree& value) {
  const auto& bytes = value.get_binary();
  return {bytes.begin(), bytes.end()};
}

bool looks_like_json(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != text.npos && (text[first] == '{' || text[first] == '[');
}

}  // namespace

Result<Documents> parse_documents(std::string_view text, std::string_view name) {
  Documents documents;
  const auto fault = [&](const std::string& what) {
    return Error{std::string(name) + ": " + what};
  };
  if (!simdjson::validate_utf8(text.data(), text.size())) return fault("not UTF-8");
  if (looks_like_json(text)) {
    try {
      documents.trees.push_back(parse_json(text));
      documents.json = true;
      return documents;
    } catch (const std::exception&) {
      // YAML's flow style may begin like this too; its reader has the last word.
      documents.trees.clear();
    }
  }
  try {
    for (const YAML::Node& node : YAML::LoadAll(std::string(text)))
      documents.trees.push_back(YamlReader().read(node, 1));
  } catch (const YAML::Exception& e) {
    return fault("no YAML: " + e.msg +
                 (e.mark.is_null() ? "" : " (line " + std::to_string(e.mark.line + 1) + ")"));
  } catch (const std::exception& e) {
    return fault(e.what());
  }
  return documents;
}

void spellings_to_numbers(Tree& tree) {
  if (tree.is_binary()) {
    Tree number;
    parse_float(spelling(tree), number);
    tree = std::move(number);
  } else if (tree.is_structured()) {
    for (Tree& one : tree) spellings_to_numbers(one);
  }
}

std::string shown(const Tree& value) {
  constexpr std::size_t kMost = 80;
  std::string text = value.is_binary() ? spelling(value)
                                       : value.dump(-1, ' ', false, Tree::error_handler_t::replace);
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}

namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Would every YAML reader take these characters, unquoted, for the same text?
bool is_plain(const std::string& text) {
  if (text.empty() || text.size() > 1024) return false;
  constexpr std::string_view kFirst = "/_$(";
  constexpr std::string_view kLater = "/_$(). -:=+@,%;~^*?<>!'";
  if (!is_word(text[0]) && kFirst.find(text[0]) == kFirst.npos) return false;
  if (text.back() == ' ' || text.back() == ':') return false;
  if (text.find(": ") != text.npos) return false;
  if (!std::all_of(text.begin(), text.end(),
                   [&](char c) { return is_word(c) || kLater.find(c) != kLater.npos; }))
    return false;
  // Numbers, times and dates in whatever notation.
  if (text[0] >= '0' && text[0] <= '9' &&
      text.find_first_not_of("0123456789abcdefxotzABCDEFXOTZ_.:+- ") == text.npos)
    return false;
  return resolve(text).is_string();
}

bool is_block(const std::string& text) {
  if (text.find('\n') == text.npos || text[0] == '\n' || text[0] == ' ' || text[0] == '\t')
    return false;
  return std::none_of(text.begin(), text.end(), [](char c) {
    return c != '\n' && c != '\t' &&
           (static_cast<unsigned char>(c) < 0x20 || c == 0x7f ||
            static_cast<unsigned char>(c) >= 0x80);
  });
}

/// The bytes of a character that YAML readers refuse or take for a line's end, at the beginning of
/// `text`; 0: another character.
std::size_t special_size(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  if (at(0) == 0x7f) return 1;
  if (at(0) == 0xc2 && at(1) < 0xa0) return 2;                                       // U+0080-009F
  if (at(0) == 0xe2 && at(1) == 0x80 && (at(2) == 0xa8 || at(2) == 0xa9)) return 3;  // U+2028, 2029
  if (at(0) == 0xef && at(1) == 0xbb && at(2) == 0xbf) return 3;                     // U+FEFF
  if (at(0) == 0xef && at(1) == 0xbf && at(2) >= 0xbe) return 3;                     // U+FFFE, FFFF
  return 0;
}

/// In double quotes, where JSON's escapes are YAML's too, but for the pairs of surrogates.
std::string quoted(const std::string& whole) {
  const std::string json = Tree(whole).dump(-1, ' ', false, Tree::error_handler_t::replace);
  std::string text;
  for (std::size_t i = 0; i < json.size();) {
    const std::size_t size = special_size(std::string_view(json).substr(i));
    if (size == 0) {
      text += json[i++];
      continue;
    }
    const std::string escaped = Tree(json.substr(i, size)).dump(-1, ' ', true);
    text += escaped.substr(1, escaped.size() - 2);
    i += size;
  }
  return text;
}

class YamlWriter {
 public:
  void write(const Tree& tree) {
    value(tree, 0, false);
    if (out_.empty() || out_.back() != '\n') out_ += '\n';
  }
  std::string take() { return std::move(out_); }

 private:
  void indent(std::size_t level) { out_.append(level * 2, ' '); }

  /// Behind a key or a dash. `in_list`: the first key of a mapping stands on the dash's own line.
  void value(const Tree& tree, std::size_t level, bool in_list) {
    if (tree.is_object() && !tree.empty()) {
      mapping(tree, level, in_list);
    } else if (tree.is_array() && !tree.empty()) {
      sequence(tree, level, in_list);
    } else {
      scalar(tree, level);
    }
  }
  void mapping(const Tree& tree, std::size_t level, bool in_list) {
    bool first = true;
    for (const auto& [key, member] : tree.items()) {
      if (!first || !in_list) indent(level);
      first = false;
      text(key);
      out_ += ':';
      const bool nested = (member.is_object() || member.is_array()) && !member.empty();
      if (!nested) {
        out_ += ' ';
        scalar(member, level + 1);
        continue;
      }
      out_ += '\n';
      value(member, member.is_array() ? level : level + 1, false);
    }
  }
  void sequence(const Tree& tree, std::size_t level, bool in_list) {
    bool first = true;
    for (const Tree& item : tree) {
      if (!first || !in_list) indent(level);
      first = false;
      out_ += "- ";
      value(item, level + 1, true);
    }
  }
  void scalar(const Tree& tree, std::size_t level) {
    if (!tree.is_string()) {
      out_ += (tree.is_binary() ? spelling(tree) : tree.dump()) + '\n';
      return;
    }
    const auto& whole = tree.get_ref<const std::string&>();
    if (is_block(whole)) {
      block(whole, level);
    } else {
      text(whole);
      out_ += '\n';
    }
  }
  void text(const std::string& whole) { out_ += is_plain(whole) ? whole : quoted(whole); }
  void block(const std::string& whole, std::size_t level) {
    std::string_view rest = whole;
    out_ += '|';
    if (!rest.ends_with('\n'))
      out_ += '-';
    else if (rest.ends_with("\n\n"))
      out_ += '+';
    out_ += '\n';
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      if (end > 0) {
        indent(std::max<std::size_t>(level, 1));
        out_ += rest.substr(0, end);
      }
      out_ += '\n';
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }

  std::string out_;
};

}  // namespace

std::string to_yaml(const Tree& tree) {
  YamlWriter writer;
  writer.write(tree);
  return writer.take();
}

}  // namespace sidetap::configuration
