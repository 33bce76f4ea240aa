// What scores rows, and the table of codes: for the file of an instruction set that scores codes
// otherwise than the one before and floats alike. Included as all.hpp is.
// clang-format off
#include "kernels/generic/vocabulary.hpp"
#include "kernels/generic/float_rows.hpp"
#include "kernels/generic/code_rows.hpp"
#include "kernels/generic/tiles.hpp"
#include "kernels/generic/code_table.hpp"
