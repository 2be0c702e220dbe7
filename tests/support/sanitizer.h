// What tests have to know of the sanitizer that they run under.
#pragma once

namespace sidetap::testing_support {

/// UndefinedBehaviorSanitizer opens a pipe when it meets a type for the first time, and ends the
/// process where it cannot: a test that leaves no descriptor free skips itself. The other builds
/// run it.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitizerNeedsDescriptors = true;
#else
inline constexpr bool kSanitizerNeedsDescriptors = false;
#endif

}  // namespace sidetap::testing_support
