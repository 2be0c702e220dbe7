# The options that all targets share, and the functions that declare targets.
add_library(sidetap_options INTERFACE)
target_include_directories(sidetap_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(sidetap_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wno-sign-conversion -Wnon-virtual-dtor -Wold-style-cast)
# Disables conversions of nlohmann's JSON that nothing here uses and that cost two large headers.
target_compile_definitions(sidetap_options INTERFACE SIDETAP_VERSION="${PROJECT_VERSION}"
  JSON_HAS_FILESYSTEM=0 JSON_HAS_EXPERIMENTAL_FILESYSTEM=0 JSON_HAS_RANGES=0)
if(SIDETAP_WERROR)
  target_compile_options(sidetap_options INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these for correct code in its own and Boost's inlined headers.
  target_compile_options(sidetap_options INTERFACE -Wno-maybe-uninitialized -Wno-restrict
    -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-dangling-pointer
    -Wno-mismatched-new-delete)
  if(CMAKE_UNITY_BUILD)
    # This warning mistakes a source that is compiled together with others for a header.
    target_compile_options(sidetap_options INTERFACE -Wno-subobject-linkage)
  endif()
endif()
if(SIDETAP_SANITIZE)
  target_compile_options(sidetap_options INTERFACE -fsanitize=${SIDETAP_SANITIZE}
    -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(sidetap_options INTERFACE -fsanitize=${SIDETAP_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND SIDETAP_SANITIZE MATCHES "undefined")
    # clang cannot emit this check's data for coroutines ("difference across sections").
    target_compile_options(sidetap_options INTERFACE -fno-sanitize=function)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND SIDETAP_SANITIZE MATCHES "thread")
    # TSan does not model Asio's atomic fences. Our own code does not depend on them.
    target_compile_options(sidetap_options INTERFACE -Wno-tsan)
  endif()
endif()
if(SIDETAP_FUZZ)
  # Coverage for every object; only the fuzzers themselves link libFuzzer's main.
  target_compile_options(sidetap_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(sidetap_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Boost.Asio and Beast are compiled once, in shared/http/boost_*.cpp, instead of in every file.
add_library(sidetap_boost INTERFACE)
target_link_libraries(sidetap_boost INTERFACE Boost::headers Threads::Threads OpenSSL::SSL OpenSSL::Crypto)
target_compile_definitions(sidetap_boost INTERFACE BOOST_ASIO_SEPARATE_COMPILATION
  BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ALLOW_DEPRECATED_HEADERS)

# What runs for each packet is compiled with -O3, control code with -O1 (which takes up to a quarter less time than -O2), and
# everything else with -O2. The tests' own code is not optimised.
add_library(sidetap_packet_path_options INTERFACE)
add_library(sidetap_control_options INTERFACE)
add_library(sidetap_test_options INTERFACE)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(sidetap_packet_path_options INTERFACE -O3)
  target_compile_options(sidetap_control_options INTERFACE -O1)
  target_compile_options(sidetap_test_options INTERFACE -O0)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC would read a small structure as one vector right after its members were written one by one. The processor cannot
  # forward that from its store buffer, which costs a dozen cycles each time.
  target_compile_options(sidetap_packet_path_options INTERFACE -fno-tree-slp-vectorize)
endif()

# sidetap_precompiled(NAME HEADER LINK lib...): a header in shared/pch, compiled once for all targets that name it. It
# must be compiled with the same options, so LINK names the libraries that change them. GCC accepts another level of
# optimisation, but not none.
function(sidetap_precompiled name header)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(sidetap_pch_${name} OBJECT ${CMAKE_SOURCE_DIR}/shared/pch/empty.cpp)
  target_link_libraries(sidetap_pch_${name} PRIVATE sidetap_options ${ARG_LINK})
  target_precompile_headers(sidetap_pch_${name} PRIVATE ${CMAKE_SOURCE_DIR}/shared/pch/${header})
endfunction()
sidetap_precompiled(ground ground.h)
sidetap_precompiled(packet_path ground.h LINK sidetap_packet_path_options)
sidetap_precompiled(network network.h LINK sidetap_boost nlohmann_json::nlohmann_json)
sidetap_precompiled(tree tree.h LINK nlohmann_json::nlohmann_json)
sidetap_precompiled(review review.h LINK simdjson::simdjson)
if(SIDETAP_TESTS)
  sidetap_precompiled(test test.h LINK sidetap_test_options GTest::gmock)
  sidetap_precompiled(network_test network_test.h LINK sidetap_test_options sidetap_boost GTest::gmock)
endif()

# sidetap_combined(NAME n): with CMAKE_UNITY_BUILD, n files of the target at a time are compiled as one, so that the
# templates that they share are instantiated and optimised once. Names in unnamed namespaces must therefore be unique
# within a target. n bounds the memory of the compiler.
function(sidetap_combined name n)
  set_target_properties(${name} PROPERTIES UNITY_BUILD_MODE BATCH UNITY_BUILD_BATCH_SIZE ${n})
endfunction()

# sidetap_library(NAME PCH name [OFTEN] SOURCES a.cpp... LINK lib...): PCH names a precompiled header from above.
# "packet_path" is for code that runs for each packet, and sets the compiler options of the packet path. "network" and
# "tree" are for control code. OFTEN: some of it runs for each review or packet.
function(sidetap_library name)
  cmake_parse_arguments(ARG "OFTEN" "PCH" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC sidetap_options ${ARG_LINK})
  target_precompile_headers(${name} REUSE_FROM sidetap_pch_${ARG_PCH})
  if(ARG_PCH MATCHES "network|tree")
    sidetap_combined(${name} 4)
    if(NOT ARG_OFTEN)
      target_link_libraries(${name} PRIVATE sidetap_control_options)
    endif()
  else()
    sidetap_combined(${name} 6)
  endif()
  if(ARG_PCH STREQUAL "packet_path")
    target_link_libraries(${name} PRIVATE sidetap_packet_path_options)
  endif()
endfunction()

# Builds what a sanitizer preset runs: the tests labelled "sanitize". ThreadSanitizer's are those labelled "threads": what
# knows one thread alone has nothing to show there.
add_custom_target(sanitized)
set(sidetap_sanitized_label sanitize)
if(SIDETAP_SANITIZE MATCHES "thread")
  set(sidetap_sanitized_label threads)
endif()

# sidetap_test(NAME [NETWORK] [OWN_PROCESSES] SOURCES a_test.cpp... LINK lib... [THREADS a_test.cpp...] [LABELS l...]): a
# GoogleTest program, one ctest entry for all of its tests: the start of a process takes longer than most tests.
# NETWORK: its sources wait on the network.
# OWN_PROCESSES: its tests change or measure their process, so that they never share one, and each has an entry.
# THREADS: those of the sources in which several threads meet. They are what ThreadSanitizer builds and runs of the program.
# The label "sanitize" puts it into the other sanitizers' run.
function(sidetap_test name)
  cmake_parse_arguments(ARG "NETWORK;OWN_PROCESSES" "" "SOURCES;THREADS;LINK;LABELS" ${ARGN})
  if(ARG_THREADS)
    list(APPEND ARG_LABELS threads)
    if(sidetap_sanitized_label STREQUAL "threads")
      set(ARG_SOURCES ${ARG_THREADS})
    endif()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE sidetap_options sidetap_test_options ${ARG_LINK} GTest::gmock GTest::gtest_main)
  if(ARG_NETWORK)
    target_precompile_headers(${name} REUSE_FROM sidetap_pch_network_test)
    sidetap_combined(${name} 4)
  else()
    target_precompile_headers(${name} REUSE_FROM sidetap_pch_test)
    sidetap_combined(${name} 8)
  endif()
  target_compile_definitions(${name} PRIVATE SIDETAP_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    SIDETAP_BINARY_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  if(sidetap_sanitized_label IN_LIST ARG_LABELS)
    add_dependencies(sanitized ${name})
  endif()
  # The C library aborts at a second free. It also overwrites most freed memory, but for small blocks in its per-thread cache.
  set(environment MALLOC_PERTURB_=165)
  # One label per test, because gtest_discover_tests does not pass on lists. ctest -L matches a part of it.
  string(JOIN "_" label unit ${ARG_LABELS})
  if(NOT ARG_OWN_PROCESSES)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 600 LABELS ${label} ENVIRONMENT ${environment})
    if(ARG_NETWORK)
      # Its waits add up; they are to pass beside what computes.
      set_tests_properties(${name} PROPERTIES COST 40)
    endif()
  else()
    include(GoogleTest)
    gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
      PROPERTIES TIMEOUT 120 LABELS ${label} ENVIRONMENT ${environment})
  endif()
endfunction()

# sidetap_fuzzer(NAME [PCH name] SOURCES f.cpp LINK lib... CORPUS dir): libFuzzer with SIDETAP_FUZZ; in every other build
# a program that replays the kept corpus, run by ctest. PCH names a precompiled header from above, "ground" by default.
function(sidetap_fuzzer name)
  cmake_parse_arguments(ARG "" "CORPUS;PCH" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_PCH)
    set(ARG_PCH ground)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_precompile_headers(${name} REUSE_FROM sidetap_pch_${ARG_PCH})
  target_link_libraries(${name} PRIVATE sidetap_options ${ARG_LINK})
  if(SIDETAP_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_link_libraries(${name} PRIVATE sidetap_replay)
  endif()
  add_test(NAME ${name}.corpus COMMAND ${name} -runs=0 ${ARG_CORPUS})
  set_tests_properties(${name}.corpus PROPERTIES LABELS "fuzz;sanitize" TIMEOUT 120)
  if(sidetap_sanitized_label STREQUAL "sanitize")
    add_dependencies(sanitized ${name})
  endif()
endfunction()
