#!/bin/sh
# On a machine with an NVIDIA device, CUDA, CMake and PyTorch: builds the module, tests it on the device, once more under
# compute-sanitizer, and measures it. Arguments go to measure.py. From the project's folder:
#
#   sh bench/gpu/all.sh --json gpu.json
set -eu

folder=build/cuda
cmake -S native -B "$folder" -DLICHEN_ADDON=OFF -DLICHEN_TESTS=ON -DLICHEN_CUDA=ON -DCMAKE_UNITY_BUILD=ON
cmake --build "$folder" --parallel --target lichen_cuda cuda_tests
"$folder/cuda_tests"
if command -v compute-sanitizer > /dev/null; then
  for tool in memcheck racecheck synccheck; do
    compute-sanitizer --tool "$tool" --error-exitcode 1 "$folder/cuda_tests"
  done
else
  echo 'compute-sanitizer is not there: skipped'
fi
python3 bench/gpu/measure.py --module "$folder/lichen-cuda.so" "$@"
