#include "hub/hub_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "base/log.h"

namespace sdtune {
namespace {

constexpr int kTries = 5;
constexpr double kLongestWait = 300;

std::string describe(const HttpResponse& response) {
  if (response.failure != HttpResponse::Failure::kNone) return response.reason;
  return fmt::format("answer {}", response.status);
}

// What the server says of it, as one line of plain letters.
std::string server_message(const HttpResponse& response) {
  std::string text = response.header("x-error-message").substr(0, 200);
  std::erase_if(text, [](char c) { return c < 0x20 || c > 0x7e; });
  return text.empty() ? "" : ": " + text;
}

std::string page_of(const HubPlace& place, const HubSettings& settings) {
  return settings.endpoint + "/" + repo_path(place);
}

Error not_reached(const HttpResponse& response, const HubSettings& settings) {
  if (response.failure == HttpResponse::Failure::kStopped) {
    return Error("the exchange with the Hugging Face Hub was stopped", settings.endpoint);
  }
  return Error(fmt::format("the Hugging Face Hub cannot be reached: {}", response.reason),
               settings.endpoint,
               "check the network, the proxy (https_proxy) and HF_ENDPOINT; what is received "
               "already is kept, and the same command goes on from there");
}

Error not_allowed(const HubPlace& place, const HubSettings& settings, bool is_gated) {
  const std::string page = page_of(place, settings);
  if (is_gated) {
    return Error(
        fmt::format("{} asks for its terms to be accepted", place.repo), page,
        fmt::format("accept them on that page, and {} your account's token",
                    settings.token.empty() ? "set HF_TOKEN to" : "check that HF_TOKEN is"));
  }
  if (settings.token.empty()) {
    return Error(fmt::format("the Hub has no {}, or shows it to some accounts only", place.repo),
                 page, "correct the name, or set HF_TOKEN to a token that may read it");
  }
  return Error(fmt::format("the token does not open {}", place.repo), page,
               "check that HF_TOKEN is valid and that its account may use the repository");
}

Error not_found(const HubPlace& place, const HubSettings& settings, const std::string& code) {
  const std::string page = page_of(place, settings);
  if (code == "RevisionNotFound") {
    return Error(fmt::format("{} has no revision \"{}\"", place.repo, place.revision), page,
                 "correct the branch, tag or commit");
  }
  if (code == "EntryNotFound" || (code.empty() && !place.path.empty())) {
    return Error(fmt::format("{} has no file \"{}\"", place.repo, place.path), page,
                 "correct the file's name; the page lists them");
  }
  return Error(fmt::format("the Hub has no {}", place.repo), page, "correct the name");
}

}  // namespace

bool is_passing(const HttpResponse& response) {
  using Failure = HttpResponse::Failure;
  if (response.failure != Failure::kNone) {
    return response.failure == Failure::kNoConnection || response.failure == Failure::kCut;
  }
  constexpr std::array kPassing = {408, 429, 500, 502, 503, 504};
  return std::find(kPassing.begin(), kPassing.end(), response.status) != kPassing.end();
}

bool Retries::again(const HttpResponse& response, const std::string& subject) {
  if (!is_passing(response) || ++failures_ >= kTries) return false;
  const double wait = std::max(first_wait_s_ * (1 << (failures_ - 1)), response.retry_after_s);
  if (wait > kLongestWait) return false;
  log_info("{}: {}; trying again in {:.1f} s", subject, describe(response), wait);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(wait);
  while (!stop_ && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return !stop_;
}

Error hub_error(const HttpResponse& response, const HubPlace& place, const HubSettings& settings) {
  const std::string code = response.header("x-error-code");
  if (response.failure != HttpResponse::Failure::kNone) return not_reached(response, settings);
  switch (response.status) {
    case 401:
    case 403:
      return not_allowed(place, settings, code == "GatedRepo");
    case 404:
      return not_found(place, settings, code);
    case 429:
      return Error("the Hub asks for fewer requests", page_of(place, settings),
                   fmt::format("try again {}; with HF_TOKEN more are allowed",
                               response.retry_after_s > 0
                                   ? fmt::format("in {:.0f} s", response.retry_after_s)
                                   : "later"));
    default:
      return Error(
          fmt::format("the Hub answers with {}{}", response.status, server_message(response)),
          page_of(place, settings),
          response.status >= 500 ? "try again later" : "check HF_ENDPOINT");
  }
}

HubClient::HubClient(const HubSettings& settings, const std::atomic<bool>& stop)
    : settings_(settings), stop_(stop), http_({settings.patience_s, settings.certificates}) {}

HttpResponse HubClient::send_once(HttpRequest request) {
  if (!settings_.token.empty() && request.url.starts_with(settings_.endpoint + "/")) {
    request.headers.push_back("Authorization: Bearer " + settings_.token);
  }
  return http_.send(request, stop_);
}

HttpResponse HubClient::ask(const HttpRequest& request, const HubPlace& place, int may_fail) {
  Retries retries(settings_.first_wait_s, stop_);
  while (true) {
    HttpResponse response = send_once(request);
    const bool is_answer = response.failure == HttpResponse::Failure::kNone;
    if (response.ok() || (is_answer && response.status == may_fail)) return response;
    if (is_brief_ || !retries.again(response, name_of(place))) {
      throw hub_error(response, place, settings_);
    }
  }
}

}  // namespace sdtune
