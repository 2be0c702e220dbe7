// Boost.Beast, compiled here once for the whole product.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <boost/beast/src.hpp>
#pragma GCC diagnostic pop
