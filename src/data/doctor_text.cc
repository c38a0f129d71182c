#include <fmt/format.h>

#include <algorithm>

#include "data/doctor_report.h"
#include "options/documentation.h"

namespace sdtune {
namespace {

constexpr int kColumns = 100;
constexpr size_t kNamesShown = 5;
constexpr int kBarColumns = 24;

using Findings = std::vector<const Finding*>;

std::string counted(int64_t count, const std::string& word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

// A name may hold any byte but these would break the line or move the cursor.
std::string shown(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

std::string kind_text(const FindingInfo& info, const Findings& findings) {
  std::string text =
      fmt::format("  {:>5}  {}\n", findings.size(), wrap_text(info.title, kColumns - 9, 9));
  for (size_t i = 0; i < std::min(findings.size(), kNamesShown); ++i) {
    const std::string line = shown(findings[i]->name) + ": " + shown(findings[i]->detail);
    text += "           " + wrap_text(line, kColumns - 11, 13) + "\n";
  }
  if (findings.size() > kNamesShown) {
    text += fmt::format("           … and {} more\n", findings.size() - kNamesShown);
  }
  return text + "         → " + wrap_text(info.advice, kColumns - 11, 11) + "\n";
}

std::string findings_text(const std::vector<Finding>& findings, Severity severity,
                          const std::string& title) {
  std::string text;
  for (const FindingInfo& info : finding_kinds()) {
    Findings of_kind;
    for (const Finding& finding : findings) {
      if (finding.kind == info.kind) of_kind.push_back(&finding);
    }
    if (info.severity == severity && !of_kind.empty()) text += kind_text(info, of_kind);
  }
  return text.empty() ? "" : title + "\n" + text + "\n";
}

std::string bar(int64_t value, int64_t largest) {
  const int64_t length = (value * kBarColumns + largest - 1) / largest;
  std::string text;
  for (int64_t i = 0; i < length; ++i) text += "█";
  return text;
}

std::string buckets_text(const Diagnosis& diagnosis) {
  if (diagnosis.buckets.empty()) return "";
  int64_t largest = 1, datasets = 1;
  for (const CheckedBucket& row : diagnosis.buckets) {
    largest = std::max(largest, row.samples);
    datasets = std::max(datasets, row.bucket.dataset + 1);
  }
  std::string text = "Buckets                                             cut off\n";
  text += "  size          pictures  samples  batches  of    mean   most\n";
  int64_t dataset = -1;
  for (const CheckedBucket& row : diagnosis.buckets) {
    if (datasets > 1 && row.bucket.dataset != dataset) {
      dataset = row.bucket.dataset;
      text += fmt::format("  dataset {}\n", dataset + 1);
    }
    const std::string size = fmt::format("{} x {}", row.bucket.size.width, row.bucket.size.height);
    text += fmt::format("  {:<12}  {:>8}  {:>7}  {:>7}  {:>2}  {:>4.1f} %  {:>4.1f} %  {}\n", size,
                        row.pictures, row.samples, row.batches, row.bucket.batch_size,
                        100 * row.mean_loss, 100 * row.worst_loss, bar(row.samples, largest));
  }
  return text + "\n";
}

std::string captions_text(const Diagnosis& diagnosis) {
  if (diagnosis.pictures.empty()) return "";
  const auto& counts = diagnosis.caption_lengths;
  return fmt::format(
      "Captions\n  up to 75 tokens: {}, up to 150: {}, up to 225: {}, longer: {}\n\n", counts[0],
      counts[1], counts[2], counts[3]);
}

std::string steps_text(const StepPlan& plan) {
  if (plan.total_steps == 0) return "";
  std::string text = "Steps\n";
  text += fmt::format("  {} with repeats = {} an epoch, in {} {}\n",
                      counted(plan.pictures, "picture"), counted(plan.samples_per_epoch, "sample"),
                      plan.batches_per_epoch, plan.batches_per_epoch == 1 ? "batch" : "batches");
  text += fmt::format("  {} / {} accumulated, rounded up = {} an epoch\n", plan.batches_per_epoch,
                      plan.accumulation, counted(plan.steps_per_epoch, "step"));
  text += fmt::format("  {} in all = {}{}\n", counted(plan.total_steps, "step"),
                      counted(plan.epochs, "epoch"),
                      plan.ends_within_epoch ? ", the last one cut short" : "");
  text += fmt::format("  {}{} seen, each picture {:.1f} times on average\n\n",
                      plan.ends_within_epoch ? "about " : "", counted(plan.images_seen, "sample"),
                      static_cast<double>(plan.images_seen) / static_cast<double>(plan.pictures));
  return text;
}

std::string disk_text(const CheckReport& report) {
  if (report.steps.total_steps == 0) return "";
  const CheckpointNeeds& needs = report.checkpoints;
  std::string text = "Disk (about)\n";
  text += fmt::format("  models       {} x {} = {}\n", needs.models, bytes_text(needs.model_bytes),
                      bytes_text(needs.models * needs.model_bytes));
  if (needs.states > 0) {
    text +=
        fmt::format("  states       {} x {} = {}\n", needs.states, bytes_text(needs.state_bytes),
                    bytes_text(needs.states * needs.state_bytes));
  }
  const char* where = report.keeps_latents == LatentKeeping::kDisk     ? "on disk"
                      : report.keeps_latents == LatentKeeping::kMemory ? "in memory"
                                                                       : "if they were cached";
  text += fmt::format("  latents      {} {}\n", bytes_text(report.latent_bytes), where);
  for (const DiskPlace& place : report.places) {
    text += fmt::format("  free         {} for {} in {}\n", bytes_text(place.free), place.purpose,
                        shown(place.folder.string()));
  }
  return text + "\n";
}

}  // namespace

std::string summary_line(const std::vector<Finding>& findings) {
  return fmt::format("{}, {}, {}", counted(count_of(findings, Severity::kError), "error"),
                     counted(count_of(findings, Severity::kWarning), "warning"),
                     counted(count_of(findings, Severity::kNote), "note"));
}

std::string report_text(const CheckReport& report) {
  const Diagnosis& diagnosis = report.diagnosis;
  std::string text = fmt::format("{} listed, {} of them can be trained on\n\n",
                                 counted(std::ssize(diagnosis.pictures), "picture"),
                                 diagnosis.dataset.items.size());
  text += findings_text(diagnosis.findings, Severity::kError, "ERRORS");
  text += findings_text(diagnosis.findings, Severity::kWarning, "WARNINGS");
  text += findings_text(diagnosis.findings, Severity::kNote, "NOTES");
  text += buckets_text(diagnosis) + captions_text(diagnosis);
  text += steps_text(report.steps) + disk_text(report);
  if (!report.are_pixels_checked) {
    text += "Headers only: pictures were not decoded, near copies not looked for.\n";
  }
  return text + summary_line(diagnosis.findings) + "\n";
}

}  // namespace sdtune
