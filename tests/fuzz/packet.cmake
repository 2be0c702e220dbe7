foreach(name packet_parser ownership_engine)
  sidetap_fuzzer(fuzz_${name} SOURCES ${name}_fuzz.cpp LINK sidetap_ownership
    CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
endforeach()
sidetap_fuzzer(fuzz_restorer SOURCES restorer_fuzz.cpp LINK sidetap_fidelity
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/restorer)
