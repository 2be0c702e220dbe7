// Prints the tables of both programs as JSON, for texts.py: their options, the settings of taps
// that have a key in the configuration, and the options of taps that the webhook sets by itself.
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "shared/net/text.h"
#include "shared/tap/assigned.h"
#include "shared/tap/settings.h"
#include "sidecar/collector/collect_options.h"
#include "sidecar/options/options.h"
#include "webhook/serve/serve_options.h"

namespace sidetap {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const config::OptionSpec& option) {
  return {{"flag", option.flag},
          {"variable", option.env},
          {"value", option.value},
          {"default", option.fallback},
          {"help", option.help}};
}

template <typename Options>
Json table_of() {
  config::OptionSet set("", "");
  Options options;
  declare(set, options);
  Json table = Json::array();
  for (const config::OptionSpec& option : set.specs()) table.push_back(to_json(option));
  return table;
}

std::string form_name(tap::Form form) {
  switch (form) {
    case tap::Form::kNumber:
      return "number";
    case tap::Form::kWord:
      return "word";
    case tap::Form::kSwitch:
      return "switch";
    case tap::Form::kPrefixes:
      return "prefixes";
    case tap::Form::kSize:
    case tap::Form::kText:
    case tap::Form::kTexts:
      break;
  }
  return "text";
}

Json to_json(const tap::Setting& setting) {
  Json words = Json::array();
  if (!setting.words.empty())
    for (const std::string_view word : net::Items(setting.words)) words.push_back(word);
  return {{"key", setting.key},
          {"form", form_name(setting.form)},
          {"least", setting.least},
          {"most", setting.most},
          {"words", words},
          {"initial", setting.initial},
          {"option", to_json(setting.option)}};
}

}  // namespace
}  // namespace sidetap

int main() {
  using namespace sidetap;
  Json settings = Json::array();
  for (const tap::Setting& setting : tap::kSettings) settings.push_back(to_json(setting));
  Json assigned = Json::array();
  for (const config::OptionSpec* option : tap::kAssigned) assigned.push_back(option->flag);
  const Json tables = {{"tap", table_of<RunOptions>()},
                       {"collector", table_of<collector::CollectOptions>()},
                       {"webhook", table_of<webhook::ServeOptions>()},
                       {"settings", settings},
                       {"assigned", assigned}};
  std::cout << tables.dump(2) << '\n';
}
