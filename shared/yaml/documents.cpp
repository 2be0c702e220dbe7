#include "shared/yaml/documents.h"

#include <algorithm>
#include <utility>

#include "shared/yaml/readers.h"
#include "shared/yaml/text.h"

namespace sidetap::yaml {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kSeparator = "---";
constexpr std::string_view kBlanks = " \t\r\n\v\f";
/// How far kubectl searches for the brace.
constexpr std::size_t kGuessed = 4096;

std::size_t lines_in(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

/// The size of the JSON object at the start of `text`; nothing if it does not end.
std::size_t object_size(std::string_view text) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) return i + 1;
  }
  return 0;
}

/// Splits a stream into documents.
class Stream {
 public:
  Stream(std::string_view text, Repeated repeated, Lines* lines)
      : rest_(text), repeated_(repeated), lines_(lines) {}

  Documents take() {
    const std::size_t first = rest_.find_first_not_of(kBlanks);
    const bool guess = first < std::min(kGuessed, rest_.size()) && rest_[first] == '{';
    if (guess && take_json()) {
      documents_.json = true;
    } else {
      take_yaml();
    }
    return std::move(documents_);
  }

 private:
  Reading reading(std::size_t line) const { return {line, repeated_, lines_}; }

  void consume(std::size_t bytes) {
    line_ += lines_in(rest_.substr(0, bytes));
    rest_.remove_prefix(bytes);
  }

  /// Returns false if the rest is YAML. After a second object, nothing is read as YAML.
  bool take_json() {
    while (true) {
      const std::size_t first = rest_.find_first_not_of(" \t\r\n");
      if (first == rest_.npos) return true;
      const std::string_view value = rest_.substr(first);
      const std::size_t size = value[0] == '{' ? object_size(value) : 0;
      bool is_json = false;
      Document document = read_json(std::string(value.substr(0, size == 0 ? value.npos : size)),
                                    reading(line_ + lines_in(rest_.substr(0, first))), is_json);
      if (!is_json && documents_.all.size() < 2) {
        // Like kubectl, skips blanks up to the end of the line.
        const std::size_t line_end = rest_.find('\n');
        consume(line_end < first ? line_end + 1 : first);
        return false;
      }
      documents_.all.push_back(std::move(document));
      if (size == 0) return true;
      consume(first + size);
    }
  }

  /// The next line with a plain line end; empty if nothing is left.
  std::string take_line() {
    const std::size_t end = rest_.find('\n');
    std::string line(rest_.substr(0, end));
    const bool whole = end != rest_.npos;
    if (whole && line.ends_with('\r')) line.pop_back();
    line += '\n';
    ++line_;
    rest_.remove_prefix(whole ? end + 1 : rest_.size());
    return line;
  }

  void take_yaml() {
    begin_ = line_;
    while (!rest_.empty()) {
      const std::string line = take_line();
      if (line.starts_with(kSeparator)) {
        const std::string_view behind = trimmed(std::string_view(line).substr(kSeparator.size()));
        const bool good = behind.empty() || behind[0] == '#';
        if (!good && bad_separator_.empty())
          bad_separator_ = "no YAML: a line that begins with --- holds more: \"" +
                           std::string(behind) + "\" (line " + std::to_string(line_ - 1) + ")";
        if (good && !chunk_.empty()) {
          finish();
          continue;
        }
      }
      chunk_ += line;
    }
    if (!chunk_.empty()) finish();
  }

  void finish() {
    if (bad_separator_.empty()) {
      documents_.all.push_back(read_yaml(std::move(chunk_), reading(begin_)));
    } else {
      documents_.all.push_back(
          {.line = begin_, .fault = std::exchange(bad_separator_, {}), .text = std::move(chunk_)});
    }
    chunk_.clear();
    begin_ = line_;
  }

  std::string_view rest_;
  Repeated repeated_;
  Lines* lines_;
  Documents documents_;
  std::size_t line_ = 1;   ///< Of what is left.
  std::size_t begin_ = 1;  ///< Of the document.
  std::string chunk_;
  std::string bad_separator_;
};

}  // namespace

Result<Documents> read_documents(std::string_view text, Repeated repeated, Lines* lines) {
  std::string converted;
  if (auto utf8 = from_utf16(text)) {
    converted = std::move(*utf8);
    text = converted;
  } else if (!is_utf8(text)) {
    return Error{"not UTF-8"};
  } else if (text.starts_with(kByteOrderMark)) {
    text.remove_prefix(kByteOrderMark.size());
  }
  return Stream(text, repeated, lines).take();
}

}  // namespace sidetap::yaml
