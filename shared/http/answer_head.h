// The head of an HTTP answer as text, for everything that answers without Beast.
#pragma once

#include <string>
#include <string_view>

#include "shared/http/https_server.h"

namespace sidetap::http {

/// Up to and including the empty line. Reserves room for the body, whose size is in it. An answer
/// 401 asks for a bearer token.
std::string head_of(const HttpAnswer& answer, bool close);

/// The head of a 200 whose body follows in chunks, on a connection that then ends.
std::string chunked_head_of(std::string_view content_type);

/// One chunk (RFC 9112, 7.1). Of an empty text, the last chunk.
std::string chunk_of(std::string_view text);

}  // namespace sidetap::http
