// The first layer where a rule that remembers moves the weights after each row: one pass over them a row.
//
// The inputs of the next visit are known, so the pass that moves a weight also takes its product with them: what
// arrives at the neurons next. Weights lie in columns, as in first_layer.hpp, and these in tiles of a few vectors of
// neurons, all inputs of one tile after the other, so that each stream is read from end to end. Every second pass goes
// backwards: what the last one left in the cache is where this one begins.
#pragma once

#include "moves.hpp"
#include "rows_layer.hpp"

namespace deltarule::DELTARULE_ISA {

template <class V, class Rule>
class FirstColumns {
  public:
    using T = lane_of<V>;
    static constexpr int L = lanes<V>, wide = 2;  // vectors of a tile; the last one may have less
    RowsLayer<V> layer;                           // all but its weights

    void shape(std::int64_t n_in, std::int64_t n_out, int activation) {
        layer.shape(n_in, n_out, activation, false);
        stride_ = padded<V>(n_out);
        moved_.shape(std::size_t(n_in * stride_));
        biases_.shape(std::size_t(stride_));
    }

    // Weights and what is remembered of them, from flat numbers or to them; `memory` are vectors of p numbers.
    void exchange(T* w, T* memory, std::int64_t p, bool in) {
        for (int m = -1; m < Rule::n_memory; ++m) {
            T* flat = m < 0 ? w : memory + m * p;
            T *ours = moved_.stream(m), *b = biases_.stream(m);
            tiles(false, [&]<int N>(std::integral_constant<int, N>, std::int64_t first) {
                for (std::int64_t i = 0; i < layer.n_in; ++i)
                    for (std::int64_t o = first; o < first + N * L && o < layer.n_out; ++o) {
                        T &here = ours[first * layer.n_in + i * N * L + o - first], &there = flat[o * layer.n_in + i];
                        if (in)
                            here = there;
                        else
                            there = here;
                    }
            });
            T* flat_b = flat + layer.n_in * layer.n_out;
            __builtin_memcpy(in ? b : flat_b, in ? flat_b : b, std::size_t(layer.n_out) * sizeof(T));
        }
    }

    // e = b + W x.
    void receive(const T* x) {
        const std::int64_t n = layer.n_in;
        tiles(false, [&]<int N>(std::integral_constant<int, N>, std::int64_t first) __attribute__((always_inline)) {
            V e[N];
            each<N>([&](int c) { e[c] = load<V>(biases_.stream(-1) + first + c * L); });
            const T* w = moved_.stream(-1) + first * n;
            for (std::int64_t i = 0; i < n; ++i, w += N * L)
                each<N>([&](int c) { e[c] = fma(load<V>(w + c * L), splat<V>(x[i]), e[c]); });
            each<N>([&](int c) { store<V>(&layer.e[first + c * L], e[c]); });
        });
    }

    // Moves every weight by its gradient g xᵀ; then e = b + W next.
    [[gnu::noinline]] void learn(const Rule& rule, const T* x, const T* next, T l2, bool backwards) {
        tiles(backwards, [&]<int N>(std::integral_constant<int, N>, std::int64_t first) __attribute__((always_inline)) {
            backwards ? learn_tile<N, true>(rule, x, next, l2, first) : learn_tile<N, false>(rule, x, next, l2, first);
        });
    }

    // The gradient of a mini-batch grows by that of one row, and moves the weights.
    void add(const T* x) {
        const std::int64_t n = layer.n_in;
        tiles(false, [&]<int N>(std::integral_constant<int, N>, std::int64_t first) __attribute__((always_inline)) {
            V g[N];
            each<N>([&](int c) {
                g[c] = load<V>(&layer.g[first + c * L]);
                T* sum = &biases_.gradient[first + c * L];
                store<V>(sum, load<V>(sum) + g[c]);
            });
            T* sum = &moved_.gradient[first * n];
            for (std::int64_t i = 0; i < n; ++i, sum += N * L)
                each<N>([&](int c) {
                    store<V>(sum + c * L, multiply_add_to_store(g[c], splat<V>(x[i]), load<V>(sum + c * L)));
                });
        });
    }

    void apply(const Rule& rule, T share, T l2) {
        moved_.apply(rule, share, l2);
        biases_.apply(rule, share, T(0));
    }

  private:
    template <int N, bool backwards>
    [[gnu::always_inline]] void learn_tile(const Rule rule, const T* x, const T* next, T l2, std::int64_t first) {
        const std::int64_t n = layer.n_in;
        V g[N], e[N];
        each<N>([&](int c) __attribute__((always_inline)) {
            const std::int64_t at = first + c * L;
            g[c] = load<V>(&layer.g[at]);
            e[c] = move<V>(rule, biases_.stream(-1) + at, biases_.stream(0) + at, biases_.stream(1) + at, g[c], T(0));
        });
        T *w = moved_.stream(-1), *m0 = moved_.stream(0), *m1 = moved_.stream(1);
        std::int64_t at = first * n + (backwards ? (n - 1) * N * L : 0);
        for (std::int64_t k = 0; k < n; ++k, at += backwards ? -N * L : N * L) {
            const std::int64_t i = backwards ? n - 1 - k : k;
            const V xi = splat<V>(x[i]), coming = splat<V>(next[i]);
            each<N>([&](int c) __attribute__((always_inline)) {
                const std::int64_t here = at + c * L;
                e[c] = fma(move<V>(rule, w + here, m0 + here, m1 + here, g[c] * xi, l2), coming, e[c]);
            });
        }
        each<N>([&](int c) { store<V>(&layer.e[first + c * L], e[c]); });
    }

    // Calls f(number of vectors, first neuron) for each tile.
    template <class F>
    [[gnu::always_inline]] void tiles(bool backwards, F&& f) const {
        const std::int64_t whole = stride_ / (wide * L), rest = whole * wide * L;
        if (backwards && rest < stride_) f(std::integral_constant<int, 1>{}, rest);
        for (std::int64_t k = 0; k < whole; ++k)
            f(std::integral_constant<int, wide>{}, (backwards ? whole - 1 - k : k) * wide * L);
        if (!backwards && rest < stride_) f(std::integral_constant<int, 1>{}, rest);
    }

    std::int64_t stride_ = 0;
    Moved<V, Rule> moved_, biases_;
};

// Whether columns waste little: neurons in whole vectors against inputs in whole vectors.
template <class V>
inline bool columns_serve(std::int64_t n_in, std::int64_t n_out) {
    return 2 * n_in * padded<V>(n_out) <= 3 * padded<V>(n_in) * n_out;
}

}  // namespace deltarule::DELTARULE_ISA
