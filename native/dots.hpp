// Many dot products at once: the rows of a matrix times one vector, the sums across lanes shared.
#pragma once

#include "memory.hpp"

namespace deltarule::DELTARULE_ISA {

// In groups of S lanes: the sums of neighbouring groups of a, alternating with those of b.
template <int S, class V, int... P>
[[gnu::always_inline]] inline V merge(V a, V b, std::integer_sequence<int, P...>) {
    const V even = __builtin_shufflevector(a, b, ((P / S) % 2 == 0 ? P : lanes<V> + P - S)...);
    const V odd = __builtin_shufflevector(a, b, ((P / S) % 2 == 0 ? P + S : lanes<V> + P)...);
    return even + odd;
}

// The sums over the lanes of each of N vectors, N a power of 2 up to their width: lane i is the sum of acc[i].
template <int N, int S = 1, class V>
[[gnu::always_inline]] inline auto sums(const V* acc) {
    if constexpr (S < N) {
        V next[N / S / 2];
#pragma GCC unroll 16
        for (int i = 0; i < N / S / 2; ++i)
            next[i] = merge<S>(acc[2 * i], acc[2 * i + 1], std::make_integer_sequence<int, lanes<V>>{});
        return sums<N, 2 * S>(next);
    } else if constexpr (lanes<V> > N) {
        const auto h = split(acc[0]);
        const auto folded = h.low + h.high;
        return sums<N, S>(&folded);
    } else {
        return acc[0];
    }
}

// out[o] = b[o] + W[o] · y for N rows of nv vectors each.
template <int N, class V>
[[gnu::always_inline]] inline void dot_rows(const lane_of<V>* W, std::int64_t stride, const lane_of<V>* y,
                                            std::int64_t nv, const lane_of<V>* b, lane_of<V>* out) {
    constexpr int chains = N >= 8 ? 1 : 8 / N;  // additions under way at once hide their latency
    constexpr int L = lanes<V>;
    V acc[chains][N] = {};
    std::int64_t j = 0;
    for (; j + chains <= nv; j += chains) {
#pragma GCC unroll 8
        for (int c = 0; c < chains; ++c) {
            const V yj = load<V>(y + (j + c) * L);
#pragma GCC unroll 16
            for (int o = 0; o < N; ++o) acc[c][o] = fma(load<V>(W + o * stride + (j + c) * L), yj, acc[c][o]);
        }
    }
    for (; j < nv; ++j) {
        const V yj = load<V>(y + j * L);
#pragma GCC unroll 16
        for (int o = 0; o < N; ++o) acc[0][o] = fma(load<V>(W + o * stride + j * L), yj, acc[0][o]);
    }
#pragma GCC unroll 4
    for (int step = chains / 2; step > 0; step /= 2)
#pragma GCC unroll 4
        for (int c = 0; c < step; ++c)
#pragma GCC unroll 16
            for (int o = 0; o < N; ++o) acc[c][o] += acc[c + step][o];
    using R = typename simd<lane_of<V>, N>::V;
    store(out, R(sums<N>(acc[0]) + load<R>(b)));
}

// e = b + W y for n rows.
template <class V, int N = (lanes<V> < 8 ? lanes<V> : 8)>
[[gnu::always_inline]] inline void matrix_vector(const lane_of<V>* W, std::int64_t stride, std::int64_t n,
                                                 const lane_of<V>* y, const lane_of<V>* b, lane_of<V>* e) {
    std::int64_t o = 0;
    for (; o + N <= n; o += N) dot_rows<N, V>(W + o * stride, stride, y, stride / lanes<V>, b + o, e + o);
    if constexpr (N > 1) {
        if (o < n) matrix_vector<V, N / 2>(W + o * stride, stride, n - o, y, b + o, e + o);
    }
}

}  // namespace deltarule::DELTARULE_ISA
