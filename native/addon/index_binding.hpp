#pragma once
// The functions on index handles that JavaScript sees, a file a group.

#include <napi.h>

#include "index/vector_index.hpp"

namespace lichen::addon {

void export_index_functions(Napi::Env env,
                            Napi::Object exports);  // index_binding.cpp: make, ask, close
void export_add_functions(Napi::Env env, Napi::Object exports);     // add_binding.cpp
void export_search_functions(Napi::Env env, Napi::Object exports);  // search_binding.cpp
void export_within_functions(Napi::Env env, Napi::Object exports);
void export_searcher_functions(Napi::Env env, Napi::Object exports);
void export_file_functions(Napi::Env env,
                           Napi::Object exports);  // file_binding.cpp: save, open, inspect

void export_hnswlib_functions(Napi::Env env, Napi::Object exports);    // hnswlib_binding.cpp
void export_store_functions(Napi::Env env, Napi::Object exports);      // store_binding.cpp
void export_attribute_functions(Napi::Env env, Napi::Object exports);  // attribute_binding.cpp
void export_share_functions(Napi::Env env, Napi::Object exports);      // share_binding.cpp
void export_tensor_functions(Napi::Env env, Napi::Object exports);     // tensor_binding.cpp
void export_optimizer_functions(Napi::Env env, Napi::Object exports);  // optimizer_binding.cpp
void export_loss_functions(Napi::Env env, Napi::Object exports);       // loss_binding.cpp
void export_neighbors_functions(Napi::Env env, Napi::Object exports);  // neighbors_binding.cpp
void export_cuda_functions(Napi::Env env, Napi::Object exports);       // cuda_binding.cpp
void export_cuda_tensor_functions(Napi::Env env, Napi::Object exports);

// Arguments 0 to 6: dim, metric, storage, rerank | '', codes, seed, attributes.
StorageOptions storage_options(const Napi::CallbackInfo& info);

inline void export_function(Napi::Env env, Napi::Object exports, const char* name,
                            Napi::Value (*function)(const Napi::CallbackInfo&)) {
  exports.Set(name, Napi::Function::New(env, function, name));
}

}  // namespace lichen::addon
