// Sums over rows of products of two tall matrices, with all sums of a tile in registers.
//
//   outer_sums     G += D' X    X as the user gave it, row after row: gradient of a wide first layer
//   dot_sums       G += D' Y    Y panels, sums over lanes at the end: gradient of every other layer, Gauss-Newton
#pragma once

#include "multiply.hpp"

namespace deltarule::DELTARULE_ISA {

inline constexpr int dot_height = n_registers == 32 ? 4 : 3, dot_width = n_registers == 32 ? 6 : 4;

// Some panels of a layer: `stride` numbers from one panel to the next, `rows` rows in all.
template <class T>
struct Panels {
    T* at;
    std::ptrdiff_t stride;
};

template <int M, int N, class T>
inline void outer_tile(Panels<const T> D, int rows, const T* X, std::ptrdiff_t x_stride, int part, T* G,
                       std::ptrdiff_t g_stride) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    V g[M][N]{};
    const auto sum_rows = [&](auto load_last) __attribute__((always_inline)) {
        const T* panel = D.at;
        for (int left = rows; left > 0; left -= R, panel += D.stride) {
            const int here = left < R ? left : R;
            const T* d = panel;
#pragma GCC unroll 1
            for (int r = 0; r < here; ++r, ++d, X += x_stride) {
                V x[N];
#pragma GCC unroll 3
                for (int n = 0; n + 1 < N; ++n) x[n] = load<V>(X + n * W);
                x[N - 1] = load_last(X + (N - 1) * W);
#pragma GCC unroll 8
                for (int m = 0; m < M; ++m) {
                    const V a = splat<V>(d[m * R]);
#pragma GCC unroll 3
                    for (int n = 0; n < N; ++n) g[m][n] = fma(a, x[n], g[m][n]);
                }
            }
        }
    };
    if (part == W)
        sum_rows([](const T* at) __attribute__((always_inline)) { return load<V>(at); });
    else
        sum_rows([part](const T* at) __attribute__((always_inline)) { return load_part<V>(at, part); });
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
        T* to = G + m * g_stride;
#pragma GCC unroll 3
        for (int n = 0; n + 1 < N; ++n) store(to + n * W, load<V>(to + n * W) + g[m][n]);
        to += (N - 1) * W;
        store_part(to, load_part<V>(to, part) + g[m][N - 1], part);
    }
}

// G (n_out, n_in) += Σ over rows of D (n_out) X (n_in), X row after row, x_stride numbers from one to the next.
template <class T>
inline void outer_sums(Panels<const T> D, int n_out, int rows, const T* X, std::ptrdiff_t x_stride, int n_in, T* G,
                       std::ptrdiff_t g_stride) {
    constexpr int W = simd<T>::width;
    const Tiles tiles(n_out, tile_height);
    for (int i = 0; i < n_in; i += panel_vectors * W) {
        const int here = n_in - i < panel_vectors * W ? n_in - i : panel_vectors * W;
        const int vectors = (here + W - 1) / W;
        for (int j = 0; j < tiles.count; ++j) {
            const int first = tiles.start(j);
            const Panels<const T> d{D.at + first * panel_rows<T>, D.stride};
            with_constant<tile_height>(tiles.size(j), [&](auto height) {
                with_constant<panel_vectors>(vectors, [&](auto wide) {
                    outer_tile<height(), wide()>(d, rows, X + i, x_stride, here - (vectors - 1) * W,
                                                 G + first * g_stride + i, g_stride);
                });
            });
        }
    }
}

template <int M, int N, class T>
inline void dot_tile(Panels<const T> D, Panels<const T> Y, int panels, T* G, std::ptrdiff_t g_stride) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    V g[M][N]{};
    const T *d = D.at, *y = Y.at;
#pragma GCC unroll 1
    for (int i = 0; i < panels; ++i, d += D.stride, y += Y.stride) {
#pragma GCC unroll 3
        for (int v = 0; v < panel_vectors; ++v) {
            V a[M];
#pragma GCC unroll 4
            for (int m = 0; m < M; ++m) a[m] = load<V>(d + m * R + v * W);
#pragma GCC unroll 6
            for (int n = 0; n < N; ++n) {
                const V b = load<V>(y + n * R + v * W);
#pragma GCC unroll 4
                for (int m = 0; m < M; ++m) g[m][n] = fma(a[m], b, g[m][n]);
            }
        }
    }
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) {
        T* to = G + m * g_stride;
        if constexpr (N <= W) {
            const V s = sums<N>(g[m]);
            store_part(to, load_part<V>(to, N) + s, N);
        } else {
#pragma GCC unroll 6
            for (int n = 0; n < N; ++n) to[n] += sum(g[m][n]);
        }
    }
}

// G (n_out, n_in) += Σ over rows of D (n_out) Y (n_in), both in panels; rows that do not exist have D = 0. From one
// row of G to the next it is g_stride numbers.
template <class T>
inline void dot_sums(Panels<const T> D, int n_out, Panels<const T> Y, int n_in, int panels, T* G,
                     std::ptrdiff_t g_stride) {
    const Tiles down(n_out, dot_height), across(n_in, dot_width);
    constexpr int far = 16;  // tiles of D that stay in the cache while Y passes by
    for (int chunk = 0; chunk < down.count; chunk += far)
        for (int i = 0; i < across.count; ++i)
            for (int j = chunk; j < down.count && j < chunk + far; ++j) {
                const int m = down.start(j), n = across.start(i);
                const Panels<const T> d{D.at + m * panel_rows<T>, D.stride}, y{Y.at + n * panel_rows<T>, Y.stride};
                with_constant<dot_height>(down.size(j), [&](auto height) {
                    with_constant<dot_width>(across.size(i), [&](auto width) {
                        dot_tile<height(), width()>(d, y, panels, G + m * g_stride + n, g_stride);
                    });
                });
            }
}

}  // namespace deltarule::DELTARULE_ISA
