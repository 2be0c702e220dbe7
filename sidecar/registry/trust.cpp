#include "sidecar/registry/trust.h"

#include <algorithm>

namespace sidetap::registry {

void Trust::worked(const std::string& bundle) {
  std::erase(worked_, bundle);
  worked_.push_front(bundle);
  if (worked_.size() > kMostWorked) worked_.pop_back();
}

std::vector<std::string> Trust::candidates() const {
  std::vector<std::string> all{newest_};
  all.insert(all.end(), worked_.begin(), worked_.end());
  all.push_back(first_);
  std::vector<std::string> each_once;
  for (std::string& bundle : all) {
    if (std::find(each_once.begin(), each_once.end(), bundle) == each_once.end()) {
      each_once.push_back(std::move(bundle));
    }
  }
  return each_once;
}

std::string Trust::all() const {
  std::string text;
  for (const std::string& bundle : candidates()) text.append(bundle).append("\n");
  return text;
}

}  // namespace sidetap::registry
