# Finds the libraries and gives each a target. torch's include folders come last (-idirafter): the wheel
# ships its own fmt and protobuf headers, which must not shadow the system's.
find_package(Threads REQUIRED)

if(NOT SDTUNE_TORCH_DIR)
  file(GLOB _torch_dirs ${PROJECT_SOURCE_DIR}/.deps/venv/lib/python3*/site-packages/torch)
  list(POP_FRONT _torch_dirs _torch_dir)
  set(SDTUNE_TORCH_DIR "${_torch_dir}" CACHE PATH "The torch wheel's folder (2.11 or later)")
endif()
if(NOT EXISTS ${SDTUNE_TORCH_DIR}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "libtorch was not found. Run scripts/bootstrap, or pass -DSDTUNE_TORCH_DIR=<site-packages>/torch.")
endif()

# Without -fopenmp at::parallel_for() compiles to a plain loop. The runtime has to be the one that torch
# loads: two would not know of each other's threads.
file(GLOB SDTUNE_OPENMP ${SDTUNE_TORCH_DIR}/lib/libgomp*.so*)
if(NOT SDTUNE_OPENMP)
  set(SDTUNE_OPENMP gomp)
endif()

# libtorch_cpu and c10 alone: libtorch.so would drag in CUDA.
add_library(sdtune_torch INTERFACE)
target_compile_options(sdtune_torch INTERFACE  # .cu files never see torch
  $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>
  "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${SDTUNE_TORCH_DIR}/include>"
  "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${SDTUNE_TORCH_DIR}/include/torch/csrc/api/include>")
target_link_directories(sdtune_torch INTERFACE ${SDTUNE_TORCH_DIR}/lib)
target_link_options(sdtune_torch INTERFACE
  -Wl,-rpath,${SDTUNE_TORCH_DIR}/lib
  -Wl,-rpath-link,${SDTUNE_TORCH_DIR}/lib:${SDTUNE_TORCH_DIR}/../nvidia/cu13/lib)
target_link_libraries(sdtune_torch INTERFACE -Wl,--no-as-needed torch_cpu c10 -Wl,--as-needed
  ${SDTUNE_OPENMP} Threads::Threads)

add_library(sdtune_log INTERFACE)
if(SDTUNE_CORE_ONLY)
  target_compile_definitions(sdtune_log INTERFACE SPDLOG_HEADER_ONLY SPDLOG_FMT_EXTERNAL FMT_HEADER_ONLY)
else()
  find_package(fmt REQUIRED)
  find_package(spdlog REQUIRED)
  find_package(PkgConfig REQUIRED)
  find_package(ZLIB REQUIRED)
  find_package(JPEG REQUIRED)
  find_package(CURL REQUIRED)
  find_package(OpenSSL REQUIRED)
  pkg_check_modules(VIPS REQUIRED IMPORTED_TARGET vips-cpp)
  pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
  pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
  # Debian's libopencv-imgproc-dev ships no CMake files.
  find_path(OPENCV_INCLUDE opencv2/imgproc.hpp PATH_SUFFIXES opencv4 REQUIRED)
  find_library(OPENCV_CORE opencv_core REQUIRED)
  find_library(OPENCV_IMGPROC opencv_imgproc REQUIRED)
  add_library(sdtune_opencv INTERFACE)
  target_include_directories(sdtune_opencv SYSTEM INTERFACE ${OPENCV_INCLUDE})
  target_link_libraries(sdtune_opencv INTERFACE ${OPENCV_IMGPROC} ${OPENCV_CORE})
  target_link_libraries(sdtune_log INTERFACE fmt::fmt spdlog::spdlog)
endif()

if(SDTUNE_TESTS)
  find_package(GTest REQUIRED)
  find_path(RAPIDCHECK_INCLUDE rapidcheck/gtest.h)
endif()

set(SDTUNE_HAVE_CUDA OFF)
if(NOT SDTUNE_CUDA STREQUAL "OFF")
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 120)
  endif()
  if(NOT CMAKE_CUDA_COMPILER)
    find_program(SDTUNE_NVCC nvcc HINTS /usr/local/cuda/bin)
    set(CMAKE_CUDA_COMPILER ${SDTUNE_NVCC})
  endif()
  if(CMAKE_CUDA_COMPILER)
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE _nvcc)
    string(REGEX MATCH "release ([0-9]+)" _nvcc "${_nvcc}")
  endif()
  # Asked before the language is enabled, which ends the configuration where it cannot be.
  set(_no_cuda "")
  if(NOT CMAKE_CUDA_COMPILER)
    set(_no_cuda "nvcc was not found. Put it on PATH or pass -DCMAKE_CUDA_COMPILER=")
  elseif(NOT CMAKE_MATCH_1 GREATER_EQUAL 13)
    set(_no_cuda "${CMAKE_CUDA_COMPILER} is not of CUDA 13, which torch's wheels are built with. Install that toolkit")
  elseif(NOT EXISTS ${SDTUNE_TORCH_DIR}/lib/libtorch_cuda.so)
    set(_no_cuda "the torch in ${SDTUNE_TORCH_DIR} is without CUDA. Run scripts/bootstrap")
  endif()
  if(NOT _no_cuda)
    enable_language(CUDA)
    set(CMAKE_CUDA_STANDARD 17)
    find_package(CUDAToolkit REQUIRED)
    set(SDTUNE_HAVE_CUDA ON)
  elseif(SDTUNE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "SDTUNE_CUDA=ON, but ${_no_cuda}.")
  else()
    unset(CMAKE_CUDA_COMPILER)
    message(STATUS "No CUDA kernels are built: ${_no_cuda}.")
  endif()
endif()

# Computes taggers, in a library of its own. Found without the wheel's CMake files, which define macros for
# every target there is.
set(SDTUNE_HAVE_OPENVINO OFF)
if(NOT SDTUNE_OPENVINO STREQUAL "OFF" AND NOT SDTUNE_CORE_ONLY)
  set(SDTUNE_OPENVINO_DIR "${SDTUNE_TORCH_DIR}/../openvino" CACHE PATH "The openvino wheel's folder")
  file(GLOB _openvino CONFIGURE_DEPENDS ${SDTUNE_OPENVINO_DIR}/libs/libopenvino.so.*)
  if(_openvino)
    add_library(sdtune_openvino INTERFACE)
    target_include_directories(sdtune_openvino SYSTEM INTERFACE ${SDTUNE_OPENVINO_DIR}/include)
    target_link_libraries(sdtune_openvino INTERFACE ${_openvino})
    set(SDTUNE_HAVE_OPENVINO ON)
  elseif(SDTUNE_OPENVINO STREQUAL "ON")
    message(FATAL_ERROR "SDTUNE_OPENVINO=ON, but OpenVINO was not found. Run scripts/bootstrap, or pass -DSDTUNE_OPENVINO_DIR=<site-packages>/openvino.")
  endif()
endif()
