#include <nlohmann/json.hpp>

#include "data/doctor_report.h"

namespace sdtune {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;

Json pair_of(Size size) { return Json::array({size.width, size.height}); }

Json summary_json(const Diagnosis& diagnosis) {
  return {{"errors", count_of(diagnosis.findings, Severity::kError)},
          {"warnings", count_of(diagnosis.findings, Severity::kWarning)},
          {"notes", count_of(diagnosis.findings, Severity::kNote)},
          {"pictures", diagnosis.pictures.size()},
          {"usable", diagnosis.dataset.items.size()}};
}

Json findings_json(const Diagnosis& diagnosis) {
  Json kinds = Json::array();
  for (const FindingInfo& info : finding_kinds()) {
    Json items = Json::array();
    for (const Finding& finding : diagnosis.findings) {
      if (finding.kind != info.kind) continue;
      items.push_back(
          {{"name", finding.name}, {"detail", finding.detail}, {"pictures", finding.pictures}});
    }
    if (items.empty()) continue;
    kinds.push_back({{"kind", info.id},
                     {"severity", severity_name(info.severity)},
                     {"title", info.title},
                     {"advice", info.advice},
                     {"count", items.size()},
                     {"items", std::move(items)}});
  }
  return kinds;
}

Json buckets_json(const Diagnosis& diagnosis) {
  Json rows = Json::array();
  for (const CheckedBucket& row : diagnosis.buckets) {
    rows.push_back({{"dataset", row.bucket.dataset},
                    {"size", pair_of(row.bucket.size)},
                    {"pictures", row.pictures},
                    {"samples", row.samples},
                    {"batches", row.batches},
                    {"batch_size", row.bucket.batch_size},
                    {"mean_crop_loss", row.mean_loss},
                    {"worst_crop_loss", row.worst_loss}});
  }
  return rows;
}

Json steps_json(const StepPlan& plan) {
  return {{"pictures", plan.pictures},
          {"samples_per_epoch", plan.samples_per_epoch},
          {"batches_per_epoch", plan.batches_per_epoch},
          {"gradient_accumulation_steps", plan.accumulation},
          {"steps_per_epoch", plan.steps_per_epoch},
          {"total_steps", plan.total_steps},
          {"epochs", plan.epochs},
          {"ends_within_epoch", plan.ends_within_epoch},
          {"images_seen", plan.images_seen}};
}

Json disk_json(const CheckReport& report) {
  const CheckpointNeeds& needs = report.checkpoints;
  Json places = Json::array();
  for (const DiskPlace& place : report.places) {
    places.push_back({{"purpose", place.purpose},
                      {"folder", place.folder.string()},
                      {"needed_bytes", place.needed},
                      {"free_bytes", place.free}});
  }
  return {{"models", needs.models},
          {"model_bytes", needs.model_bytes},
          {"states", needs.states},
          {"state_bytes", needs.state_bytes},
          {"checkpoint_bytes", needs.total()},
          {"latent_bytes", report.latent_bytes},
          {"places", std::move(places)}};
}

Json picture_json(const CheckedPicture& picture) {
  Json json = {{"path", picture.sample.image.string()},
               {"name", picture.name},
               {"key", picture.sample.key},
               {"dataset", picture.dataset},
               {"subset", picture.subset},
               {"readable", picture.is_readable},
               {"caption", picture.caption},
               {"tokens", picture.tokens}};
  if (picture.facts.size.width > 0) {
    json["size"] = pair_of(picture.facts.size);
    json["format"] = picture.facts.format;
  }
  if (picture.placement) {
    const CropShare crop = crop_share(*picture.placement);
    json["bucket"] = pair_of(picture.placement->bucket);
    json["resized"] = pair_of(picture.placement->resized);
    json["crop"] = {crop.x, crop.y, crop.width, crop.height};
    json["crop_loss"] = crop_loss(*picture.placement);
  }
  return json;
}

}  // namespace

std::string report_json(const CheckReport& report) {
  const Diagnosis& diagnosis = report.diagnosis;
  Json pictures = Json::array();
  for (const CheckedPicture& picture : diagnosis.pictures) {
    pictures.push_back(picture_json(picture));
  }
  const auto& lengths = diagnosis.caption_lengths;
  const Json json = {{"sdtune_check", kVersion},
                     {"summary", summary_json(diagnosis)},
                     {"pixels_checked", report.are_pixels_checked},
                     {"findings", findings_json(diagnosis)},
                     {"buckets", buckets_json(diagnosis)},
                     {"captions",
                      {{"up_to_75", lengths[0]},
                       {"up_to_150", lengths[1]},
                       {"up_to_225", lengths[2]},
                       {"longer", lengths[3]}}},
                     {"steps", steps_json(report.steps)},
                     {"disk", disk_json(report)},
                     {"pictures", std::move(pictures)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sdtune
