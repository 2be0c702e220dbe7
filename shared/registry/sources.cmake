target_sources(sidetap_shared PRIVATE ${CMAKE_CURRENT_LIST_DIR}/codec.cpp
  ${CMAKE_CURRENT_LIST_DIR}/member_reader.cpp ${CMAKE_CURRENT_LIST_DIR}/report_codec.cpp)
