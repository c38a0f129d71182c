// What `sdtune train` writes and what it keeps of it, with sd-scripts' names. The rules are
// train/save_policy.h's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "options/option.h"

namespace sdtune {

struct SaveOptions {
  std::optional<std::string> save_model_as;
  bool use_safetensors = false;
  std::optional<std::string> save_precision;
  std::optional<int64_t> save_every_n_epochs;
  std::optional<int64_t> save_n_epoch_ratio;
  std::optional<int64_t> save_every_n_steps;
  std::optional<double> save_every_n_minutes;
  std::optional<int64_t> save_last_n_epochs, save_last_n_epochs_state;
  std::optional<int64_t> save_last_n_steps, save_last_n_steps_state;
  std::optional<int64_t> save_last_n, save_last_n_state;
  bool save_state = false;
  bool save_state_on_train_end = false;
  std::optional<std::string> resume;

  template <class V>
  void visit(V& v) {
    v.group("Saving");
    v("save_model_as", save_model_as,
      "Form of the models written; the source's own when not given.",
      Choices{"ckpt", "safetensors", "diffusers", "diffusers_safetensors"});
    v("use_safetensors", use_safetensors,
      "Write safetensors where --save_model_as leaves it open.");
    v("save_precision", save_precision,
      "Type of the weights written; as they were trained when not given.",
      Choices{"float", "fp16", "bf16"});
    v("save_every_n_epochs", save_every_n_epochs, "Write the model each n epochs.", Range{1, 1e9});
    v("save_n_epoch_ratio", save_n_epoch_ratio,
      "Write the model about n times, evenly over the epochs; overrides --save_every_n_epochs.",
      Range{1, 1e9});
    v("save_every_n_steps", save_every_n_steps, "Write the model each n steps.", Range{1, 1e12});
    v("save_every_n_minutes", save_every_n_minutes,
      "Write the model when this long has passed since it was last written for this option.",
      Range{0.001, 1e6});
    visit_retention(v);
    v("save_state", save_state, "With each model write what --resume needs to go on exactly.");
    v("save_state_on_train_end", save_state_on_train_end, "Write the state at the end of the run.");
    v("resume", resume,
      "A state folder to go on from; \"auto\" takes the newest whole one of this --output_name, or "
      "starts anew.");
  }

 private:
  template <class V>
  void visit_retention(V& v) {
    v("save_last_n_epochs", save_last_n_epochs,
      "With --save_every_n_epochs=e: once a model is written, remove the one of n times e epochs "
      "before.",
      Range{1, 1e9});
    v("save_last_n_epochs_state", save_last_n_epochs_state,
      "The same for states, when it is another number.", Range{1, 1e9});
    v("save_last_n_steps", save_last_n_steps,
      "With --save_every_n_steps: once a model is written, remove the newest of those more than n "
      "steps old. A count of steps, not of models.",
      Range{1, 1e12});
    v("save_last_n_steps_state", save_last_n_steps_state,
      "The same for states, when it is another number.", Range{1, 1e12});
    v("save_last_n", save_last_n,
      "Keep the newest n of the models written under way, whatever they were written for; the one "
      "of the end is not counted.",
      Range{1, 1e9});
    v("save_last_n_state", save_last_n_state, "The same for states, when it is another number.",
      Range{1, 1e9});
  }
};

}  // namespace sdtune
