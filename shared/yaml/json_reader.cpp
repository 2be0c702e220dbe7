// JSON as Go reads it, into a tree.
#include <iterator>
#include <utility>

#include "shared/yaml/builder.h"
#include "shared/yaml/readers.h"

namespace sidetap::yaml {
namespace {

/// The value of the four hexadecimal digits after "\u" at `at`; -1 if there is no such escape.
int escaped_unit(std::string_view text, std::size_t at) {
  if (text.substr(at, 2) != "\\u" || at + 6 > text.size()) return -1;
  int value = 0;
  for (const char c : text.substr(at + 2, 4)) {
    const bool digit = c >= '0' && c <= '9';
    const char letter = static_cast<char>(c | 0x20);
    if (!digit && (letter < 'a' || letter > 'f')) return -1;
    value = value * 16 + (digit ? c - '0' : letter - 'a' + 10);
  }
  return value;
}

/// Go replaces a lone surrogate with U+FFFD; the library refuses it.
void replace_lone_surrogates(std::string& text) {
  const auto is_high = [](int unit) { return unit >= 0xd800 && unit < 0xdc00; };
  const auto is_low = [](int unit) { return unit >= 0xdc00 && unit < 0xe000; };
  for (std::size_t at = text.find('\\'); at != text.npos; at = text.find('\\', at)) {
    const int unit = escaped_unit(text, at);
    if (is_high(unit) && is_low(escaped_unit(text, at + 6))) {
      at += 12;
    } else if (is_high(unit) || is_low(unit)) {
      text.replace(at + 2, 4, "fffd");
      at += 6;
    } else {
      at += 2;
    }
  }
}

/// Iterates over a text and counts its lines. Copies share the count.
class Cursor {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, std::size_t* line) : at_(at), line_(line) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    if (*at_++ == '\n') ++*line_;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  std::size_t* line_;
};

/// The callbacks of the library's parser. False ends parsing.
class Handler {
 public:
  /// `line` is the parser's current line.
  Handler(const std::size_t& line, const Reading& reading)
      : line_(line), builder_(reading.repeated, reading.lines) {}

  using number_integer_t = Tree::number_integer_t;
  using number_unsigned_t = Tree::number_unsigned_t;
  using number_float_t = Tree::number_float_t;
  using string_t = Tree::string_t;
  using binary_t = Tree::binary_t;

  bool null() { return value(nullptr); }
  bool boolean(bool flag) { return value(flag); }
  bool number_integer(number_integer_t number) { return value(number); }
  bool number_unsigned(number_unsigned_t number) { return value(number); }
  bool number_float(number_float_t number, const string_t&) { return value(number); }
  bool string(string_t& text) { return value(std::move(text)); }
  bool binary(binary_t&) { return false; }
  bool key(string_t& text) { return value(std::move(text)); }
  bool start_object(std::size_t) { return builder_.begin_mapping({.line = line_}); }
  bool end_object() { return builder_.end(); }
  bool start_array(std::size_t) { return builder_.begin_list({.line = line_}); }
  bool end_array() { return builder_.end(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& e) {
    constexpr int kNumberOverflow = 406;
    is_json_ = e.id == kNumberOverflow;
    return builder_.fail(is_json_ ? "a number is beyond every type" : "not JSON", line_);
  }
  bool is_json() const { return is_json_; }
  TreeBuilder& builder() { return builder_; }

 private:
  bool value(Tree value) { return builder_.scalar(std::move(value), {.line = line_}); }

  const std::size_t& line_;
  TreeBuilder builder_;
  bool is_json_ = true;
};

}  // namespace

Document read_json(std::string text, const Reading& reading, bool& is_json) {
  std::string whole = text;
  replace_lone_surrogates(whole);
  std::size_t line = reading.line;
  Handler handler(line, reading);
  const char* const begin = whole.data();
  Document document;
  document.line = reading.line;
  if (Tree::sax_parse(Cursor(begin, &line), Cursor(begin + whole.size(), &line), &handler)) {
    document.tree = handler.builder().take();
  } else {
    document.tree = handler.builder().partial();
    document.fault = handler.builder().fault();
    document.text = std::move(text);
  }
  is_json = handler.is_json();
  return document;
}

}  // namespace sidetap::yaml
