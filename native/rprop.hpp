// One step of Rprop for every weight; the formulas are those of src/deltarule/methods/rprop.py.
#pragma once

#include "simd.hpp"
#include "step_table.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
void rprop_step(const RpropSettings& by, std::int64_t p, const T* grad, const RpropPlace<const T>& from,
                const RpropPlace<T>& to) {
    const T up = T(by.increase), down = T(by.decrease), least = T(by.smallest), most = T(by.largest);
    const T kept = T(!by.forgets), back = T(by.returns);
    // nothing overlaps, and signs are chosen by products: the compiler then takes many weights at once
    const T *__restrict size_before = from.sizes, *__restrict sign_before = from.signs;
    const T *__restrict move_before = from.move, *__restrict w_before = from.w, *__restrict g = grad;
    T *__restrict sizes = to.sizes, *__restrict signs = to.signs, *__restrict moves = to.move, *__restrict w = to.w;
    for (std::int64_t i = 0; i < p; ++i) {
        const T sign = g[i] > 0 ? T(1) : g[i] < 0 ? T(-1) : g[i], agree = sign * sign_before[i];
        const T turned = agree < 0 ? T(1) : T(0);
        const T grown = size_before[i] * (agree > 0 ? up : agree < 0 ? down : T(1));
        const T below = grown < most ? grown : most, size = below > least ? below : least;
        const T counts = agree < 0 ? kept * sign : sign;
        const T onward = counts * size, move = turned * back > 0 ? -move_before[i] : onward;
        sizes[i] = size;
        signs[i] = counts;
        moves[i] = move;
        w[i] = w_before[i] - move;
    }
}

}  // namespace deltarule::DELTARULE_ISA
