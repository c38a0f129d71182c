#include "data/doctor_work.h"

#include "base/error.h"
#include "base/system.h"

namespace sdtune {

void work_through(size_t count, const WorkOptions& options,
                  const std::function<void(size_t)>& work) {
  if (count == 0) return;
  for_each_picture(count, options, [&](size_t i) {
    if (stop_signal() == 0) work(i);
  });
  if (stop_signal() != 0) throw Error("the check was stopped before its end");
}

}  // namespace sdtune
