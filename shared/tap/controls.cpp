#include "shared/tap/controls.h"

#include <algorithm>
#include <cstddef>

#include "shared/net/text.h"

namespace sidetap::tap {

Result<ControlSet> parse_controls(std::string_view text) {
  ControlSet controls;
  if (text == "on") return controls.set();
  if (text == "off") return controls;
  for (const std::string_view name : net::Items(text)) {
    const auto found = std::find(kControls.begin(), kControls.end(), net::trimmed(name, " "));
    if (found == kControls.end())
      return Error{"on, off, or several of " + net::joined(kControls, ", ") +
                   ", separated by commas"};
    controls.set(static_cast<std::size_t>(found - kControls.begin()));
  }
  return controls;
}

std::vector<std::string_view> names_of(const ControlSet& controls) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < controls.size(); ++i)
    if (controls.test(i)) names.push_back(kControls[i]);
  return names;
}

}  // namespace sidetap::tap
