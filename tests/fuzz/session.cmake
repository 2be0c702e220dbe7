sidetap_fuzzer(fuzz_tap_session SOURCES tap_session_fuzz.cpp LINK sidetap_session
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/tap_session)
sidetap_fuzzer(fuzz_registry_view SOURCES registry_view_fuzz.cpp LINK sidetap_registry
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/registry_view)
