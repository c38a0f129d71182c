#include "data/clean_metadata.h"

#include <optional>

namespace sdtune {
namespace {

struct FieldRule {
  const char* field;
  const TextRule& rule;
  size_t& changed;
  std::vector<std::string>& without;
};

void clean_field(MetadataEntry& entry, const FieldRule& field, const CleaningRules& rules) {
  const std::optional<std::string> before = entry.text(field.field);
  if (!before) {
    field.without.push_back(entry.key());
    return;
  }
  const std::string after = field.rule(*before);
  if (rules.on_text) rules.on_text(entry, field.field, *before, after);
  if (after == *before) return;
  entry.set_text(field.field, after);
  ++field.changed;
}

}  // namespace

CleanReport clean_metadata(MetadataFile& metadata, const CleaningRules& rules) {
  CleanReport report;
  const FieldRule tags{"tags", rules.tags, report.tags_changed, report.without_tags};
  const FieldRule caption{"caption", rules.caption, report.captions_changed,
                          report.without_caption};
  for (MetadataEntry& entry : metadata.entries()) {
    clean_field(entry, tags, rules);
    clean_field(entry, caption, rules);
  }
  return report;
}

}  // namespace sdtune
