#pragma once
// The module for NVIDIA devices (native/cuda), a library of its own that is opened at run time.

#include <string>

#include "cuda/lichen_cuda.h"

namespace lichen {

// Opens it, once a process: a second call with the same path does nothing. Throws Error(kNoDevice)
// where there is no driver, the file cannot be opened or is of another version; kArgument for
// another path than the one that is open.
void open_cuda(const std::string& path);

// What it offers. Throws Error(kNoDevice) unless it is open.
const LichenCudaApi& cuda_api();

// Throws what a status other than LICHEN_CUDA_OK stands for.
void check_cuda(int status);

}  // namespace lichen
