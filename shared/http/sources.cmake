target_sources(sidetap_shared PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/answer_head.cpp
  ${CMAKE_CURRENT_LIST_DIR}/boost_asio.cpp
  ${CMAKE_CURRENT_LIST_DIR}/boost_beast.cpp
  ${CMAKE_CURRENT_LIST_DIR}/file_watch.cpp
  ${CMAKE_CURRENT_LIST_DIR}/http_session.cpp
  ${CMAKE_CURRENT_LIST_DIR}/https_connection.cpp
  ${CMAKE_CURRENT_LIST_DIR}/https_server.cpp
  ${CMAKE_CURRENT_LIST_DIR}/listener.cpp
  ${CMAKE_CURRENT_LIST_DIR}/openssl.cpp
  ${CMAKE_CURRENT_LIST_DIR}/status_server.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tls_async_stream.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tls_context.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tls_stream.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tls_trust.cpp
  ${CMAKE_CURRENT_LIST_DIR}/web_socket.cpp
  ${CMAKE_CURRENT_LIST_DIR}/web_socket_accept.cpp
  ${CMAKE_CURRENT_LIST_DIR}/web_socket_upgrade.cpp)
