// The three products of backpropagation, on panels (see panels.hpp), with all sums in registers:
//
//   multiply       C = A' B     B, C panels, A packed weights: forward and backward
//   multiply_rows  C = B A      rows of B as the user gave them, C rows: forward through a wide first layer
//   outer_sums     G += D' X    X as the user gave it, row after row: gradient of a wide first layer
//   dot_sums       G += D' Y    Y panels, sums over lanes at the end: gradient of every other layer
//
// Tiles are as large as the registers allow and all about equal, so that no width meets a slow remainder.
#pragma once

#include "panels.hpp"

namespace deltarule::DELTARULE_ISA {

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int n_registers = 32;
#else
inline constexpr int n_registers = 16;
#endif
inline constexpr int tile_height = n_registers == 32 ? 8 : 4;  // × panel_vectors sums in registers
inline constexpr int dot_height = n_registers == 32 ? 4 : 3, dot_width = n_registers == 32 ? 6 : 4;

// n things in the fewest tiles of at most `largest`, sizes equal or one apart.
struct Tiles {
    int n, count;
    constexpr Tiles(int n, int largest) : n(n), count((n + largest - 1) / largest) {}
    constexpr int start(int i) const { return int(std::int64_t(n) * i / count); }
    constexpr int size(int i) const { return start(i + 1) - start(i); }
};

// Calls f with an integral constant equal to n, which is 1 to `largest`.
template <int largest, class F>
[[gnu::always_inline]] inline void with_constant(int n, F&& f) {
    if constexpr (largest == 1) {
        f(std::integral_constant<int, 1>{});
    } else {
        if (n == largest)
            f(std::integral_constant<int, largest>{});
        else
            with_constant<largest - 1>(n, f);
    }
}

// How a product begins and ends.
enum class Start { zero, bias, sum };
// times: C holds factors (slopes), which the sums are multiplied with; and_total: adds what a row of C sums to, lane
// by lane, to a vector of totals
enum class End { store, times, times_and_total };

template <int M, Start start, End end, class T>
inline void multiply_tile(const T* A, const T* B, int K, const T* bias, T* C, T* totals) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    V c[M][panel_vectors];
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 3
        for (int v = 0; v < panel_vectors; ++v) {
            if constexpr (start == Start::zero) c[m][v] = V{};
            if constexpr (start == Start::bias) c[m][v] = splat<V>(bias[m]);
            if constexpr (start == Start::sum) c[m][v] = load<V>(C + m * R + v * W);
        }
#pragma GCC unroll 1
    for (int k = 0; k < K; ++k, A += M, B += R) {
        const V b0 = load<V>(B), b1 = load<V>(B + W), b2 = load<V>(B + 2 * W);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
            const V a = splat<V>(A[m]);
            c[m][0] = fma(a, b0, c[m][0]);
            c[m][1] = fma(a, b1, c[m][1]);
            c[m][2] = fma(a, b2, c[m][2]);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 3
        for (int v = 0; v < panel_vectors; ++v) {
            T* at = C + m * R + v * W;
            if constexpr (end != End::store) c[m][v] *= load<V>(at);
            store(at, c[m][v]);
        }
    if constexpr (end == End::times_and_total)
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m)
            store(totals + m * W, load<V>(totals + m * W) + ((c[m][0] + c[m][1]) + c[m][2]));
}

// C (M rows of a panel) = A' B with A packed by `pack`: for each tile of M, K rows as high as the tile.
template <Start start, End end, class T>
inline void multiply(const T* A, const T* B, int K, int M, const T* bias, T* C, T* totals = nullptr) {
    const Tiles tiles(M, tile_height);
    for (int i = 0; i < tiles.count; ++i) {
        const int first = tiles.start(i);
        with_constant<tile_height>(tiles.size(i), [&](auto height) {
            multiply_tile<height(), start, end>(A + std::ptrdiff_t(first) * K, B, K, bias ? bias + first : bias,
                                                C + std::ptrdiff_t(first) * panel_rows<T>,
                                                totals ? totals + std::ptrdiff_t(first) * simd<T>::width : totals);
        });
    }
}

// Element (m, k) of the matrix lies at from[m * m_stride + k * k_stride].
template <class T>
inline void pack(const T* from, std::ptrdiff_t m_stride, std::ptrdiff_t k_stride, int M, int K, T* to) {
    const Tiles tiles(M, tile_height);
    for (int i = 0; i < tiles.count; ++i) {
        const int first = tiles.start(i), height = tiles.size(i);
        const T* at = from + first * m_stride;
        if (k_stride == 1) {
            for (int m = 0; m < height; ++m)
                for (int k = 0; k < K; ++k) to[std::ptrdiff_t(k) * height + m] = at[m * m_stride + k];
        } else {
            for (int k = 0; k < K; ++k)
                for (int m = 0; m < height; ++m) to[std::ptrdiff_t(k) * height + m] = at[m * m_stride + k * k_stride];
        }
        to += std::ptrdiff_t(height) * K;
    }
}

