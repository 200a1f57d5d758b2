// One step of Rprop for every weight; the formulas are those of src/deltarule/methods/rprop.py.
#pragma once

#include "simd.hpp"
#include "step_table.hpp"

namespace deltarule::DELTARULE_ISA {

// Signs come and go without a pattern, and a processor that guesses them loses more time than all else takes: lanes are
// selected.
template <class V>
[[gnu::always_inline]] inline void rprop_lanes(const RpropSettings& by, V g, V w_before, V size_before, V sign_before,
                                               V move_before, V& w, V& size, V& counts, V& move) {
    using T = lane_of<V>;
    const V none{}, one = splat<V>(1);
    const V sign = select<V>(g > none, one, select<V>(g < none, -one, g)), agree = sign * sign_before;
    const auto goes_on = agree > none, turned = agree < none;
    const V factor = select<V>(goes_on, splat<V>(T(by.increase)), select<V>(turned, splat<V>(T(by.decrease)), one));
    const V grown = size_before * factor, least = splat<V>(T(by.smallest)), most = splat<V>(T(by.largest));
    const V below = select<V>(grown < most, grown, most);
    size = select<V>(below > least, below, least);
    counts = by.forgets ? select<V>(turned, none * sign, sign) : sign;
    move = counts * size;
    if (by.returns) move = select<V>(turned, -move_before, move);
    w = w_before - move;
}

template <class T>
void rprop_step(const RpropSettings& by, std::int64_t p, const T* grad, const RpropPlace<const T>& from,
                const RpropPlace<T>& to) {
    using V = typename simd<T>::V;
    constexpr int L = lanes<V>;
    V w, size, counts, move;
    std::int64_t i = 0;
    for (; i + L <= p; i += L) {
        rprop_lanes<V>(by, load<V>(grad + i), load<V>(from.w + i), load<V>(from.sizes + i), load<V>(from.signs + i),
                       load<V>(from.move + i), w, size, counts, move);
        store(to.w + i, w);
        store(to.sizes + i, size);
        store(to.signs + i, counts);
        store(to.move + i, move);
    }
    if (i == p) return;
    const int n = int(p - i);
    rprop_lanes<V>(by, load_part<V>(grad + i, n), load_part<V>(from.w + i, n), load_part<V>(from.sizes + i, n),
                   load_part<V>(from.signs + i, n), load_part<V>(from.move + i, n), w, size, counts, move);
    store_part(to.w + i, w, n);
    store_part(to.sizes + i, size, n);
    store_part(to.signs + i, counts, n);
    store_part(to.move + i, move, n);
}

}  // namespace deltarule::DELTARULE_ISA
