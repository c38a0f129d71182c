// sdtune-parity: runs one component of a Diffusers folder on given inputs, forward and backward,
// and writes what came out, so that test_models.py can hold it against Diffusers and Transformers.
// A test's tool, not installed.
//
//   sdtune-parity unet|vae_encode|vae_decode|text FOLDER INPUTS.safetensors OUTPUT.safetensors
//                 [--checkpointing] [--bf16] [--clip-skip K] [--chunks N]
//
// INPUTS holds the forward arguments by name and `cotangent`; the loss is sum(output * cotangent).
// OUTPUT holds `output`, `grad.<parameter>` for each parameter that got a gradient and
// `input_grad.<name>` for each floating input.
#include <ATen/ATen.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/safetensors.h"
#include "models/autoencoder_kl.h"
#include "models/clip_text.h"
#include "models/config_json.h"
#include "models/unet_2d_condition.h"
#include "tensor_files.h"

namespace sdtune {
namespace {

namespace fs = std::filesystem;

struct Request {
  std::string part;
  fs::path folder;
  fs::path inputs;
  fs::path output;
  bool checkpointing = false;
  bool bf16 = false;
  int64_t clip_skip = 0;
  int64_t chunks = 1;
};

Request parse_request(const std::vector<std::string>& args) {
  if (args.size() < 4) throw UsageError("four arguments are needed: part, folder, inputs, output");
  Request request{.part = args[0], .folder = args[1], .inputs = args[2], .output = args[3]};
  for (size_t i = 4; i < args.size(); ++i) {
    const auto number = [&] { return i + 1 < args.size() ? std::atoll(args[++i].c_str()) : 0; };
    if (args[i] == "--checkpointing") {
      request.checkpointing = true;
    } else if (args[i] == "--bf16") {
      request.bf16 = true;
    } else if (args[i] == "--clip-skip") {
      request.clip_skip = number();
    } else if (args[i] == "--chunks") {
      request.chunks = number();
    } else {
      throw UsageError("unknown option", args[i]);
    }
  }
  return request;
}

Tensors read_inputs(const fs::path& path) {
  Tensors tensors = read_all(path.string());
  for (auto& [name, tensor] : tensors) {
    if (tensor.is_floating_point() && name != "cotangent") tensor.set_requires_grad(true);
  }
  return tensors;
}

// By name alone, every name on both sides: this is the check that the names are Diffusers'.
template <class Model>
void load_by_name(Model& model, const fs::path& path) {
  const auto file = open_safetensors(path);
  size_t found = 0;
  visit_parameters(model, [&](const std::string& name, at::Tensor& slot) {
    const TensorInfo* info = file->find(name);
    if (!info) throw Error("the file lacks the tensor " + name, path.string());
    if (slot.sizes() != at::IntArrayRef(info->shape))
      throw Error("other shape: " + name, path.string());
    slot = read_one(*file, *info).set_requires_grad(true);
    ++found;
  });
  if (found != file->tensors().size())
    throw Error("the file has tensors that the model lacks", path.string());
}

template <class Model>
void collect(Model& model, Tensors& results) {
  for (const auto& [name, parameter] : named_parameters(model)) {
    if (parameter.grad().defined()) results["grad." + name] = parameter.grad();
  }
}

// `forward(model)` -> output; runs it and its backward, and writes everything.
template <class Model, class Forward>
void run_model(Model& model, const Request& request, Forward&& forward) {
  Tensors inputs = read_inputs(request.inputs);
  if (request.bf16) model.compute_dtype = at::kBFloat16;
  const at::Tensor output = forward(inputs);
  (output * inputs.at("cotangent")).sum().backward();

  Tensors results{{"output", output}};
  collect(model, results);
  for (const auto& [name, tensor] : inputs) {
    if (tensor.grad().defined()) results["input_grad." + name] = tensor.grad();
  }
  write_all(request.output.string(), results);
}

void run_unet(const Request& request) {
  UNet2DConditionModel unet(read_unet_config(request.folder / "unet/config.json"));
  load_by_name(unet, request.folder / "unet/diffusion_pytorch_model.safetensors");
  unet.gradient_checkpointing = request.checkpointing;
  run_model(unet, request, [&](Tensors& in) {
    return unet.forward(in.at("sample"), in.at("timesteps"), in.at("encoder_hidden_states"));
  });
}

void run_vae(const Request& request) {
  AutoencoderKL vae(read_vae_config(request.folder / "vae/config.json"));
  load_by_name(vae, request.folder / "vae/diffusion_pytorch_model.safetensors");
  run_model(vae, request, [&](Tensors& in) {
    return request.part == "vae_encode" ? vae.encode(in.at("images"))
                                        : vae.decode(in.at("latents"));
  });
}

void run_text(const Request& request) {
  ClipTextModel text(read_clip_text_config(request.folder / "text_encoder/config.json"));
  load_by_name(text, request.folder / "text_encoder/model.safetensors");
  text.gradient_checkpointing = request.checkpointing;
  run_model(text, request, [&](Tensors& in) {
    return join_chunks(text.forward(in.at("ids"), request.clip_skip), request.chunks);
  });
}

void run(const Request& request) {
  if (request.part == "unet") return run_unet(request);
  if (request.part == "vae_encode" || request.part == "vae_decode") return run_vae(request);
  if (request.part == "text") return run_text(request);
  throw UsageError("unknown part", request.part);
}

}  // namespace
}  // namespace sdtune

int main(int argc, char** argv) {
  return sdtune::run_tool("sdtune-parity", [&] {
    sdtune::run(sdtune::parse_request({argv + 1, argv + argc}));
  });
}
