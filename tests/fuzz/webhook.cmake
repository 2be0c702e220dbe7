sidetap_fuzzer(review_decoder_fuzz SOURCES review_decoder_fuzz.cpp LINK sidetap_admission
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/review_decoder)
sidetap_fuzzer(patch_builder_fuzz SOURCES patch_builder_fuzz.cpp LINK sidetap_admission
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/patch_builder)
