sidetap_fuzzer(review_decoder_fuzz PCH tree SOURCES review_decoder_fuzz.cpp LINK sidetap_admission
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/review_decoder)
sidetap_fuzzer(patch_builder_fuzz PCH tree SOURCES patch_builder_fuzz.cpp LINK sidetap_admission
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/patch_builder)
foreach(name review_decoder patch_builder)
  target_include_directories(${name}_fuzz PRIVATE ${CMAKE_SOURCE_DIR}/tests)
endforeach()
