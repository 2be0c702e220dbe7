// Turns libyaml's events into a tree, with the deviations of go-yaml, kubectl's port of libyaml.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include <yaml.h>

#include "shared/yaml/builder.h"
#include "shared/yaml/readers.h"
#include "shared/yaml/scalar.h"

namespace sidetap::yaml {
namespace {

/// How often a text is repaired and read again for go-yaml's \' in double quotes.
constexpr unsigned kMostMended = 64;

constexpr std::string_view kMergeTag = "tag:yaml.org,2002:merge";

struct ParserDeleter {
  void operator()(yaml_parser_t* parser) const {
    yaml_parser_delete(parser);
    delete parser;
  }
};
using Parser = std::unique_ptr<yaml_parser_t, ParserDeleter>;

Parser parser_of(const std::string& text) {
  Parser parser(new yaml_parser_t());
  if (yaml_parser_initialize(parser.get()) == 0) throw std::bad_alloc();
  // With an explicit encoding, libyaml does not guess and skips no byte order mark.
  yaml_parser_set_encoding(parser.get(), YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(parser.get(), reinterpret_cast<const unsigned char*>(text.data()),
                               text.size());
  return parser;
}

/// Owns the data of an event.
struct Event {
  yaml_event_t raw{};
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { yaml_event_delete(&raw); }
};

std::string text_of(const yaml_char_t* text) {
  return text == nullptr ? std::string() : reinterpret_cast<const char*>(text);
}

/// Converts libyaml's character positions to byte positions. With ascending positions, it scans the
/// text once.
class Places {
 public:
  explicit Places(const std::string& text) : text_(text) {}
  std::size_t byte_of(std::size_t index) {
    if (index < index_) index_ = byte_ = 0;
    for (; index_ < index && byte_ < text_.size(); ++index_) {
      ++byte_;
      while (byte_ < text_.size() && (static_cast<unsigned char>(text_[byte_]) & 0xc0U) == 0x80U)
        ++byte_;
    }
    return byte_;
  }

 private:
  const std::string& text_;
  std::size_t index_ = 0;
  std::size_t byte_ = 0;
};

/// Calls `visit` with the position of every backslash that starts an escape sequence in the
/// double-quoted text at `quote`.
template <typename Visit>
void each_escape(const std::string& text, std::size_t quote, Visit&& visit) {
  for (std::size_t i = quote + 1; i < text.size() && text[i] != '"'; ++i) {
    if (text[i] != '\\') continue;
    visit(i);
    ++i;
  }
}

class Reader {
 public:
  Reader(const std::string& text, const Reading& reading)
      : text_(text),
        places_(text),
        line_(reading.line),
        builder_(reading.repeated, reading.lines) {}

  /// Returns false if there is a fault; see mended() and document().
  bool read();
  /// The text without the backslashes that made libyaml fail; nothing if it failed for another
  /// reason.
  std::optional<std::string> mended();
  Document document(bool good);

 private:
  bool handle(const yaml_event_t& event, bool& done);
  bool scalar(const yaml_event_t& event);
  bool begin(const yaml_event_t& event, const yaml_char_t* anchor, bool flow, bool list);
  /// Refuses what libyaml accepts but go-yaml does not.
  bool check(const yaml_event_t& event);
  bool fail(const yaml_parser_t& parser);
  std::size_t line_of(const yaml_mark_t& mark) const { return line_ + mark.line; }

  const std::string& text_;
  Places places_;
  std::size_t line_;
  TreeBuilder builder_;
  std::vector<bool> flow_;                 ///< Of the collections that have begun.
  std::optional<std::size_t> bad_escape_;  ///< The byte of the quote before it.
};

bool Reader::read() {
  // libyaml skips such a mark, and go-yaml reads it as text. It is invisible to the author.
  if (const auto mark = text_.find("\n\xef\xbb\xbf"); mark != std::string::npos) {
    const auto lines =
        std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(mark), '\n');
    return builder_.fail("a byte order mark within a document",
                         line_ + static_cast<std::size_t>(lines) + 1);
  }
  const Parser parser = parser_of(text_);
  for (bool done = false; !done;) {
    Event event;
    if (yaml_parser_parse(parser.get(), &event.raw) == 0) return fail(*parser);
    if (!handle(event.raw, done)) return false;
  }
  return true;
}

bool Reader::handle(const yaml_event_t& event, bool& done) {
  switch (event.type) {
    case YAML_DOCUMENT_START_EVENT: {
      const auto* const version = event.data.document_start.version_directive;
      if (version != nullptr && version->minor != 1)
        return builder_.fail("no YAML: found incompatible YAML document",
                             line_of(event.start_mark));
      return true;
    }
    case YAML_ALIAS_EVENT:
      return builder_.alias(text_of(event.data.alias.anchor), line_of(event.start_mark));
    case YAML_SCALAR_EVENT:
      return check(event) && scalar(event);
    case YAML_SEQUENCE_START_EVENT:
      return begin(event, event.data.sequence_start.anchor,
                   event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE, true);
    case YAML_MAPPING_START_EVENT:
      return begin(event, event.data.mapping_start.anchor,
                   event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE, false);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
      flow_.pop_back();
      return builder_.end();
    case YAML_DOCUMENT_END_EVENT:
    case YAML_STREAM_END_EVENT:
      done = true;
      return true;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
      break;
  }
  return true;
}

bool Reader::begin(const yaml_event_t& event, const yaml_char_t* anchor, bool flow, bool list) {
  flow_.push_back(flow);
  const Origin origin{.anchor = text_of(anchor), .line = line_of(event.start_mark)};
  return list ? builder_.begin_list(origin) : builder_.begin_mapping(origin);
}

bool Reader::scalar(const yaml_event_t& event) {
  const auto& raw = event.data.scalar;
  const std::string text(reinterpret_cast<const char*>(raw.value), raw.length);
  const std::string tag = text_of(raw.tag);
  const std::size_t line = line_of(event.start_mark);
  const bool is_text = tag.empty() && raw.plain_implicit == 0;
  auto value = is_text ? Result<Tree>(Tree(text)) : resolve(tag, text);
  if (!value) return builder_.fail("no YAML: " + value.error().text, line);
  const bool merges = text == "<<" && (raw.plain_implicit != 0 || tag == kMergeTag);
  return builder_.scalar(std::move(*value),
                         {.anchor = text_of(raw.anchor), .line = line, .merges = merges});
}

bool Reader::check(const yaml_event_t& event) {
  const auto& raw = event.data.scalar;
  const bool in_flow = !flow_.empty() && flow_.back();
  const auto refuse = [&](const char* why) {
    return builder_.fail(std::string("no YAML: ") + why, line_of(event.start_mark));
  };
  if (in_flow && raw.style == YAML_PLAIN_SCALAR_STYLE) {
    const std::string_view text(reinterpret_cast<const char*>(raw.value), raw.length);
    if (text.find('?') != text.npos)
      return refuse("a text with '?' must be in quotes between brackets");
    if (text.empty() && raw.tag != nullptr) {
      const std::size_t begin = places_.byte_of(event.start_mark.index);
      const std::size_t end = places_.byte_of(event.end_mark.index);
      const std::size_t word = text_.find_last_of(" \t\r\n", end == 0 ? 0 : end - 1);
      const std::size_t last = word == text_.npos || word < begin ? begin : word + 1;
      if (text_[last] == '!' && end < text_.size() && text_[end] == ',')
        return refuse("a tag must be followed by a blank");
    }
  }
  if (raw.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE) {
    // An anchor and a tag may precede it, with comments in between.
    std::size_t quote = places_.byte_of(event.start_mark.index);
    while (quote < text_.size() && text_[quote] != '"')
      quote = text_[quote] == '#' ? std::min(text_.find('\n', quote), text_.size()) : quote + 1;
    bool good = true;
    each_escape(text_, quote,
                [&](std::size_t at) { good = good && text_.compare(at, 2, "\\/") != 0; });
    if (!good) return refuse("found unknown escape character");
  }
  return true;
}

bool Reader::fail(const yaml_parser_t& parser) {
  std::string what = parser.problem == nullptr ? "cannot be read" : parser.problem;
  std::size_t line = line_of(parser.problem_mark);
  if (parser.error == YAML_READER_ERROR) {
    const auto end =
        text_.begin() + static_cast<std::ptrdiff_t>(std::min(parser.problem_offset, text_.size()));
    line = line_ + static_cast<std::size_t>(std::count(text_.begin(), end, '\n'));
  }
  if (what == "found unknown escape character")
    bad_escape_ = places_.byte_of(parser.context_mark.index);
  return builder_.fail("no YAML: " + what, line);
}

std::optional<std::string> Reader::mended() {
  if (!bad_escape_) return std::nullopt;
  std::string text = text_.substr(0, *bad_escape_);
  std::size_t kept = text.size();
  each_escape(text_, *bad_escape_, [&](std::size_t at) {
    if (text_.compare(at, 2, "\\'") != 0) return;
    text.append(text_, kept, at - kept);
    kept = at + 1;
  });
  if (kept == *bad_escape_) return std::nullopt;
  return text.append(text_, kept);
}

Document Reader::document(bool good) {
  Document document;
  document.line = line_;
  if (good) {
    document.tree = builder_.take();
  } else {
    document.tree = builder_.partial();
    document.fault = builder_.fault();
  }
  return document;
}

}  // namespace

Document read_yaml(std::string text, const Reading& reading) {
  // A byte order mark at the start is not part of the text.
  std::string whole = text.starts_with("\xef\xbb\xbf") ? text.substr(3) : text;
  Document document;
  for (unsigned mended = 0;; ++mended) {
    Reader reader(whole, reading);
    const bool good = reader.read();
    document = reader.document(good);
    if (good) return document;
    auto again = mended < kMostMended ? reader.mended() : std::nullopt;
    if (!again) break;
    whole = std::move(*again);
  }
  document.text = std::move(text);
  return document;
}

}  // namespace sidetap::yaml
