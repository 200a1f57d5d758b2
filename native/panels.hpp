// Rows of a table side by side, so that every lane of a vector is a row and no width of a layer wastes lanes.
//
// A panel holds panel_rows<T> rows, feature after feature: number f of row r lies at [f * panel_rows + r].
// The rows that a last panel lacks are copies of the last row, so that they bring no infinities of their own.
#pragma once

#include <cstddef>

#include "simd.hpp"

namespace deltarule::DELTARULE_ISA {

inline constexpr int panel_vectors = 3;
template <class T>
inline constexpr int panel_rows = panel_vectors * simd<T>::width;

template <int H, bool Second, class V, int... l>
[[gnu::always_inline]] inline V exchanged(V a, V b, std::integer_sequence<int, l...>) {
    constexpr int W = lanes<V>;
    if constexpr (Second)
        return __builtin_shufflevector(a, b, ((l & H) == 0 ? l + H : l + W)...);
    else
        return __builtin_shufflevector(a, b, ((l & H) == 0 ? l : l - H + W)...);
}

template <class V>
using lane_numbers = std::make_integer_sequence<int, lanes<V>>;

// In place: lane c of vector r and lane r of vector c change places.
template <class V, int H = 1>
[[gnu::always_inline]] inline void transpose(V* v) {
    if constexpr (H < lanes<V>) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes<V>; ++i) {
            if (i & H) continue;
            const V a = v[i], b = v[i + H];
            v[i] = exchanged<H, false>(a, b, lane_numbers<V>{});
            v[i + H] = exchanged<H, true>(a, b, lane_numbers<V>{});
        }
        transpose<V, 2 * H>(v);
    }
}

// Lane i of the result is the sum of v[i]; n <= lanes, the lanes from n on are of no use. Overwrites v.
template <int n, class V, int H = 1>
[[gnu::always_inline]] inline V sums(V* v) {
    if constexpr (H == lanes<V>) {
        return v[0];
    } else {
#pragma GCC unroll 16
        for (int i = 0; i < (n + 1) / 2; ++i) {
            const V a = v[2 * i], b = 2 * i + 1 < n ? v[2 * i + 1] : a;
            v[i] = exchanged<H, false>(a, b, lane_numbers<V>{}) + exchanged<H, true>(a, b, lane_numbers<V>{});
        }
        return sums<(n + 1) / 2, V, 2 * H>(v);
    }
}

template <class V>
inline void transpose_tile(const lane_of<V>* from, std::ptrdiff_t stride, int rows, int columns, lane_of<V>* to) {
    constexpr int W = lanes<V>;
    V v[W];
    if (rows == W && columns == W) {
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) v[i] = load<V>(from + i * stride);
        transpose(v);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) store(to + i * panel_rows<lane_of<V>>, v[i]);
        return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) v[i] = load_part<V>(from + (i < rows ? i : rows - 1) * stride, columns);
    transpose(v);
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i)
        if (i < columns) store(to + i * panel_rows<lane_of<V>>, v[i]);
}

// Columns of `rows` (at least one) consecutive rows into a panel; `from` is the first row's first such column.
template <class T>
inline void to_panel(const T* from, std::ptrdiff_t stride, int rows, int columns, T* panel) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>;
    if (stride == 1 && rows == panel_rows<T>) {
        for (int r = 0; r < rows; r += W) store(panel + r, load<V>(from + r));
        return;
    }
    for (int v = 0; v < panel_vectors; ++v) {
        const int first = v * W < rows ? v * W : rows - 1;
        const int there = rows - first < W ? rows - first : W;
        for (int c = 0; c < columns; c += W)
            transpose_tile<V>(from + first * stride + c, stride, there, columns - c < W ? columns - c : W,
                              panel + c * panel_rows<T> + v * W);
    }
}

template <class T>
inline void from_panel(const T* panel, int rows, int columns, T* to, std::ptrdiff_t stride) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>;
    if (stride == 1) {
        for (int r = 0; r < rows; r += W) store_part(to + r, load<V>(panel + r), rows - r < W ? rows - r : W);
        return;
    }
    for (int first = 0; first < rows; first += W)
        for (int c = 0; c < columns; c += W) {
            const int wide = columns - c < W ? columns - c : W, there = rows - first < W ? rows - first : W;
            V v[W];
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i)
                v[i] = load<V>(panel + (c + (i < wide ? i : wide - 1)) * panel_rows<T> + first);
            transpose(v);
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i)
                if (i < there) store_part(to + (first + i) * stride + c, v[i], wide);
        }
}

}  // namespace deltarule::DELTARULE_ISA
