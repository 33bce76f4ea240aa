#pragma once
#include <napi.h>

namespace lichen::addon {

// Adds the functions on index handles to the addon's exports.
void export_index_functions(Napi::Env env, Napi::Object exports);

}  // namespace lichen::addon
