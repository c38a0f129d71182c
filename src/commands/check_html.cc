#include "commands/check_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <string_view>

#include "data/doctor_pixels.h"
#include "text/python_unicode.h"

namespace sdtune {
namespace {

constexpr int kThumbnailSide = 256;
constexpr size_t kNamesShown = 100;  // of one kind of finding

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>sdtune check</title>
<style>
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --ink: #1c2128; --soft: #5b6470;
  --line: #d9dee5; --bar: #4a7fd6; --error: #c62f3b; --warning: #a86500; --note: #3d6a8a; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171b; --card: #1e2329; --ink: #e4e8ed; --soft: #9aa4b0; --line: #343b44;
    --bar: #6a9bea; --error: #ff7b83; --warning: #e6ac4c; --note: #8dbbe0; }
}
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--back);
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
.soft { color: var(--soft); }
.error { color: var(--error); } .warning { color: var(--warning); } .note { color: var(--note); }
.counts { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-weight: 600; }
details, table, .card { background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
details { padding: .45rem .8rem; margin: .35rem 0; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 2.2rem; text-align: right; margin-right: .5rem; }
details ul { margin: .5rem 0; padding-left: 1.4rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); }
tr:last-child td { border-bottom: 0; }
td.text, th.text { text-align: left; overflow-wrap: anywhere; }
td.bar { min-width: 12rem; }
td.bar i { display: block; height: .8rem; background: var(--bar); border-radius: 2px; }
.grid { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
.card { padding: .7rem; overflow-wrap: anywhere; font-size: .87rem; }
.card p { margin: .35rem 0 0; }
.frame { display: flex; align-items: center; justify-content: center; min-height: 8rem; }
.shot { position: relative; overflow: hidden; line-height: 0; }
.shot img { max-width: 100%; }
.crop { position: absolute; box-sizing: border-box; border: 1px solid #fff;
  outline: 1px solid #000; box-shadow: 0 0 0 9999px rgb(0 0 0 / 55%); }
.crop.any { border-style: dashed; }
</style>
</head>
<body>
)";

// Any bytes to text of a page: markup escaped, ill-formed UTF-8 and control characters replaced.
std::string escaped(std::string_view bytes) {
  std::string text;
  for (const char c : encode_utf8(decode_utf8(bytes))) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&') {
      text += "&amp;";
    } else if (c == '<') {
      text += "&lt;";
    } else if (c == '>') {
      text += "&gt;";
    } else if (c == '"') {
      text += "&quot;";
    } else if (c == '\'') {
      text += "&#39;";
    } else if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) {
      text += "\xef\xbf\xbd";
    } else {
      text += c;
    }
  }
  return text;
}

