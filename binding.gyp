# What `npm install` compiles where no prebuilt binary fits. Sources and flags stand in native/sources.gypi, which
# native/CMakeLists.txt reads too. gyp has no flags for a single file, so each instruction set is a static library.
{
  "includes": ["native/sources.gypi"],
  "target_defaults": {
    "include_dirs": ["native"],
    "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS"],
    "cflags!": ["-fno-exceptions"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["<@(common_flags)", "-fvisibility=hidden"],
    "conditions": [
      ["OS=='linux'", {
        "cflags": ["-fPIC"],
        # Threads of the pool outlive the JavaScript thread that loaded the addon, so it must stay mapped.
        "ldflags": ["-Wl,-z,nodelete"]
      }],
      ["OS=='mac'", {
        "xcode_settings": {
          "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
          "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
          "OTHER_CPLUSPLUSFLAGS": ["<@(common_flags)", "-fvisibility=hidden"]
        }
      }]
    ]
  },
  "targets": [
    {
      "target_name": "lichen",
      "sources": ["<@(core_files)", "<@(addon_files)"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "conditions": [
        ["target_arch=='x64'", {
          "dependencies": ["kernels_avx2", "kernels_avx512", "kernels_avx512vnni"]
        }],
        ["target_arch=='arm64'", { "dependencies": ["kernels_neon", "kernels_neondot"] }]
      ]
    }
  ],
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "kernels_avx2",
          "type": "static_library",
          "sources": ["<@(avx2_files)"],
          "cflags": ["<@(avx2_flags)"],
          "xcode_settings": { "OTHER_CFLAGS": ["<@(avx2_flags)"] }
        },
        {
          "target_name": "kernels_avx512",
          "type": "static_library",
          "sources": ["<@(avx512_files)"],
          "cflags": ["<@(avx512_flags)"],
          "xcode_settings": { "OTHER_CFLAGS": ["<@(avx512_flags)"] }
        },
        {
          "target_name": "kernels_avx512vnni",
          "type": "static_library",
          "sources": ["<@(avx512vnni_files)"],
          "cflags": ["<@(avx512vnni_flags)"],
          "xcode_settings": { "OTHER_CFLAGS": ["<@(avx512vnni_flags)"] }
        }
      ]
    }],
    ["target_arch=='arm64'", {
      "targets": [
        {
          "target_name": "kernels_neon",
          "type": "static_library",
          "sources": ["<@(neon_files)"],
          "cflags": ["<@(neon_flags)"],
          "xcode_settings": { "OTHER_CFLAGS": ["<@(neon_flags)"] }
        },
        {
          "target_name": "kernels_neondot",
          "type": "static_library",
          "sources": ["<@(neondot_files)"],
          "cflags": ["<@(neondot_flags)"],
          "xcode_settings": { "OTHER_CFLAGS": ["<@(neondot_flags)"] }
        }
      ]
    }]
  ]
}