template <int M, int N, class T>
inline void rows_tile(const T* B, std::ptrdiff_t b_stride, const T* A, int K, const T* bias, int n_bias, T* C,
                      std::ptrdiff_t c_stride) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>;
    V c[M][N];
#pragma GCC unroll 3
    for (int n = 0; n < N; ++n) {
        const int left = n_bias - n * W;
        const V b = load_part<V>(bias + n * W, left < W ? left : W);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) c[m][n] = b;
    }
#pragma GCC unroll 1
    for (int k = 0; k < K; ++k, A += N * W) {
        V a[N];
#pragma GCC unroll 3
        for (int n = 0; n < N; ++n) a[n] = load<V>(A + n * W);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
            const V b = splat<V>(B[m * b_stride + k]);
#pragma GCC unroll 3
            for (int n = 0; n < N; ++n) c[m][n] = fma(b, a[n], c[m][n]);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 3
        for (int n = 0; n < N; ++n) store(C + m * c_stride + n * W, c[m][n]);
}

template <class T>
inline int vectors_of(int n) {
    return (n + simd<T>::width - 1) / simd<T>::width;
}

// C (rows, vectors_of(N)) = bias + B (rows, K) A, A packed by `pack_rows`.
template <class T>
inline void multiply_rows(const T* B, std::ptrdiff_t b_stride, int rows, const T* A, int K, int N, const T* bias,
                          T* C) {
    constexpr int W = simd<T>::width;
    const Tiles down(rows, tile_height), across(vectors_of<T>(N), panel_vectors);
    const std::ptrdiff_t c_stride = std::ptrdiff_t(across.n) * W;
    for (int j = 0; j < across.count; ++j)
        for (int i = 0; i < down.count; ++i) {
            const int row = down.start(i), column = across.start(j) * W;
            with_constant<tile_height>(down.size(i), [&](auto height) {
                with_constant<panel_vectors>(across.size(j), [&](auto wide) {
                    rows_tile<height(), wide()>(B + row * b_stride, b_stride, A + std::ptrdiff_t(column) * K, K,
                                                bias + column, N - column, C + row * c_stride + column, c_stride);
                });
            });
        }
}

// W (N, K) for multiply_rows: tile after tile of vectors, each K times as wide as the tile, zeros beyond N.
template <class T>
inline void pack_rows(const T* from, int K, int N, T* to) {
    constexpr int W = simd<T>::width;
    using V = typename simd<T>::V;
    const Tiles across(vectors_of<T>(N), panel_vectors);
    for (int j = 0; j < across.count; ++j) {
        const int width = across.size(j) * W;
        for (int k = 0; k < K; k += W)
            for (int n = 0; n < width; n += W) {
                const int first = across.start(j) * W + n, here = K - k < W ? K - k : W;
                V v[W];
#pragma GCC unroll 16
                for (int i = 0; i < W; ++i)
                    v[i] = first + i < N ? load_part<V>(from + std::ptrdiff_t(first + i) * K + k, here) : V{};
                transpose(v);
#pragma GCC unroll 16
                for (int i = 0; i < W; ++i)
                    if (i < here) store(to + std::ptrdiff_t(k + i) * width + n, v[i]);
            }
        to += std::ptrdiff_t(K) * width;
    }
}

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

// G (n_out, n_in) += Σ over rows of D (n_out) Y (n_in), both in panels; rows that do not exist have D = 0.
template <class T>
inline void dot_sums(Panels<const T> D, int n_out, Panels<const T> Y, int n_in, int panels, T* G) {
    const Tiles down(n_out, dot_height), across(n_in, dot_width);
    constexpr int far = 16;  // tiles of D that stay in the cache while Y passes by
    for (int chunk = 0; chunk < down.count; chunk += far)
        for (int i = 0; i < across.count; ++i)
            for (int j = chunk; j < down.count && j < chunk + far; ++j) {
                const int m = down.start(j), n = across.start(i);
                const Panels<const T> d{D.at + m * panel_rows<T>, D.stride}, y{Y.at + n * panel_rows<T>, Y.stride};
                with_constant<dot_height>(down.size(j), [&](auto height) {
                    with_constant<dot_width>(across.size(i), [&](auto width) {
                        dot_tile<height(), width()>(d, y, panels, G + std::ptrdiff_t(m) * n_in + n, n_in);
                    });
                });
            }
}

}  // namespace deltarule::DELTARULE_ISA
