target_sources(sidetap_shared PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/boost_impl.cpp
  ${CMAKE_CURRENT_LIST_DIR}/file_watch.cpp
  ${CMAKE_CURRENT_LIST_DIR}/http_session.cpp
  ${CMAKE_CURRENT_LIST_DIR}/https_connection.cpp
  ${CMAKE_CURRENT_LIST_DIR}/https_server.cpp
  ${CMAKE_CURRENT_LIST_DIR}/listener.cpp
  ${CMAKE_CURRENT_LIST_DIR}/openssl.cpp
  ${CMAKE_CURRENT_LIST_DIR}/status_server.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tls_context.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tls_stream.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tls_trust.cpp
  ${CMAKE_CURRENT_LIST_DIR}/web_socket.cpp)
