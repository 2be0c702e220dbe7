#include "shared/yaml/builder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "shared/yaml/scalar.h"

namespace sidetap::yaml {
namespace {

/// Up to this many keys, a linear search is faster.
constexpr std::size_t kFewKeys = 16;

std::size_t text_size(const Tree& value) {
  return value.is_string() ? value.get_ref<const std::string&>().size() : 0;
}

/// kubectl refuses a document if aliases repeat most of it: 99 % above a thousand values, falling
/// to 10 % for millions.
bool is_excessive(std::size_t repeated, std::size_t all) {
  constexpr double kFrom = 400'000;
  constexpr double kTo = 4'000'000;
  if (repeated <= 100 || all <= 1000) return false;
  const auto count = static_cast<double>(all);
  const double way = std::clamp((count - kFrom) / (kTo - kFrom), 0.0, 1.0);
  return static_cast<double>(repeated) / count > 0.99 - 0.89 * way;
}

bool is_beyond_json(const Tree& value) {
  return value.is_number_float() && !std::isfinite(value.get<double>());
}

bool holds_beyond_json(const Tree& tree) {
  if (!tree.is_structured()) return is_beyond_json(tree);
  return std::any_of(tree.begin(), tree.end(), holds_beyond_json);
}

}  // namespace

void TreeBuilder::Cost::add(const Cost& part) {
  values += part.values;
  levels = std::max(levels, part.levels + 1);
  bytes += part.bytes;
}

bool TreeBuilder::fail(std::string what, std::size_t line) {
  fault_ = std::move(what) + " (line " + std::to_string(line) + ")";
  return false;
}

bool TreeBuilder::count(const Cost& cost, bool repeated, std::size_t line) {
  values_ += cost.values;
  if (repeated) {
    repeated_values_ += cost.values;
    repeated_bytes_ += cost.bytes;
  }
  if (values_ > kMaxValues || repeated_bytes_ > kMaxRepeated) return fail("too large", line);
  if (is_excessive(repeated_values_, values_))
    return fail("too large: aliases make up most of it", line);
  return true;
}

bool TreeBuilder::expects_key() const {
  return !frames_.empty() && frames_.back().value.is_object() && !frames_.back().key &&
         !frames_.back().merging;
}

std::string TreeBuilder::path_of_next() const {
  if (lines_ == nullptr || frames_.empty()) return {};
  const Frame& frame = frames_.back();
  if (frame.value.is_array()) return frame.path + "[" + std::to_string(frame.value.size()) + "]";
  const std::string key = frame.key.value_or("<<");
  return frame.path.empty() ? key : frame.path + "." + key;
}

bool TreeBuilder::keep_anchor(const Origin& origin, const Tree& value, const Cost& cost) {
  if (origin.anchor.empty()) return true;
  // Nested anchors hold their contents more than once.
  kept_.add(cost);
  if (kept_.values > kMaxValues || kept_.bytes > kMaxRepeated)
    return fail("too large: anchors hold most of it", origin.line);
  anchors_[origin.anchor] = {value, cost, true};
  return true;
}

bool TreeBuilder::scalar(Tree value, const Origin& origin) {
  const Cost cost{.bytes = text_size(value)};
  if (!keep_anchor(origin, value, cost)) return false;
  if (expects_key()) return take_key(value, origin);
  if (!count(cost, false, origin.line)) return false;
  return deliver(std::move(value), cost, origin.line, false);
}

bool TreeBuilder::begin(Tree empty, const Origin& origin) {
  if (frames_.size() >= kMaxDepth) return fail("nested too deeply", origin.line);
  if (expects_key()) return fail("a key is not a text", origin.line);
  if (!count({}, false, origin.line)) return false;
  // From now on, the name refers to this value, although it is still incomplete.
  if (!origin.anchor.empty()) anchors_[origin.anchor] = {};
  std::string path = path_of_next();
  frames_.push_back({.value = std::move(empty),
                     .origin = origin,
                     .cost = {.levels = 1},
                     .path = std::move(path)});
  return true;
}

bool TreeBuilder::end() {
  Frame frame = std::move(frames_.back());
  frames_.pop_back();
  if (std::find(frame.own.begin(), frame.own.end(), false) != frame.own.end()) own_first(frame);
  if (!keep_anchor(frame.origin, frame.value, frame.cost)) return false;
  return deliver(std::move(frame.value), frame.cost, frame.origin.line, false);
}

bool TreeBuilder::alias(const std::string& name, std::size_t line) {
  const auto found = anchors_.find(name);
  if (found == anchors_.end()) return fail("unknown anchor '" + name + "' referenced", line);
  const Anchor& anchor = found->second;
  if (!anchor.complete) return fail("anchor '" + name + "' value contains itself", line);
  if (frames_.size() + anchor.cost.levels > kMaxDepth) return fail("nested too deeply", line);
  if (!count({}, false, line) || !count(anchor.cost, true, line)) return false;
  if (expects_key()) return take_key(anchor.value, {.line = line});
  return deliver(anchor.value, anchor.cost, line, true);
}

bool TreeBuilder::take_key(const Tree& value, const Origin& origin) {
  Frame& frame = frames_.back();
  if (origin.merges) {
    frame.merging = true;
    return true;
  }
  auto key = key_text(value);
  if (!key) return fail(key.error().text, origin.line);
  frame.cost.values += 1;
  frame.cost.bytes += key->size();
  frame.key = std::move(*key);
  frame.key_line = origin.line;
  if (lines_ != nullptr) lines_->emplace(path_of_next(), origin.line);
  return count({}, false, origin.line);
}

bool TreeBuilder::deliver(Tree value, const Cost& cost, std::size_t line, bool repeats) {
  if (is_beyond_json(value)) beyond_json_ = line;
  if (frames_.empty()) {
    root_ = std::move(value);
    // A later value of the same key may have replaced it.
    if (beyond_json_ == 0 || !holds_beyond_json(root_)) return true;
    return fail("JSON has no number for .inf and .nan", beyond_json_);
  }
  Frame& frame = frames_.back();
  frame.cost.add(cost);
  if (frame.value.is_array()) {
    frame.value.push_back(std::move(value));
    return true;
  }
  if (frame.merging) {
    frame.merging = false;
    return merge(frame, value, repeats, line);
  }
  const std::string key = std::move(*frame.key);
  frame.key.reset();
  return set(frame, key, std::move(value), true);
}

bool TreeBuilder::set(Frame& frame, const std::string& key, Tree value, bool own) {
  // A vector of pairs, whose own look-up is linear.
  auto& members = frame.value.get_ref<Tree::object_t&>();
  std::size_t place = members.size();
  if (members.size() > kFewKeys) {
    if (frame.places.empty())
      for (std::size_t i = 0; i < members.size(); ++i)
        frame.places.emplace(members.begin()[static_cast<std::ptrdiff_t>(i)].first, i);
    place = frame.places.emplace(key, members.size()).first->second;
  } else {
    const auto found = std::find_if(members.begin(), members.end(),
                                    [&](const auto& member) { return member.first == key; });
    place = static_cast<std::size_t>(found - members.begin());
  }
  if (place == members.size()) {
    members.Tree::object_t::Container::emplace_back(key, std::move(value));
    frame.own.push_back(own);
    return true;
  }
  if (own && frame.own[place] && repeated_ == Repeated::kRefuse)
    return fail("the key \"" + key + "\" is there twice", frame.key_line);
  members.begin()[static_cast<std::ptrdiff_t>(place)].second = std::move(value);
  frame.own[place] = frame.own[place] || own;
  return true;
}

bool TreeBuilder::merge(Frame& frame, const Tree& value, bool repeats, std::size_t line) {
  // Replaces earlier values, because the order counts in kubectl.
  const auto merge_one = [&](const Tree& mapping) {
    for (const auto& [key, member] : mapping.items()) set(frame, key, member, false);
  };
  if (value.is_object()) {
    merge_one(value);
    return true;
  }
  const bool mappings =
      value.is_array() && !repeats &&
      std::all_of(value.begin(), value.end(), [](const Tree& one) { return one.is_object(); });
  if (!mappings) return fail("<< merges mappings only", line);
  // If several are merged, the first one wins.
  std::for_each(value.rbegin(), value.rend(), merge_one);
  return true;
}

void TreeBuilder::own_first(Frame& frame) {
  auto& members = frame.value.get_ref<Tree::object_t&>();
  Tree::object_t ordered;
  for (const bool own : {true, false}) {
    std::size_t place = 0;
    for (auto& [key, value] : members)
      if (frame.own[place++] == own)
        ordered.Tree::object_t::Container::emplace_back(key, std::move(value));
  }
  members.swap(ordered);
}

Tree TreeBuilder::partial() {
  Tree whole;
  while (!frames_.empty()) {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (!whole.is_null() && frame.value.is_array()) frame.value.push_back(std::move(whole));
    if (!whole.is_null() && frame.key) frame.value[*frame.key] = std::move(whole);
    whole = std::move(frame.value);
  }
  return whole.is_null() ? std::move(root_) : whole;
}

}  // namespace sidetap::yaml
