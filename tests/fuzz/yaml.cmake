sidetap_fuzzer(yaml_reader_fuzz SOURCES yaml_reader_fuzz.cpp LINK sidetap_yaml
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/yaml_reader)
