{
  "variables": {
    "core_files": [
      "runtime/crc32c.cpp",
      "runtime/thread_pool.cpp",
      "kernels/cpu_features.cpp",
      "kernels/dispatch.cpp",
      "kernels/scalar.cpp",
      "storage/embedding_store.cpp",
      "storage/key_map.cpp",
      "storage/snapshot.cpp",
      "index/vector_index.cpp",
      "index/flat_index.cpp",
      "index/hnsw_graph.cpp",
      "index/hnsw_index.cpp"
    ],
    "addon_files": [
      "addon/add_binding.cpp",
      "addon/addon.cpp",
      "addon/arguments.cpp",
      "addon/convert.cpp",
      "addon/file_binding.cpp",
      "addon/index_binding.cpp",
      "addon/jobs.cpp",
      "addon/search_binding.cpp"
    ],
    "avx2_files": ["kernels/avx2.cpp"],
    "avx2_flags": ["-mavx2", "-mfma"],
    "avx512_files": ["kernels/avx512.cpp"],
    "avx512_flags": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-Wno-maybe-uninitialized", "-Wno-uninitialized"],
    "common_flags": ["-std=c++20", "-O3", "-fexceptions", "-Wall", "-Wextra", "-fno-math-errno"],
    "test_files": [
      "test/kernels_test.cpp",
      "test/runtime_test.cpp",
      "test/storage_test.cpp",
      "test/hnsw_test.cpp"
    ],
    "bench_files": ["bench/kernels_bench.cpp"]
  }
}
