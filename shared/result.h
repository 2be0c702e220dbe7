// A value, or one sentence that says why there is none.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace sidetap {

/// Why an operation has no value. The text names the thing, the value and, if there is one, the
/// remedy. It can be shown to an operator unchanged.
struct Error {
  std::string text;
};

/// Converts from a T or an Error. Test it before use: `*` and `->` on an error, and error() on a
/// value, are undefined behaviour. value() on an error throws std::runtime_error with the text.
template <typename T>
class [[nodiscard]] Result {
 public:
  template <typename U = T>
  requires(std::is_convertible_v<U&&, T> && !std::is_same_v<std::remove_cvref_t<U>, Error> &&
           !std::is_same_v<std::remove_cvref_t<U>, Result>) Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  const Error& error() const { return *std::get_if<1>(&state_); }

  T& value() & {
    require();
    return **this;
  }
  const T& value() const& {
    require();
    return **this;
  }
  T&& value() && {
    require();
    return std::move(**this);
  }

 private:
  void require() const {
    if (!has_value()) throw std::runtime_error(error().text);
  }
  std::variant<T, Error> state_;
};

/// Success without a value: `return {};`.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  bool has_value() const { return !error_; }
  explicit operator bool() const { return has_value(); }
  const Error& error() const { return *error_; }
  void value() const {
    if (error_) throw std::runtime_error(error_->text);
  }

 private:
  std::optional<Error> error_;
};

}  // namespace sidetap
