sidetap_fuzzer(fuzz_mesh_leg SOURCES mesh_leg_fuzz.cpp LINK sidetap_mesh sidetap_fidelity
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/mesh_leg)
