#include "shared/async/caught.h"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

namespace sidetap::async {

std::string reason_of(const std::exception_ptr& fault) {
  try {
    std::rethrow_exception(fault);
  } catch (const std::exception& exception) {
    return exception.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

bool is_cancellation(const std::exception_ptr& fault) {
  try {
    std::rethrow_exception(fault);
  } catch (const boost::system::system_error& error) {
    return error.code() == boost::asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

}  // namespace sidetap::async
