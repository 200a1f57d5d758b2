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
// rectify: sums below 0 become 0. times: C holds factors (slopes), which the sums are multiplied with; rectified: they are
// 1 where `outputs` is above 0, else 0; and_total: what a row of C sums to is added, lane by lane, to a vector of totals
enum class End { store, rectify, times, times_and_total, rectified_and_total };

// The sums of a tile as they are stored in place of `before`.
template <End end, class V>
[[gnu::always_inline]] inline V ended(V sum, const lane_of<V>* before, const lane_of<V>* outputs) {
    if constexpr (end == End::rectify) return max(V{}, sum);
    if constexpr (end == End::times || end == End::times_and_total) return sum * load<V>(before);
    if constexpr (end == End::rectified_and_total) return select<V>(load<V>(outputs) > V{}, sum, V{});
    return sum;
}

template <int M, Start start, End end, class T>
inline void multiply_tile(const T* A, const T* B, int K, const T* bias, T* C, T* totals, const T* outputs) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    constexpr bool totals_too = end == End::times_and_total || end == End::rectified_and_total;
    V c[M][panel_vectors];
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 3
        for (int v = 0; v < panel_vectors; ++v) {
            if constexpr (start == Start::zero) c[m][v] = V{};
            if constexpr (start == Start::bias) c[m][v] = splat<V>(bias[m]);
            if constexpr (start == Start::sum) c[m][v] = load<V>(C + m * R + v * W);
        }
    if constexpr (M == 1) {  // three sums would wait for each other: even and odd k apart
        V odd[panel_vectors]{};
#pragma GCC unroll 1
        for (; K > 1; K -= 2, A += 2, B += 2 * R)
#pragma GCC unroll 3
            for (int v = 0; v < panel_vectors; ++v) {
                c[0][v] = fma(splat<V>(A[0]), load<V>(B + v * W), c[0][v]);
                odd[v] = fma(splat<V>(A[1]), load<V>(B + R + v * W), odd[v]);
            }
#pragma GCC unroll 3
        for (int v = 0; v < panel_vectors; ++v) c[0][v] += odd[v];
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
            const int at = m * R + v * W;
            c[m][v] = ended<end>(c[m][v], C + at, outputs ? outputs + at : outputs);
            store(C + at, c[m][v]);
        }
    if constexpr (totals_too)
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m)
            store(totals + m * W, load<V>(totals + m * W) + ((c[m][0] + c[m][1]) + c[m][2]));
}

// C (M rows of a panel) = A' B with A packed by `pack`: for each tile of M, K rows as high as the tile.
template <Start start, End end, class T>
inline void multiply(const T* A, const T* B, int K, int M, const T* bias, T* C, T* totals = nullptr,
                     const T* outputs = nullptr) {
    const Tiles tiles(M, tile_height);
    for (int i = 0; i < tiles.count; ++i) {
        const int first = tiles.start(i);
        const std::ptrdiff_t at = std::ptrdiff_t(first) * panel_rows<T>;
        with_constant<tile_height>(tiles.size(i), [&](auto height) {
            multiply_tile<height(), start, end>(A + std::ptrdiff_t(first) * K, B, K, bias ? bias + first : bias, C + at,
                                                totals ? totals + std::ptrdiff_t(first) * simd<T>::width : totals,
                                                outputs ? outputs + at : outputs);
        });
    }
}

// A square of the numbers of tile_height rows, turned.
template <class T>
[[gnu::always_inline]] inline void turn_square(const T* from, std::ptrdiff_t stride, T* to) {
    using V = typename simd<T, tile_height>::V;
    V v[tile_height];
#pragma GCC unroll 8
    for (int m = 0; m < tile_height; ++m) v[m] = load<V>(from + m * stride);
    transpose(v);
#pragma GCC unroll 8
    for (int m = 0; m < tile_height; ++m) store(to + m * tile_height, v[m]);
}

// W (M, K), row after row, for multiply: the tiles from..to of M, K rows as high as the tile for each.
template <class T>
inline void pack(const T* W, int K, int M, int from, int to, T* packed) {
    const Tiles tiles(M, tile_height);
    for (int i = from; i < to; ++i) {
        const T* const at = W + std::ptrdiff_t(tiles.start(i)) * K;
        T* const tile = packed + std::ptrdiff_t(tiles.start(i)) * K;
        with_constant<tile_height>(tiles.size(i), [&](auto height) {
            constexpr int H = height();
            int k = 0;
            if constexpr (H == tile_height)
                for (; k + H <= K; k += H) turn_square(at + k, K, tile + k * H);
            for (; k < K; ++k)
#pragma GCC unroll 8
                for (int m = 0; m < H; ++m) tile[k * H + m] = at[std::ptrdiff_t(m) * K + k];
        });
    }
}

// W' (K, M), of which W (M, K) lies row after row, for multiply: the part that the rows first..last of W make up.
template <class T>
inline void pack_turned(const T* W, int K, int M, int first, int last, T* packed) {
    const Tiles tiles(K, tile_height);
    for (int i = 0; i < tiles.count; ++i) {
        const T* const at = W + tiles.start(i);
        T* const tile = packed + std::ptrdiff_t(tiles.start(i)) * M;
        with_constant<tile_height>(tiles.size(i), [&](auto height) {
            constexpr int H = height();
            using V = typename simd<T, tile_height>::V;
            for (int m = first; m < last; ++m) {
                const T* const row = at + std::ptrdiff_t(m) * K;
                if constexpr (H == tile_height)
                    store(tile + m * H, load<V>(row));
                else
#pragma GCC unroll 8
                    for (int k = 0; k < H; ++k) tile[m * H + k] = row[k];
            }
        });
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

// W (N, K) for multiply_rows: the tiles from..to of vectors, each K times as wide as the tile, zeros beyond N.
template <class T>
inline void pack_rows(const T* weights, int K, int N, int from, int to, T* packed) {
    constexpr int W = simd<T>::width;
    using V = typename simd<T>::V;
    const Tiles across(vectors_of<T>(N), panel_vectors);
    for (int j = from; j < to; ++j) {
        const int width = across.size(j) * W;
        T* const tile = packed + std::ptrdiff_t(across.start(j)) * W * K;
        for (int k = 0; k < K; k += W)
            for (int n = 0; n < width; n += W) {
                const int first = across.start(j) * W + n, here = K - k < W ? K - k : W;
                V v[W];
#pragma GCC unroll 16
                for (int i = 0; i < W; ++i)
                    v[i] = first + i < N ? load_part<V>(weights + std::ptrdiff_t(first + i) * K + k, here) : V{};
                transpose(v);
#pragma GCC unroll 16
                for (int i = 0; i < W; ++i)
                    if (i < here) store(tile + std::ptrdiff_t(k + i) * width + n, v[i]);
            }
    }
}

}  // namespace deltarule::DELTARULE_ISA
