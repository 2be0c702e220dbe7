# Options that every target shares, and the functions by which targets are declared.
add_library(sidetap_options INTERFACE)
target_include_directories(sidetap_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(sidetap_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wno-sign-conversion -Wnon-virtual-dtor -Wold-style-cast)
target_compile_definitions(sidetap_options INTERFACE SIDETAP_VERSION="${PROJECT_VERSION}")
if(SIDETAP_WERROR)
  target_compile_options(sidetap_options INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these inside its own and Boost's inlined headers, on correct code.
  target_compile_options(sidetap_options INTERFACE -Wno-maybe-uninitialized -Wno-restrict
    -Wno-array-bounds -Wno-stringop-overflow -Wno-dangling-pointer)
endif()
if(SIDETAP_SANITIZE)
  target_compile_options(sidetap_options INTERFACE -fsanitize=${SIDETAP_SANITIZE}
    -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(sidetap_options INTERFACE -fsanitize=${SIDETAP_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND SIDETAP_SANITIZE MATCHES "undefined")
    # clang cannot place this check's data beside coroutines ("difference across sections").
    target_compile_options(sidetap_options INTERFACE -fno-sanitize=function)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND SIDETAP_SANITIZE MATCHES "thread")
    # Asio's atomic fences are not modelled by TSan; its own code does not depend on them.
    target_compile_options(sidetap_options INTERFACE -Wno-tsan)
  endif()
endif()
if(SIDETAP_FUZZ)
  # Coverage for every object; only the fuzzers themselves link libFuzzer's main.
  target_compile_options(sidetap_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(sidetap_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Boost.Asio and Beast are compiled once, in shared/http/boost_impl.cpp, instead of in every file.
add_library(sidetap_boost INTERFACE)
target_link_libraries(sidetap_boost INTERFACE Boost::headers Threads::Threads OpenSSL::SSL OpenSSL::Crypto)
target_compile_definitions(sidetap_boost INTERFACE BOOST_ASIO_SEPARATE_COMPILATION
  BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ALLOW_DEPRECATED_HEADERS)

# sidetap_library(NAME SOURCES a.cpp... LINK lib...)
function(sidetap_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC sidetap_options ${ARG_LINK})
endfunction()

# sidetap_packet_path(NAME): what this target does, it does for each packet.
function(sidetap_packet_path name)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC would read small structures as one vector right after their members were written one by one, which the
    # processor cannot forward from its store buffer: a dozen cycles for each.
    target_compile_options(${name} PRIVATE -fno-tree-slp-vectorize)
  endif()
endfunction()

# Builds what a sanitizer preset runs: the tests labelled "sanitize"; ThreadSanitizer's are those labelled "threads" too,
# since what knows one thread alone has nothing to show there.
add_custom_target(sanitized)
set(sidetap_sanitized_label sanitize)
if(SIDETAP_SANITIZE MATCHES "thread")
  set(sidetap_sanitized_label threads)
endif()

# sidetap_test(NAME SOURCES a_test.cpp... LINK lib... [LABELS l...]): a GoogleTest program, one ctest entry per test.
# The label "sanitize" puts it into the sanitizer runs too, "threads" into ThreadSanitizer's.
function(sidetap_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE sidetap_options ${ARG_LINK} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE SIDETAP_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    SIDETAP_BINARY_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  if(sidetap_sanitized_label IN_LIST ARG_LABELS)
    add_dependencies(sanitized ${name})
  endif()
  # One label a test: gtest_discover_tests passes no lists on. ctest -L matches a part of it.
  string(JOIN "_" label unit ${ARG_LABELS})
  include(GoogleTest)
  gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS ${label})
endfunction()

# sidetap_fuzzer(NAME SOURCES f.cpp LINK lib... CORPUS dir): libFuzzer with SIDETAP_FUZZ; in every other build a
# program that replays the kept corpus, run by ctest.
function(sidetap_fuzzer name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE sidetap_options ${ARG_LINK})
  if(SIDETAP_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
  endif()
  add_test(NAME ${name}.corpus COMMAND ${name} -runs=0 ${ARG_CORPUS})
  set_tests_properties(${name}.corpus PROPERTIES LABELS "fuzz;sanitize" TIMEOUT 120)
  if(sidetap_sanitized_label STREQUAL "sanitize")
    add_dependencies(sanitized ${name})
  endif()
endfunction()
