// How the Gauss-Newton matrix is taken apart (see gauss_newton.hpp): pairs of layers, each with its pairs of neurons
// and of inputs, the products of such pairs, and the way back from their sums to the matrix.
#pragma once

#include "batch.hpp"

namespace deltarule::DELTARULE_ISA {

// Pairs (i, j) of n and m things, in rows; of a thing with itself only i <= j.
struct Pairs {
    int n, m;
    bool same;
    std::ptrdiff_t start(int i) const {
        return std::ptrdiff_t(i) * m - (same ? std::ptrdiff_t(i) * (i - 1) / 2 : 0);
    }
    std::ptrdiff_t count() const { return start(n); }
    int first(int i) const { return same ? i : 0; }
    // the i of the pair at a place
    int row_of(std::ptrdiff_t place) const {
        int low = 0, high = n - 1;
        while (low < high) {
            const int middle = (low + high + 1) / 2;
            if (start(middle) <= place)
                low = middle;
            else
                high = middle - 1;
        }
        return low;
    }
    std::ptrdiff_t at(int i, int j) const { return same && j < i ? start(j) + i - j : start(i) + j - first(i); }
};

// The block of H between layers l <= m.
struct LayerPair {
    const BatchLayer &l, &m;
    bool same;
    bool one_row;  // of J, and a single neuron: its block is J'J of that neuron, kept as the upper half of a square
    Pairs neurons() const { return {l.n_out, m.n_out, same}; }
    Pairs inputs() const { return {l.n_in + 1, m.n_in + 1, same}; }
    std::ptrdiff_t sums() const {
        return one_row ? std::ptrdiff_t(l.n_in + 1) * (l.n_in + 1) : neurons().count() * inputs().count();
    }
    // where the sum for these neurons and inputs lies
    std::ptrdiff_t at(int j, int k, int i, int h) const {
        if (one_row) return std::ptrdiff_t(i < h ? i : h) * (l.n_in + 1) + (i < h ? h : i);
        return neurons().at(j, k) * inputs().count() + inputs().at(i, h);
    }
};

// Calls f(l, m, pair, where its sums start) for all pairs of layers; returns the number of sums.
template <class F>
inline std::ptrdiff_t for_layer_pairs(const BatchPlan& plan, F&& f) {
    std::ptrdiff_t start = 0;
    const bool one_output = plan.layers[plan.network.depth - 1].n_out == 1;
    for (int l = 0; l < plan.network.depth; ++l)
        for (int m = l; m < plan.network.depth; ++m) {
            const bool one_row = l == m && one_output && plan.layers[l].n_out == 1;
            const LayerPair pair{plan.layers[l], plan.layers[m], l == m, one_row};
            f(l, m, pair, start);
            start += pair.sums();
        }
    return start;
}

// Σ_k a_k[i] b_k[j] of the pairs in [from, to), in panels `stride` apart. A panel of a holds a_k after a_k.
template <class T>
inline void pair_products(const Pairs& pairs, const T* a, const T* b, std::ptrdiff_t terms, int panels,
                          std::ptrdiff_t from, std::ptrdiff_t to, std::ptrdiff_t stride, T* out) {
    using V = typename simd<T>::V;
    constexpr int R = panel_rows<T>, W = lanes<V>, K = panel_vectors;
    const int i0 = pairs.row_of(from);
    for (int panel = 0; panel < panels; ++panel, a += terms * pairs.n * R, b += terms * pairs.m * R) {
        T* here = out + panel * stride;
        int i = i0, j = int(from - pairs.start(i0)) + pairs.first(i0);
        for (std::ptrdiff_t left = to - from; left > 0; j = pairs.first(++i)) {
            const int n = pairs.m - j < left ? pairs.m - j : int(left);
            left -= n;
            V x[K];
            each<K>([&](int v) { x[v] = load<V>(a + i * R + v * W); });
            for (const T *y = b + j * R, *end = y + std::ptrdiff_t(n) * R; y < end; y += R, here += R) {
                V total[K];
                each<K>([&](int v) { total[v] = x[v] * load<V>(y + v * W); });
                for (std::ptrdiff_t k = 1; k < terms; ++k)
                    each<K>([&](int v) {
                        total[v] = fma(load<V>(a + (k * pairs.n + i) * R + v * W), load<V>(y + k * pairs.m * R + v * W),
                                       total[v]);
                    });
                each<K>([&](int v) { store(here + v * W, total[v]); });
            }
        }
    }
}

// a[i] b[j] of `count` pairs from (i, j) on, for one row; up to a vector of numbers beyond them is written as well, and as
// many beyond b are read.
template <class T>
inline void pair_row(const Pairs& pairs, int i, int j, std::ptrdiff_t count, const T* a, const T* b, T* out) {
    using V = typename simd<T>::V;
    for (std::ptrdiff_t left = count; left > 0; j = pairs.first(++i)) {
        const int n = pairs.m - j < left ? pairs.m - j : int(left);
        const V x = splat<V>(a[i]);
        for (int h = 0; h < n; h += lanes<V>) store(out + h, x * load<V>(b + j + h));
        left -= n;
        out += n;
    }
}

// Sums by pairs as the whole symmetric matrix H (p, p).
template <class T>
inline void spread_pairs(const BatchPlan& plan, const T* sums, T* H) {
    const std::ptrdiff_t p = plan.n_weights;
    const auto place = [](const BatchLayer& layer, int j, int i) {
        return i < layer.n_in ? layer.w + std::ptrdiff_t(j) * layer.n_in + i : layer.b + j;
    };
    for_layer_pairs(plan, [&](int, int, const LayerPair& pair, std::ptrdiff_t start) {
        for (int j = 0; j < pair.l.n_out; ++j)
            for (int k = 0; k < pair.m.n_out; ++k)
                for (int i = 0; i <= pair.l.n_in; ++i) {
                    T* row = H + place(pair.l, j, i) * p;
                    for (int h = 0; h <= pair.m.n_in; ++h) row[place(pair.m, k, h)] = sums[start + pair.at(j, k, i, h)];
                }
        if (pair.same) return;
        for (std::ptrdiff_t a = pair.m.w; a < pair.m.b + pair.m.n_out; ++a)
            for (std::ptrdiff_t b = pair.l.w; b < pair.l.b + pair.l.n_out; ++b) H[a * p + b] = H[b * p + a];
    });
}

}  // namespace deltarule::DELTARULE_ISA
