// Asking the Hub: who asks, what is tried again after which wait, and what an answer that is no
// success means in words. One for each thread.
#pragma once

#include <atomic>
#include <string>

#include "base/error.h"
#include "hub/http.h"
#include "hub/hub_place.h"
#include "hub/hub_settings.h"

namespace sdtune {

// Whether the same request may do better later: connections that failed or were cut, 408, 429 and
// most of 5xx.
bool is_passing(const HttpResponse& response);

// Counts tries and waits between them.
class Retries {
 public:
  Retries(double first_wait_s, const std::atomic<bool>& stop)
      : first_wait_s_(first_wait_s), stop_(stop) {}

  // Waits and returns true when one more try is worth it. A server's Retry-After is waited for, up
  // to five minutes. `subject` and the reason are logged.
  bool again(const HttpResponse& response, const std::string& subject);
  void succeeded() { failures_ = 0; }

 private:
  double first_wait_s_;
  const std::atomic<bool>& stop_;
  int failures_ = 0;
};

// The message for an answer that is no success. Stopped requests are an Error too.
Error hub_error(const HttpResponse& response, const HubPlace& place, const HubSettings& settings);

class HubClient {
 public:
  // Both must outlive it.
  HubClient(const HubSettings& settings, const std::atomic<bool>& stop);

  const HubSettings& settings() const { return settings_; }
  const std::atomic<bool>& stop() const { return stop_; }

  // One try. The token goes to the Hub's own addresses alone.
  HttpResponse send_once(HttpRequest request);
  // Tries until there is an answer to stay with. Any but a success (and, with `may_fail`, its
  // status) is an Error about `place`.
  HttpResponse ask(const HttpRequest& request, const HubPlace& place, int may_fail = 0);
  // Requests are tried this often without an answer; 1 where something else can stand in.
  void be_brief() { is_brief_ = true; }

 private:
  const HubSettings& settings_;
  const std::atomic<bool>& stop_;
  HttpClient http_;
  bool is_brief_ = false;
};

}  // namespace sdtune
