// Builds a tree from the events of a reader, within bounds for any input.
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

/// The source of a value or key.
struct Origin {
  std::string anchor = {};  ///< The name by which aliases repeat it. Empty: none.
  std::size_t line = 1;
  bool merges = false;  ///< For a key: its value is merged ("<<").
};

/// A function that returns false has set fault(). After that, use only fault() and partial().
class TreeBuilder {
 public:
  TreeBuilder(Repeated repeated, Lines* lines) : repeated_(repeated), lines_(lines) {}

  /// A scalar: a value or, alternately in a mapping, a key.
  bool scalar(Tree value, const Origin& origin);
  bool begin_list(const Origin& origin) { return begin(Tree::array(), origin); }
  bool begin_mapping(const Origin& origin) { return begin(Tree::object(), origin); }
  bool end();
  /// Repeats the value of the anchor.
  bool alias(const std::string& anchor, std::size_t line);

  bool fail(std::string what, std::size_t line);
  const std::string& fault() const { return fault_; }
  /// Whether the next scalar is a key.
  bool expects_key() const;
  /// The whole tree; null if nothing was added.
  Tree take() { return std::move(root_); }
  /// The tree so far, to name a faulty document in a message.
  Tree partial();

 private:
  /// The cost of a value: the values in it after aliases are expanded, its levels, and bytes of
  /// text.
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
  /// A list or mapping that is still open.
  struct Frame {
    Tree value;
    Origin origin;
    Cost cost;
    std::string path;                               ///< For the lines of its keys.
    std::optional<std::string> key = std::nullopt;  ///< Its value is pending.
    std::size_t key_line = 0;
    bool merging = false;        ///< The next value is merged.
    std::vector<bool> own = {};  ///< For each key: written here, not merged.
    std::unordered_map<std::string, std::size_t> places = {};  ///< Index of many keys.
  };

  bool begin(Tree empty, const Origin& origin);
  /// `repeats`: the value comes from an alias.
  bool deliver(Tree value, const Cost& cost, std::size_t line, bool repeats);
  bool take_key(const Tree& value, const Origin& origin);
  bool set(Frame& frame, const std::string& key, Tree value, bool own);
  bool merge(Frame& frame, const Tree& value, bool repeats, std::size_t line);
  /// Moves merged keys after the mapping's own keys.
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
  Cost kept_;                    ///< Of everything that anchors hold.
  std::size_t beyond_json_ = 0;  ///< Line of a number that JSON cannot represent. 0: none.
  std::string fault_;
};

}  // namespace sidetap::yaml
