// Outputs of a few rows, one by one, with the weights as they are: what counts is how soon they are there.
#pragma once

#include "batch_pass.hpp"

namespace deltarule::DELTARULE_ISA {

// e = W x + b for M neurons.
template <int M, class T>
inline void dot_rows(const T* W, const T* b, const T* x, int n_in, T* e) {
    using V = typename simd<T>::V;
    constexpr int L = lanes<V>;
    V c[M]{};
    int i = 0;
    for (; i + L <= n_in; i += L) {
        const V a = load<V>(x + i);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) c[m] = fma(load<V>(W + std::ptrdiff_t(m) * n_in + i), a, c[m]);
    }
    if (i < n_in) {
        const V a = load_part<V>(x + i, n_in - i);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) c[m] = fma(load_part<V>(W + std::ptrdiff_t(m) * n_in + i, n_in - i), a, c[m]);
    }
    for (int m = 0; m < M; ++m) e[m] = b[m] + sum(c[m]);
}

template <class T>
inline void predict_few(const NetworkView& network, const T* w, const T* X, std::int64_t n, T* workspace, T* out) {
    using V = typename simd<T>::V;
    constexpr int R = panel_rows<T>;
    static_assert(R <= few_extra);
    std::int64_t widest = 0;
    for (int l = 1; l <= network.depth; ++l) widest = network.sizes[l] > widest ? network.sizes[l] : widest;
    T *here = workspace, *next = workspace + widest + few_extra;
    const std::int64_t n_in = network.sizes[0], n_out = network.sizes[network.depth];
    for (std::int64_t r = 0; r < n; ++r, X += n_in, out += n_out) {
        const T *x = X, *W = w;
        for (int l = 0; l < network.depth; ++l) {
            const int in = int(network.sizes[l]), wide = int(network.sizes[l + 1]), padded = (wide + R - 1) / R * R;
            const T* b = W + std::ptrdiff_t(in) * wide;
            const Tiles tiles(wide, tile_height);
            for (int i = 0; i < tiles.count; ++i) {
                const int j = tiles.start(i);
                with_constant<tile_height>(tiles.size(i), [&](auto height) {
                    dot_rows<height()>(W + std::ptrdiff_t(j) * in, b + j, x, in, next + j);
                });
            }
            for (int j = wide; j < padded; ++j) next[j] = 0;
            if (Activation(network.activations[l]) == Activation::softmax)
                softmax_row<V>(next, next, wide);
            else
                activate<false>(network.activations[l], padded, next, next);
            W = b + wide;
            x = next;
            T* const swap = here;
            here = next;
            next = swap;
        }
        __builtin_memcpy(out, x, sizeof(T) * std::size_t(n_out));
    }
}

}  // namespace deltarule::DELTARULE_ISA
