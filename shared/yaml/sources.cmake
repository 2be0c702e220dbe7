# Reads documents as kubectl does. Depends only on sidetap_net.
sidetap_library(sidetap_yaml PCH tree
  SOURCES yaml/builder.cpp yaml/documents.cpp yaml/json_reader.cpp yaml/scalar.cpp yaml/text.cpp yaml/tree.cpp
    yaml/yaml_reader.cpp yaml/yaml_writer.cpp
  LINK sidetap_net nlohmann_json::nlohmann_json PkgConfig::LIBYAML)
