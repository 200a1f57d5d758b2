// Polynomials with their terms paired (Estrin's scheme): few dependent operations in a row.
#pragma once

#include "../simd.hpp"

namespace deltarule::DELTARULE_ISA {

template <int N, class V>
[[gnu::always_inline]] inline V paired(V x, const V* c) {
    if constexpr (N == 1) {
        return c[0];
    } else {
        constexpr int half = (N + 1) / 2;
        V next[half];
#pragma GCC unroll 16
        for (int i = 0; i < N / 2; ++i) next[i] = fma(c[2 * i + 1], x, c[2 * i]);
        if constexpr (N % 2 == 1) next[half - 1] = c[N - 1];
        return paired<half>(x * x, next);
    }
}

// c[0] + c[1] x + c[2] x² + ...
template <class V, int N>
[[gnu::always_inline]] inline V polynomial(V x, const lane_of<V> (&c)[N]) {
    V terms[N];
#pragma GCC unroll 32
    for (int i = 0; i < N; ++i) terms[i] = splat<V>(c[i]);
    return paired<N>(x, terms);
}

}  // namespace deltarule::DELTARULE_ISA
