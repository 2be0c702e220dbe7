target_sources(sidetap_shared PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/accept_loop.cpp
  ${CMAKE_CURRENT_LIST_DIR}/answer.cpp
  ${CMAKE_CURRENT_LIST_DIR}/caught.cpp
  ${CMAKE_CURRENT_LIST_DIR}/resolve.cpp
  ${CMAKE_CURRENT_LIST_DIR}/task_group.cpp
  ${CMAKE_CURRENT_LIST_DIR}/waiting.cpp)
