// A tree, put together from what a reader meets one after the other. Bounded, whatever comes.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "shared/yaml/documents.h"
#include "shared/yaml/tree.h"

namespace sidetap::yaml {

/// Where a value or key comes from.
struct Origin {
  std::string anchor = {};  ///< The name by which aliases repeat it; empty: none.
  std::size_t line = 1;
  bool merges = false;  ///< As a key: what follows is merged ("<<").
};

/// Every function that returns false has set fault(); the builder is of no more use then, but for
/// partial().
class TreeBuilder {
 public:
  TreeBuilder(Repeated repeated, Lines* lines) : repeated_(repeated), lines_(lines) {}

  /// A scalar, as a value or, in a mapping, in turn as a key.
  bool scalar(Tree value, const Origin& origin);
  bool begin_list(const Origin& origin) { return begin(Tree::array(), origin); }
  bool begin_mapping(const Origin& origin) { return begin(Tree::object(), origin); }
  bool end();
  /// The value of the anchor, again.
  bool alias(const std::string& anchor, std::size_t line);

  bool fail(std::string what, std::size_t line);
  const std::string& fault() const { return fault_; }
  /// The next scalar is a key.
  bool expects_key() const;
  /// The whole; null: nothing came.
  Tree take() { return std::move(root_); }
  /// What there is so far, for a word about what has a fault.
  Tree partial();

 private:
  /// What a value costs: values in it after aliases are followed, its levels, and bytes of text.
  struct Cost {
    std::size_t values = 1;
    std::size_t levels = 0;
    std::size_t bytes = 0;
    void add(const Cost& part);
  };
  struct Anchor {
    Tree value;
    Cost cost;
    bool complete = false;
  };
  /// A list or mapping that has begun.
  struct Frame {
    Tree value;
    Origin origin;
    Cost cost;
    std::string path;                               ///< For the lines of its keys.
    std::optional<std::string> key = std::nullopt;  ///< Its value is to come.
    std::size_t key_line = 0;
    bool merging = false;        ///< What comes is merged.
    std::vector<bool> own = {};  ///< For each key: it stands there, not merged.
    std::unordered_map<std::string, std::size_t> places = {};  ///< Of many keys.
  };

  bool begin(Tree empty, const Origin& origin);
  /// `repeats`: it is an alias's.
  bool deliver(Tree value, const Cost& cost, std::size_t line, bool repeats);
  bool take_key(const Tree& value, const Origin& origin);
  bool set(Frame& frame, const std::string& key, Tree value, bool own);
  bool merge(Frame& frame, const Tree& value, bool repeats, std::size_t line);
  /// What was merged stands behind what the mapping says itself.
  static void own_first(Frame& frame);
  bool count(const Cost& cost, bool repeated, std::size_t line);
  bool keep_anchor(const Origin& origin, const Tree& value, const Cost& cost);
  std::string path_of_next() const;

  Repeated repeated_;
  Lines* lines_;
  std::vector<Frame> frames_;
  std::map<std::string, Anchor> anchors_;
  Tree root_;
  std::size_t values_ = 0;
  std::size_t repeated_values_ = 0;
  std::size_t repeated_bytes_ = 0;
  Cost kept_;                    ///< Of all that anchors hold.
  std::size_t beyond_json_ = 0;  ///< The line of a number that JSON has not; 0: there is none.
  std::string fault_;
};

}  // namespace sidetap::yaml
