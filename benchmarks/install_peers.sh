#!/bin/sh
# Brings the peer that pip does not: FANN in double precision, from Debian's libfann-dev. PyTorch comes with the extra
# `bench`; R's nnet is used where R is there. Never fails: a benchmark leaves out a peer that is missing, and says so.
if echo 'int main(void) { return 0; }' | ${CC:-cc} -x c - -o /dev/null -include doublefann.h -ldoublefann 2> /dev/null; then
    exit 0
fi
if ! command -v apt-get > /dev/null; then
    echo "FANN is left out of the benchmarks: no C compiler finds doublefann.h, and there is no apt-get to install it." >&2
elif [ "$(id -u)" != 0 ]; then
    echo "FANN is left out of the benchmarks: 'sudo apt-get install libfann-dev' brings it." >&2
elif apt-get install -y -q libfann-dev > /dev/null 2>&1 || { apt-get update -q && apt-get install -y -q libfann-dev; } > /dev/null 2>&1; then
    echo "libfann-dev is installed, for the benchmarks against FANN." >&2
else
    echo "FANN is left out of the benchmarks: apt-get could not install libfann-dev." >&2
fi
exit 0
