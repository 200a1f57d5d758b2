// Sums over rows of products of two tall matrices, with all sums of a tile in registers.
//
//   outer_sums     G += D' X    X row after row: gradient of a wide first layer; outer_column also Gauss-Newton
//   dot_sums       G += D' Y    Y panels, sums over lanes at the end: gradient of every other layer
#pragma once

#include "multiply.hpp"

namespace deltarule::DELTARULE_ISA {

inline constexpr int row_unit = 48;         // a multiple of every instruction set's panel
inline constexpr std::ptrdiff_t line = 64;  // bytes of the cache
inline constexpr int dot_height = n_registers == 32 ? 4 : 3, dot_width = n_registers == 32 ? 6 : 4;

// Some panels of a layer: `stride` numbers from one panel to the next, `rows` rows in all.
template <class T>
struct Panels {
    T* at;
    std::ptrdiff_t stride;
};

// `part` numbers of the last vector exist, in X where it is not `whole` (packed), and in G.
template <int M, int N, class T>
inline void outer_tile(Panels<const T> D, int rows, const T* X, std::ptrdiff_t x_stride, bool whole, int part, T* G,
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
    if (whole || part == W)
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

// Rows whose part of a tile, of X and of D, stays in the first-level cache while the tiles of D pass by.
template <class T>
inline constexpr int outer_rows =
    24 * 1024 / (panel_vectors * vector_bytes + tile_height * int(sizeof(T))) / row_unit * row_unit;

template <class T>
inline constexpr int outer_space = outer_rows<T> * panel_vectors * simd<T>::width;
inline constexpr int tiles_worth_packing = 4;  // of D, to pay for the copy of X

// Asks for `bytes` from `at` on, which will soon be needed.
inline void fetch(const void* at, std::ptrdiff_t bytes) {
    const char* from = static_cast<const char*>(at);
    for (std::ptrdiff_t i = 0; i < bytes; i += line) __builtin_prefetch(from + i);
    __builtin_prefetch(from + bytes - 1);
}

// Some columns of X, whole vectors, side by side: a stride that is a multiple of a large power of 2 would put them all
// in a few sets of the cache, and vectors across two lines take twice as long.
template <class T>
inline void pack_columns(const T* X, std::ptrdiff_t x_stride, int rows, int vectors, int part, T* to) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>;
    for (int r = 0; r < rows; ++r, X += x_stride, to += vectors * W) {
        for (int v = 0; v + 1 < vectors; ++v) store(to + v * W, load<V>(X + v * W));
        const T* last = X + (vectors - 1) * W;
        store(to + (vectors - 1) * W, part == W ? load<V>(last) : load_part<V>(last, part));
    }
}

// G (n_out, one tile of columns) += D' X; meanwhile(j, count) is called before the j-th of `count` tiles of D.
template <class T, class Meanwhile>
[[gnu::always_inline]] inline void outer_column(Panels<const T> D, int n_out, int rows, const T* X,
                                                std::ptrdiff_t x_stride, bool whole, int vectors, int part, T* G,
                                                std::ptrdiff_t g_stride, const Meanwhile& meanwhile) {
    const Tiles down(n_out, tile_height);
    for (int j = 0; j < down.count; ++j) {
        const int first = down.start(j);
        T* const to = G + first * g_stride;
        for (int m = 0; m < down.size(j); ++m) fetch(to + m * g_stride, vectors * vector_bytes);
        meanwhile(j, down.count);
        with_constant<tile_height>(down.size(j), [&](auto height) {
            with_constant<panel_vectors>(vectors, [&](auto wide) {
                outer_tile<height(), wide()>({D.at + first * panel_rows<T>, D.stride}, rows, X, x_stride, whole, part,
                                             to, g_stride);
            });
        });
    }
}

// G (n_out, n_in) += Σ over rows of D (n_out) X (n_in), X row after row, x_stride numbers from one to the next; `space`
// has room for outer_space numbers.
template <class T>
inline void outer_sums(Panels<const T> D, int n_out, int all_rows, const T* X, std::ptrdiff_t x_stride, int n_in, T* G,
                       std::ptrdiff_t g_stride, T* space) {
    constexpr int W = simd<T>::width, R = panel_rows<T>;
    const Tiles across(vectors_of<T>(n_in), panel_vectors);
    const bool packed = Tiles(n_out, tile_height).count >= tiles_worth_packing;
    for (int row = 0; row < all_rows; row += outer_rows<T>) {
        const int rows = all_rows - row < outer_rows<T> ? all_rows - row : outer_rows<T>;
        for (int i = 0; i < across.count; ++i) {
            const int column = across.start(i) * W, vectors = across.size(i);
            const int left = n_in - column - (vectors - 1) * W, part = left < W ? left : W;
            const T* x = X + row * x_stride + column;
            if (packed) pack_columns(x, x_stride, rows, vectors, part, space);
            const int coming = packed && i + 1 < across.count ? rows : 0;  // whose next columns are fetched meanwhile
            outer_column({D.at + row / R * D.stride, D.stride}, n_out, rows, packed ? space : x,
                         packed ? vectors * W : x_stride, packed, vectors, part, G + column, g_stride,
                         [&](int j, int count) {
                             for (int r = coming * j / count; r < coming * (j + 1) / count; ++r)
                                 fetch(x + r * x_stride + vectors * W, panel_vectors * vector_bytes);
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
