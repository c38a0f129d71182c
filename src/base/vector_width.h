// Marks for loops that are compiled for several vector widths.
#pragma once

// A function marked so is compiled once for each vector width and chosen when the program is
// loaded. What it calls must be inlined into it, or it would be compiled for the narrowest one
// only.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__)
#define SDTUNE_EACH_WIDTH \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SDTUNE_EACH_WIDTH
#endif
