#include "commands/command_table.h"

#include "commands/annotate.h"
#include "commands/caption.h"
#include "commands/check.h"
#include "commands/clean.h"
#include "commands/convert.h"
#include "commands/demo.h"
#include "commands/docs.h"
#include "commands/merge_captions.h"
#include "commands/merge_tags.h"
#include "commands/pause.h"
#include "commands/prepare.h"
#include "commands/resize_images.h"
#include "commands/sample.h"
#include "commands/tag.h"
#include "commands/train.h"

namespace sdtune {

namespace {

std::vector<Command> run_commands() {
  return {
      {"train",
       {"fine_tune"},
       "Fine-tune a Stable Diffusion model on captioned pictures.",
       run_train,
       describe_defaults<TrainOptions>,
       true},
      {"sample",
       {"gen_img"},
       "Draw pictures from prompts with a model.",
       run_sample,
       describe_defaults<SampleOptions>,
       true},
      {"pause",
       {},
       "Ask a run to keep its state and end after its step.",
       run_pause,
       describe_defaults<PauseOptions>},
  };
}

std::vector<Command> picture_commands() {
  return {
      {"annotate",
       {},
       "Caption and tag a folder of pictures, and write the metadata to train with.",
       run_annotate,
       describe_defaults<AnnotateOptions>,
       true},
      {"caption",
       {"make_captions"},
       "Write captions for pictures with BLIP.",
       run_caption,
       describe_defaults<MakeCaptionsOptions>,
       true},
      {"tag",
       {"tag_images_by_wd14_tagger"},
       "Write tags for pictures with a tagger in ONNX.",
       run_tag,
       describe_defaults<TagOptions>},
      {"merge-captions",
       {"merge_captions_to_metadata"},
       "Gather the caption files beside pictures into metadata.",
       run_merge_captions,
       describe_defaults<MergeCaptionsOptions>},
      {"merge-tags",
       {"merge_dd_tags_to_metadata"},
       "Gather the tag files beside pictures into metadata.",
       run_merge_tags,
       describe_defaults<MergeTagsOptions>},
      {"clean",
       {"clean_captions_and_tags"},
       "Clean the captions and tags of metadata.",
       run_clean,
       describe_defaults<CleanOptions>},
      {"resize",
       {"resize_images_to_resolution"},
       "Write smaller copies of pictures.",
       run_resize_images,
       describe_defaults<ResizeImagesOptions>},
      {"check",
       {},
       "Look through a dataset as training would, and say what needs a hand.",
       run_check,
       describe_defaults<CheckOptions>},
      {"prepare",
       {"prepare_buckets_latents"},
       "Sort pictures into buckets and write their latents and metadata.",
       run_prepare,
       describe_defaults<PrepareOptions>,
       true},
      {"cache-latents",
       {},
       "Write the latents of a dataset beside its pictures.",
       run_cache_latents,
       describe_defaults<CacheLatentsOptions>,
       true},
  };
}

std::vector<Command> other_commands() {
  return {
      {"convert",
       {"convert_diffusers20_original_sd"},
       "Write a model in another form or precision.",
       run_convert,
       describe_defaults<ConvertOptions>,
       true},
      {"demo",
       {},
       "Fine-tune a small model on drawn pictures, to see the whole path work.",
       run_demo,
       describe_defaults<DemoOptions>,
       true},
      {"docs",
       {},
       "Print the options of all commands as Markdown, or of one as a JSON schema.",
       run_docs,
       describe_defaults<DocsOptions>},
  };
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> table = [] {
    std::vector<Command> all = run_commands();
    for (const auto& more : {picture_commands(), other_commands()}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }();
  return table;
}

}  // namespace sdtune
