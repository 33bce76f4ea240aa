#pragma once
// What the machine can do, one thread: the kernels are held against it.

#include <functional>
#include <string>

#include "bench/inputs.hpp"
#include "bench/measure.hpp"

namespace lichen::bench {

// Reads the rows of `inputs` one after the other, some MiB a call; counts bytes.
std::function<double()> read_memory(Inputs& inputs);
// Multiply-adds of f32 in registers; counts 2 operations each.
std::function<double()> multiply_add(const std::string& isa);
// Products of bytes in registers, summed in 32 bits, by the instruction that this set has for it;
// counts 2 operations a product. Empty if it has none.
std::function<double()> byte_products(const std::string& isa);

// A group of all limits, for the sets of kernels that run here.
Group limits(Inputs& inputs);

}  // namespace lichen::bench
