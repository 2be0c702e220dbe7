// The OpenSSL part of Boost.Asio, compiled here once for the whole product.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <boost/asio/ssl/impl/src.hpp>
#pragma GCC diagnostic pop
