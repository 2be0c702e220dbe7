// A value, or one sentence that says why there is none.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <boost/system/result.hpp>

namespace sidetap {

/// Why an operation has no value. The text names the thing, the value and, where there is one, the
/// remedy; it is fit to be shown to an operator as it is.
struct Error {
  std::string text;
};

/// `value()` of a failed result throws std::runtime_error with the text; test with `if (result)`.
template <typename T>
using Result = boost::system::result<T, Error>;

[[noreturn]] inline void throw_exception_from_error(const Error& error,
                                                    const boost::source_location& /*where*/) {
  throw std::runtime_error(error.text);
}

}  // namespace sidetap
