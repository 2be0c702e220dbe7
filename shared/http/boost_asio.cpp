// Boost.Asio, compiled here once for the whole product. Of its OpenSSL part only the errors are
// used.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/error.ipp>
#pragma GCC diagnostic pop
