foreach(name packet_parser ownership_engine)
  sidetap_fuzzer(fuzz_${name} SOURCES ${name}_fuzz.cpp LINK sidetap_packet
    CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
endforeach()
