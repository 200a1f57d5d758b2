#!/usr/bin/env bash
# Builds the kernels with the address and undefined-behaviour sanitizers and runs their tests on that build.
#     native/tests/sanitize.sh PYTHON [cmake options, such as -DDELTARULE_BASELINE_ONLY=OFF for all instruction sets]
set -euo pipefail
python=$(realpath -s "$1")
shift
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$top/build/sanitize
PATH=$(dirname "$python"):$PATH
cmake -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Debug -DDELTARULE_SANITIZE=ON -DDELTARULE_BASELINE_ONLY=ON \
      -DPython_EXECUTABLE="$python" "$@" > /dev/null
cmake --build "$build" --parallel > "$build/log" || { cat "$build/log"; exit 1; }
cd "$top"
export DELTARULE_KERNELS=$build
export LD_PRELOAD="$(${CXX:-g++} -print-file-name=libasan.so) $(${CXX:-g++} -print-file-name=libubsan.so)"
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1  # Python itself leaks
exec "$python" -m pytest -q -p no:cacheprovider -n auto --maxprocesses 8 tests/test_native_*.py