std::string base64(std::span<const std::byte> bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? std::to_integer<uint32_t>(bytes[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

std::string text_of(Size size) { return fmt::format("{} × {}", size.width, size.height); }

std::string percent(double share) { return fmt::format("{:.4g}%", 100 * share); }

std::string header_html(const Diagnosis& diagnosis) {
  std::string counts;
  for (const Severity severity : {Severity::kError, Severity::kWarning, Severity::kNote}) {
    const int64_t count = count_of(diagnosis.findings, severity);
    const std::string name = severity_name(severity);
    counts += fmt::format("<span class=\"{}\">{} {}{}</span>\n", name, count, name,
                          count == 1 ? "" : "s");
  }
  return fmt::format(
      "<h1>sdtune check</h1>\n<p class=\"soft\">{} pictures listed, {} of them can be trained "
      "on</p>\n<div class=\"counts\">\n{}</div>\n",
      diagnosis.pictures.size(), diagnosis.dataset.items.size(), counts);
}

std::string kind_html(const FindingInfo& info, const std::vector<const Finding*>& findings) {
  std::string items;
  for (size_t i = 0; i < std::min(findings.size(), kNamesShown); ++i) {
    items += fmt::format("<li>{}: <span class=\"soft\">{}</span></li>\n",
                         escaped(findings[i]->name), escaped(findings[i]->detail));
  }
  if (findings.size() > kNamesShown) {
    items += fmt::format("<li>and {} more</li>\n", findings.size() - kNamesShown);
  }
  return fmt::format(
      "<details{}>\n<summary><b class=\"{}\">{}</b>{}</summary>\n<ul>\n{}</ul>\n"
      "<p class=\"soft\">{}</p>\n</details>\n",
      info.severity == Severity::kError ? " open" : "", severity_name(info.severity),
      findings.size(), escaped(info.title), items, escaped(info.advice));
}

std::string findings_html(const Diagnosis& diagnosis) {
  std::string html = "<h2>Findings</h2>\n";
  if (diagnosis.findings.empty()) return html + "<p>Nothing needs a hand.</p>\n";
  for (const FindingInfo& info : finding_kinds()) {
    std::vector<const Finding*> of_kind;
    for (const Finding& finding : diagnosis.findings) {
      if (finding.kind == info.kind) of_kind.push_back(&finding);
    }
    if (!of_kind.empty()) html += kind_html(info, of_kind);
  }
  return html;
}

std::string buckets_html(const Diagnosis& diagnosis) {
  if (diagnosis.buckets.empty()) return "";
  int64_t largest = 1;
  for (const CheckedBucket& row : diagnosis.buckets) largest = std::max(largest, row.samples);
  std::string html =
      "<h2>Buckets</h2>\n<div class=\"wide\"><table>\n<tr><th>dataset</th><th>size</th>"
      "<th>pictures</th><th>samples</th><th>batches</th><th>of</th><th>cut off, mean</th>"
      "<th>most</th><th class=\"text\">samples</th></tr>\n";
  for (const CheckedBucket& row : diagnosis.buckets) {
    const double share = static_cast<double>(row.samples) / static_cast<double>(largest);
    html += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1f} %</td>"
        "<td>{:.1f} %</td><td class=\"bar\"><i style=\"width:{}\"></i></td></tr>\n",
        row.bucket.dataset + 1, text_of(row.bucket.size), row.pictures, row.samples, row.batches,
        row.bucket.batch_size, 100 * row.mean_loss, 100 * row.worst_loss, percent(share));
  }
  return html + "</table></div>\n";
}

std::string row_html(const std::string& name, const std::string& value) {
  return fmt::format("<tr><td class=\"text\">{}</td><td>{}</td></tr>\n", escaped(name),
                     escaped(value));
}

std::string captions_html(const Diagnosis& diagnosis) {
  static constexpr const char* kNames[] = {"up to 75 tokens", "up to 150", "up to 225", "longer"};
  std::string rows;
  for (size_t i = 0; i < diagnosis.caption_lengths.size(); ++i) {
    rows += row_html(kNames[i], std::to_string(diagnosis.caption_lengths[i]));
  }
  return "<h2>Captions</h2>\n<table>\n" + rows + "</table>\n";
}

std::string steps_html(const StepPlan& plan) {
  if (plan.total_steps == 0) return "";
  const std::string about = plan.ends_within_epoch ? "about " : "";
  return "<h2>Steps</h2>\n<table>\n" + row_html("pictures", std::to_string(plan.pictures)) +
         row_html("samples an epoch, with repeats", std::to_string(plan.samples_per_epoch)) +
         row_html("batches an epoch", std::to_string(plan.batches_per_epoch)) +
         row_html("batches in a step", std::to_string(plan.accumulation)) +
         row_html("steps an epoch", std::to_string(plan.steps_per_epoch)) +
         row_html("steps in all", std::to_string(plan.total_steps)) +
         row_html(plan.ends_within_epoch ? "epochs, the last one cut short" : "epochs",
                  std::to_string(plan.epochs)) +
         row_html("samples seen", about + std::to_string(plan.images_seen)) + "</table>\n";
}

std::string disk_html(const CheckReport& report) {
  if (report.steps.total_steps == 0) return "";
  const CheckpointNeeds& needs = report.checkpoints;
  std::string rows = row_html(fmt::format("{} models", needs.models),
                              "about " + bytes_text(needs.models * needs.model_bytes));
  if (needs.states > 0) {
    rows += row_html(fmt::format("{} states", needs.states),
                     "about " + bytes_text(needs.states * needs.state_bytes));
  }
  rows += row_html(report.keeps_latents == LatentKeeping::kDisk     ? "latents, on disk"
                   : report.keeps_latents == LatentKeeping::kMemory ? "latents, in memory"
                                                                    : "latents, if cached",
                   bytes_text(report.latent_bytes));
  for (const DiskPlace& place : report.places) {
    rows += row_html(fmt::format("free for {} in {}", place.purpose, place.folder.string()),
                     bytes_text(place.free));
  }
  return "<h2>Disk</h2>\n<table>\n" + rows + "</table>\n";
}

// The findings of each picture.
std::vector<std::vector<const Finding*>> findings_by_picture(const Diagnosis& diagnosis) {
  std::vector<std::vector<const Finding*>> result(diagnosis.pictures.size());
  for (const Finding& finding : diagnosis.findings) {
    for (const size_t picture : finding.pictures) result[picture].push_back(&finding);
  }
  return result;
}

// Which pictures are shown: the worst first, then those without findings, each in the listed order.
std::vector<size_t> shown_pictures(const std::vector<std::vector<const Finding*>>& findings) {
  const auto rank = [&](size_t picture) {
    int worst = 3;
    for (const Finding* finding : findings[picture]) {
      worst = std::min(worst, static_cast<int>(info_of(finding->kind).severity));
    }
    return worst;
  };
  std::vector<size_t> order(findings.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return rank(a) < rank(b); });
  order.resize(std::min(order.size(), kPicturesOnPage));
  return order;
}

