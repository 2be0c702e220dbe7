// What tests must know about the sanitizer that they run under.
#pragma once

#if defined(__has_feature)  // clang
#if __has_feature(address_sanitizer)
#define SIDETAP_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)  // GCC
#define SIDETAP_ADDRESS_SANITIZER
#endif

namespace sidetap::testing_support {

/// UndefinedBehaviorSanitizer opens a pipe for the first object of each type, and ends the process
/// if it cannot. A test that leaves no descriptor free is therefore skipped there. The other builds
/// run it.
#if defined(SIDETAP_ADDRESS_SANITIZER)
inline constexpr bool kSanitizerNeedsDescriptors = true;
#else
inline constexpr bool kSanitizerNeedsDescriptors = false;
#endif

/// AddressSanitizer keeps memory of its own for each byte that is touched, and gives none of it
/// back. A test that measures what is resident is therefore skipped there. The other builds run it.
inline constexpr bool kSanitizerKeepsMemory = kSanitizerNeedsDescriptors;

/// Under AddressSanitizer a round of a random test takes ten times as long. What it looks for is in
/// few rounds as in many. The other builds, which check the answers alone, run them all.
inline constexpr bool kFewRounds = kSanitizerNeedsDescriptors;

}  // namespace sidetap::testing_support
