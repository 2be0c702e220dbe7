sidetap_fuzzer(fuzz_sensor_filter SOURCES sensor_filter_fuzz.cpp LINK sidetap_forwarding
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/sensor_filter)
