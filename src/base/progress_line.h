// The one line of progress on the terminal, shared by log.cc and progress.cc so that messages do
// not run into it. Not for anybody else.
#pragma once

#include <mutex>
#include <string>

namespace sdtune::progress_line {

std::mutex& mutex();                // held around every call below and every log message
void set(const std::string& line);  // draws it on the terminal, in place
void clear();                       // wipes it; redraw() brings it back
void redraw();
void forget();  // what is drawn stays and is no longer ours

}  // namespace sdtune::progress_line
