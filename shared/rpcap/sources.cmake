target_sources(sidetap_shared PRIVATE ${CMAKE_CURRENT_LIST_DIR}/codec.cpp
  ${CMAKE_CURRENT_LIST_DIR}/udpstr_packer.cpp
  ${CMAKE_CURRENT_LIST_DIR}/udpstr_unpacker.cpp)
