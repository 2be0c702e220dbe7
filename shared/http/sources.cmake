target_sources(sidetap_shared PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/boost_impl.cpp
  ${CMAKE_CURRENT_LIST_DIR}/listener.cpp
  ${CMAKE_CURRENT_LIST_DIR}/status_server.cpp)
