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

// The same with even and odd powers apart, each by Horner's scheme in x², which the caller has: fewer
// multiplications, more of them in a row. For several vectors side by side, which fill the time.
template <class V, int N>
[[gnu::always_inline]] inline V polynomial(V x, V squared, const lane_of<V> (&c)[N]) {
    static_assert(N % 2 == 0);
    V even = splat<V>(c[N - 2]), odd = splat<V>(c[N - 1]);
#pragma GCC unroll 16
    for (int i = N - 4; i >= 0; i -= 2) {
        even = fma(even, squared, splat<V>(c[i]));
        odd = fma(odd, squared, splat<V>(c[i + 1]));
    }
    return fma(odd, x, even);
}

}  // namespace deltarule::DELTARULE_ISA
