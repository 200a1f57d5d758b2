// An activation and its slope for several vectors side by side, by the fastest way there is.
#pragma once

#include "activations.hpp"
#include "math/tanh_table.hpp"

namespace deltarule::DELTARULE_ISA {

template <class A, int K, class V>
[[gnu::always_inline]] inline void f_df(const V (&e)[K], V (&y)[K], V (&slope)[K]) {
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<A, Tanh> && sizeof(V) == vector_bytes) {
        tanh_side_by_side<K>(e, y, slope);
        return;
    }
#endif
    each<K>([&](int k) __attribute__((always_inline)) {
        const auto r = A::f_df(e[k]);
        y[k] = r.y;
        slope[k] = r.slope;
    });
}

}  // namespace deltarule::DELTARULE_ISA