std::string crop_html(const CheckedPicture& picture, const SubsetOptions& subset) {
  if (!picture.placement) return "";
  const CropShare crop = crop_share(*picture.placement);
  const bool is_anywhere = subset.random_crop || subset.face_crop_aug_range;
  return fmt::format(
      "<span class=\"crop{}\" title=\"{}\" style=\"left:{};top:{};width:{};height:{}\"></span>",
      is_anywhere ? " any" : "",
      is_anywhere ? "a crop of this size, from elsewhere each time" : "what training sees",
      percent(crop.x), percent(crop.y), percent(crop.width), percent(crop.height));
}

std::string card_html(const CheckReport& report, size_t index,
                      const std::vector<const Finding*>& findings,
                      std::span<const std::byte> thumbnail) {
  const CheckedPicture& picture = report.diagnosis.pictures[index];
  const SubsetOptions& subset = report.diagnosis.dataset.subsets[picture.subset];
  const std::string shot =
      thumbnail.empty()
          ? "<span class=\"soft\">no picture</span>"
          : fmt::format(
                "<div class=\"shot\"><img alt=\"\" src=\"data:image/jpeg;base64,{}\">{}"
                "</div>",
                base64(thumbnail), crop_html(picture, subset));
  std::string html = fmt::format(
      "<div class=\"card\">\n<div class=\"frame\">{}</div>\n<p><b>{}</b>"
      "</p>\n",
      shot, escaped(picture.name));
  if (picture.placement) {
    html += fmt::format("<p class=\"soft\">{} → {}, {:.1f} % cut off</p>\n",
                        text_of(picture.facts.size), text_of(picture.placement->bucket),
                        100 * crop_loss(*picture.placement));
  } else {
    html += "<p class=\"soft\">not trained on</p>\n";
  }
  html += fmt::format("<p>{} <span class=\"soft\">({} token{})</span></p>\n",
                      escaped(picture.caption), picture.tokens, picture.tokens == 1 ? "" : "s");
  for (const Finding* finding : findings) {
    const FindingInfo& info = info_of(finding->kind);
    std::string id = info.id;
    std::replace(id.begin(), id.end(), '_', ' ');
    html += fmt::format("<p class=\"{}\">{}: {}</p>\n", severity_name(info.severity), escaped(id),
                        escaped(finding->detail));
  }
  return html + "</div>\n";
}

std::string pictures_html(const CheckReport& report, int threads) {
  const std::vector<CheckedPicture>& pictures = report.diagnosis.pictures;
  if (pictures.empty()) return "";
  const auto findings = findings_by_picture(report.diagnosis);
  const std::vector<size_t> shown = shown_pictures(findings);
  std::vector<std::filesystem::path> files;
  for (const size_t index : shown) files.push_back(pictures[index].sample.image);
  const auto thumbnails = make_thumbnails(files, kThumbnailSide, threads);

  std::string html = "<h2>Pictures</h2>\n";
  if (shown.size() < pictures.size()) {
    html += fmt::format("<p class=\"soft\">{} of {}, those with findings first</p>\n", shown.size(),
                        pictures.size());
  }
  html += "<div class=\"grid\">\n";
  for (size_t i = 0; i < shown.size(); ++i) {
    html += card_html(report, shown[i], findings[shown[i]], thumbnails[i]);
  }
  return html + "</div>\n";
}

}  // namespace

std::string report_html(const CheckReport& report, int threads) {
  const Diagnosis& diagnosis = report.diagnosis;
  return std::string(kHead) + header_html(diagnosis) + findings_html(diagnosis) +
         buckets_html(diagnosis) + captions_html(diagnosis) + steps_html(report.steps) +
         disk_html(report) + pictures_html(report, threads) + "</body>\n</html>\n";
}

}  // namespace sdtune
