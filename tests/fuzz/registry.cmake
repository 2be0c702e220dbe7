foreach(name registry_tap_message registry_message)
  sidetap_fuzzer(fuzz_${name} SOURCES ${name}_fuzz.cpp LINK sidetap_shared
    CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
endforeach()
