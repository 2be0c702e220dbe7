#include "webhook/configuration/section.h"

#include <algorithm>
#include <utility>

#include "shared/net/text.h"

namespace sidetap::configuration {

Section::Section(const Tree& tree, std::string file, std::string path, const yaml::Lines* lines)
    : tree_(&tree), file_(std::move(file)), path_(std::move(path)), lines_(lines) {
  if (!tree.is_object())
    throw Fault{file_ + ": " + (path_.empty() ? "" : path_ + ": ") + shown(tree) + line_of(path_) +
                ": accepted: a mapping of keys to values"};
}

std::string Section::place(std::string_view key) const {
  return path_.empty() || key.empty() ? path_ + std::string(key) : path_ + "." + std::string(key);
}

std::string Section::line_of(const std::string& place) const {
  if (lines_ == nullptr) return {};
  const auto found = lines_->find(place);
  return found == lines_->end() ? "" : " (line " + std::to_string(found->second) + ")";
}

void Section::fail(std::string_view key, const std::string& value,
                   const std::string& accepted) const {
  throw Fault{file_ + ": " + place(key) + (value.empty() ? "" : ": " + value) +
              line_of(place(key)) + ": accepted: " + accepted};
}

const Tree* Section::take(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  const auto found = tree_->find(key);
  return found == tree_->end() || found->is_null() ? nullptr : &*found;
}

std::string Section::scalar_text(std::string_view key, const Tree& value) const {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return value.dump();
  // A float loses its spelling: 1.30 becomes 1.3.
  const bool number = value.is_number_float() || value.is_binary();
  fail(key, shown(value), number ? "a text: put it in quotes" : "a text");
}

std::string Section::checked(std::string_view key, const std::string& text,
                             const Check& check) const {
  if (!check) return text;
  auto good = check(text);
  if (!good) fail(key, shown(Tree(text)), good.error().text);
  return std::move(*good);
}

void Section::text(std::string_view key, std::string& into, const Check& check) {
  if (const Tree* const value = take(key)) into = checked(key, scalar_text(key, *value), check);
}

void Section::list(std::string_view key, std::string& into, const Check& check) {
  const Tree* const value = take(key);
  if (value == nullptr) return;
  if (!value->is_array()) {
    into = checked(key, scalar_text(key, *value), check);
    return;
  }
  std::string all;
  for (const Tree& item : *value) all += (all.empty() ? "" : ",") + scalar_text(key, item);
  into = checked(key, all, check);
}

std::optional<std::vector<std::string>> Section::texts(std::string_view key, const Check& check) {
  const Tree* const value = take(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) fail(key, shown(*value), "a list of texts");
  std::vector<std::string> all;
  for (const Tree& item : *value) all.push_back(checked(key, scalar_text(key, item), check));
  return all;
}

void Section::number(std::string_view key, std::uint32_t& into, std::uint32_t least,
                     std::uint32_t most) {
  std::uint64_t wide = into;
  number(key, wide, std::uint64_t{least}, std::uint64_t{most});
  into = static_cast<std::uint32_t>(wide);
}

void Section::number(std::string_view key, std::uint64_t& into, std::uint64_t least,
                     std::uint64_t most) {
  const Tree* const value = take(key);
  if (value == nullptr) return;
  const std::string accepted =
      "a number from " + std::to_string(least) + " to " + std::to_string(most);
  if (!value->is_number_integer()) fail(key, shown(*value), accepted);
  const bool negative = !value->is_number_unsigned() && value->get<std::int64_t>() < 0;
  const auto given = value->get<std::uint64_t>();
  if (negative || given < least || given > most) fail(key, shown(*value), accepted);
  into = given;
}

void Section::boolean(std::string_view key, bool& into) {
  const Tree* const value = take(key);
  if (value == nullptr) return;
  if (!value->is_boolean()) fail(key, shown(*value), "true, false");
  into = value->get<bool>();
}

std::optional<Section> Section::section(std::string_view key) {
  const Tree* const value = take(key);
  if (value == nullptr) return std::nullopt;
  return Section(*value, file_, place(key), lines_);
}

std::vector<Section> Section::section_list(std::string_view key) {
  std::vector<Section> all;
  const Tree* const value = take(key);
  if (value == nullptr) return all;
  if (!value->is_array()) fail(key, shown(*value), "a list of mappings");
  for (std::size_t i = 0; i < value->size(); ++i)
    all.emplace_back((*value)[i], file_, place(key) + "[" + std::to_string(i) + "]", lines_);
  return all;
}

std::vector<Section> Section::sections(std::string_view key) {
  const auto found = tree_->find(key);
  if (found != tree_->end() && found->is_array()) return section_list(key);
  std::vector<Section> all;
  if (auto one = section(key)) all.push_back(std::move(*one));
  return all;
}

void Section::each(const std::function<void(const std::string&, const Tree&)>& visit) {
  for (const auto& [key, value] : tree_->items()) visit(key, value);
}

void Section::finish() {
  for (const auto& [key, value] : tree_->items()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    throw Fault{file_ + ": " + place(key) + ": unknown key" + line_of(place(key)) +
                "; accepted: " + net::joined(known_, ", ")};
  }
}

}  // namespace sidetap::configuration
