sidetap_fuzzer(fuzz_tap_protocol SOURCES tap_protocol_fuzz.cpp LINK sidetap_tap_protocol
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/tap_protocol)
sidetap_fuzzer(fuzz_tap_feed SOURCES tap_feed_fuzz.cpp LINK sidetap_tap_source
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/tap_feed)
sidetap_fuzzer(fuzz_proof_book SOURCES proof_book_fuzz.cpp LINK sidetap_tap_proof
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/proof_book)
