#include <algorithm>
#include <string_view>
#include <utility>

#include "shared/yaml/scalar.h"
#include "shared/yaml/tree.h"

namespace sidetap::yaml {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Whether every YAML reader reads this text, unquoted, as the same string.
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
  // Numbers, times and dates in any notation.
  if (text[0] >= '0' && text[0] <= '9' &&
      text.find_first_not_of("0123456789abcdefxotzABCDEFXOTZ_.:+- ") == text.npos)
    return false;
  const auto value = resolve("", text);
  return value && value->is_string();
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

/// The size of a character at the start of `text` that YAML readers refuse or read as a line end; 0
/// for any other character.
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

/// Quotes a text with double quotes. JSON's escapes are valid in YAML, except for surrogate pairs.
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

  /// Writes a value after a key or a dash. `in_list`: the first key of a mapping is on the line of
  /// the dash.
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
      this->key(key, level);
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
  void key(const std::string& whole, std::size_t level) {
    // Readers search at most 1024 characters for the colon.
    constexpr std::size_t kLongest = 1000;
    const std::size_t begin = out_.size();
    text(whole);
    if (out_.size() - begin > kLongest) {
      out_.insert(begin, "? ");
      out_ += '\n';
      indent(level);
    }
    out_ += ':';
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

}  // namespace sidetap::yaml
