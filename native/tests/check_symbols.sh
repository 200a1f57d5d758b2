#!/bin/sh
# Fails if code for one instruction set could be merged with that for another: weak symbols outside its namespace.
#     native/tests/check_symbols.sh BUILD_DIRECTORY
status=0
checked=0
for isa in baseline avx2 avx512; do
    for object in "$1"/CMakeFiles/kernels_$isa.dir/native/*.o; do
        [ -e "$object" ] || continue  # an instruction set this build leaves out
        checked=$((checked + 1))
        found=$(nm -C "$object" | grep ' [WVu] ' | grep -v "deltarule::$isa::" | grep -v 'DW.ref.__gxx_personality_v0')
        if [ -n "$found" ]; then
            echo "$object holds code that the linker may share between instruction sets:"
            echo "$found"
            status=1
        fi
    done
done
if [ "$checked" = 0 ]; then
    echo "$1 holds no compiled kernels."
    status=1
fi
exit $status
