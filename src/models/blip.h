// A BLIP captioner: what sees the picture and what writes. Loading stands in blip_files.h.
#pragma once

#include "models/blip_text.h"
#include "models/blip_vision.h"

namespace sdtune {

struct Blip {
  explicit Blip(const BlipConfig& c) : config(c), vision_model(c.vision), text_decoder(c.text) {}
  void visit(ParameterVisitor& v) {
    v("vision_model", vision_model);
    v("text_decoder", text_decoder);
  }

  BlipConfig config;
  BlipVisionModel vision_model;
  BlipTextDecoder text_decoder;
};

}  // namespace sdtune
