#include "hub/repository.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/numbers.h"

namespace sdtune {
namespace {

constexpr int kMaxMoves = 5;

Error not_a_hub(const std::string& what, const HubSettings& settings) {
  return Error(fmt::format("the answer is none of a Hugging Face Hub: {}", what), settings.endpoint,
               "check HF_ENDPOINT, and whether a proxy or a login page stands in between");
}

// A renamed repository answers with its new address on the same host; large files with one on
// another, which is not followed for their size.
std::string moved_to(const HttpResponse& response, const HubSettings& settings) {
  const std::string location = response.header("location");
  if (response.status / 100 != 3 || !response.header("x-linked-etag").empty()) return "";
  // "https://host", which a mirror's endpoint may go on from.
  const std::string& endpoint = settings.endpoint;
  const std::string host = endpoint.substr(0, endpoint.find('/', endpoint.find("://") + 3));
  if (location.starts_with("/") && !location.starts_with("//")) return host + location;
  return location.starts_with(host + "/") ? location : "";
}

HttpResponse ask_for_head(HubClient& client, const HubPlace& place, std::string url) {
  Retries retries(client.settings().first_wait_s, client.stop());
  for (int moves = 0; moves < kMaxMoves;) {
    HttpRequest request;
    request.method = "HEAD";
    request.url = url;
    request.headers = {"Accept-Encoding: identity"};
    request.follow_redirects = false;
    HttpResponse response = client.send_once(request);
    const bool is_answer = response.failure == HttpResponse::Failure::kNone;
    if (const std::string moved = moved_to(response, client.settings());
        is_answer && !moved.empty()) {
      url = moved;
      ++moves;
    } else if (is_answer && response.status / 100 <= 3) {
      return response;
    } else if (!retries.again(response, name_of(place))) {
      throw hub_error(response, place, client.settings());
    }
  }
  throw not_a_hub("redirects without an end", client.settings());
}

}  // namespace

std::string plain_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  const bool is_plain = std::all_of(etag.begin(), etag.end(), [](unsigned char letter) {
    return std::isalnum(letter) || letter == '-' || letter == '_';
  });
  return is_plain && etag.size() <= 128 ? etag : "";
}

std::string api_url(const HubSettings& settings, const HubPlace& place, const std::string& rest) {
  return fmt::format("{}/api/{}s/{}{}", settings.endpoint, place.type,
                     percent_encode(place.repo, true), rest);
}

std::string file_url(const HubSettings& settings, const HubPlace& place, const std::string& commit,
                     const std::string& name) {
  return fmt::format("{}/{}/resolve/{}/{}", settings.endpoint,
                     percent_encode(repo_path(place), true), percent_encode(commit),
                     percent_encode(name, true));
}

RepoListing list_files(HubClient& client, const HubPlace& place) {
  HttpRequest request;
  request.url = api_url(client.settings(), place, "/revision/" + percent_encode(place.revision));
  HubPlace whole = place;  // what may be missing is the repository or the revision
  whole.path.clear();
  const HttpResponse response = client.ask(request, whole);
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  if (!json.is_object()) throw not_a_hub("no JSON", client.settings());
  RepoListing listing;
  if (json.contains("sha") && json["sha"].is_string()) listing.commit = json["sha"];
  if (!is_commit(listing.commit)) throw not_a_hub("no commit", client.settings());
  const auto siblings = json.find("siblings");
  if (siblings == json.end() || !siblings->is_array()) {
    throw not_a_hub("no list of files", client.settings());
  }
  for (const auto& sibling : *siblings) {
    const bool is_named =
        sibling.is_object() && sibling.contains("rfilename") && sibling["rfilename"].is_string();
    if (is_named) listing.files.push_back(sibling["rfilename"]);
  }
  return listing;
}

RemoteFile look_up(HubClient& client, const HubPlace& place, const std::string& commit,
                   const std::string& name) {
  HubPlace file = place;
  file.path = name;
  const HttpResponse response =
      ask_for_head(client, file, file_url(client.settings(), place, commit, name));
  const auto either = [&](const char* linked, const char* own) {
    const std::string value = response.header(linked);
    return value.empty() ? response.header(own) : value;
  };
  RemoteFile remote;
  remote.name = name;
  remote.etag = plain_etag(either("x-linked-etag", "etag"));
  const std::optional<uint64_t> size =
      number_in<uint64_t>(either("x-linked-size", "content-length"));
  if (remote.etag.empty() || !size) {
    throw not_a_hub(fmt::format("no checksum or size of {}", name), client.settings());
  }
  remote.size = *size;
  return remote;
}

}  // namespace sdtune
