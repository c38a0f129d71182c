// What else is asked of the operating system: signals, memory, time, the processor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace sdtune {

// After this the first SIGINT or SIGTERM sets a flag and the second ends the process at once with
// 128 + its number. A file that may not grow further becomes an error of its write, as a full disk.
void install_stop_signals();
// 0, or the number of the first stop signal received.
int stop_signal();
void request_stop_for_test(int signal);  // as if the signal had come; 0 clears

// Starts this program anew in the same process with the variable set, unless it is set already: for
// variables that libraries read as they are loaded. Returns when there is nothing to do or the
// system refuses.
void restart_with_variable(const char* name, const char* value, char** argv);

uint64_t resident_bytes();       // this process now
uint64_t peak_resident_bytes();  // its highest so far
// What the machine, or the container this process runs in, still has to give.
uint64_t available_bytes();
bool stderr_is_terminal();
int terminal_width();              // columns of stderr, 100 when unknown
std::string local_time_iso8601();  // "2026-01-31T12:00:00"
double seconds_since_start();      // since the process began
std::string processor_name();      // "AMD EPYC …", for records of a run
bool processor_computes_bf16();    // has instructions for products of bf16
uint64_t random_seed();            // from the system's entropy
std::string host_name();           // of this machine
int64_t process_id();
// Nothing for a variable that is not set or empty.
std::optional<std::string> environment_variable(const char* name);
// The folder of the running program's file.
std::string program_folder();

}  // namespace sdtune
