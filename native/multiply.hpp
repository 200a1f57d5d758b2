// The products on the way forward and back, with all sums in registers; panels are those of panels.hpp.
//
//   multiply       C = A' B     B, C panels, A packed weights: forward and backward
//   multiply_rows  C = B A      B, C rows as they are, A packed weights: forward without panels
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

// bias: null where C already holds a part of the sums.
template <int M, int N, class T>
inline void rows_tile(const T* B, std::ptrdiff_t b_stride, const T* A, int K, const T* bias, int n_bias, T* C,
                      std::ptrdiff_t c_stride) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>;
    V c[M][N];
#pragma GCC unroll 3
    for (int n = 0; n < N; ++n) {
        const int left = n_bias - n * W;
        const V b = bias ? load_part<V>(bias + n * W, left < W ? left : W) : V{};
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) c[m][n] = bias ? b : load<V>(C + m * c_stride + n * W);
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

// Numbers that a product takes together, so that this part of a tile of A stays in the first-level cache.
inline constexpr int rows_depth = 24 * 1024 / (panel_vectors * vector_bytes);

// C (rows, vectors_of(N)) = bias + B (rows, K) A, A packed by `pack_rows`.
template <class T>
inline void multiply_rows(const T* B, std::ptrdiff_t b_stride, int rows, const T* A, int K, int N, const T* bias,
                          T* C) {
    constexpr int W = simd<T>::width;
    const Tiles down(rows, tile_height), across(vectors_of<T>(N), panel_vectors);
    const std::ptrdiff_t c_stride = std::ptrdiff_t(across.n) * W;
    const Tiles along(K, rows_depth);
    for (int j = 0; j < across.count; ++j) {
        const int column = across.start(j) * W;
        with_constant<panel_vectors>(across.size(j), [&](auto wide) {
            for (int k = 0; k < along.count; ++k) {
                const int start = along.start(k);
                const T* const a = A + std::ptrdiff_t(column) * K + start * (wide() * W);
                for (int i = 0; i < down.count; ++i) {
                    const int row = down.start(i);
                    with_constant<tile_height>(down.size(i), [&](auto height) {
                        rows_tile<height(), wide()>(B + row * b_stride + start, b_stride, a, along.size(k),
                                                    k == 0 ? bias + column : nullptr, N - column,
                                                    C + row * c_stride + column, c_stride);
                    });
                }
            }
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

}  // namespace deltarule::DELTARULE_ISA
