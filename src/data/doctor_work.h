// The doctor's loop over pictures: it can be stopped.
#pragma once

#include "data/picture_work.h"

namespace sdtune {

// for_each_picture() that ends early on a stop signal, with an Error.
void work_through(size_t count, const WorkOptions& options,
                  const std::function<void(size_t)>& work);

}  // namespace sdtune
