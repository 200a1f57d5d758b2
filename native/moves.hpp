// Weights, what a rule remembers of them, and the gradient of a mini-batch: streams of the same shape.
#pragma once

#include "memory.hpp"
#include "rules.hpp"

namespace deltarule::DELTARULE_ISA {

// Moves one vector of weights, which it returns, of which `descent` is the direction of descent before the penalty.
template <class V, class Rule>
[[gnu::always_inline]] inline V move(const Rule& rule, lane_of<V>* w, lane_of<V>* m0, lane_of<V>* m1, V descent,
                                     lane_of<V> l2) {
    V weight = load<V>(w), first{}, second{};
    if constexpr (Rule::n_memory > 0) first = load<V>(m0);
    if constexpr (Rule::n_memory > 1) second = load<V>(m1);
    rule(weight, multiply_add_to_store(splat<V>(l2), weight, V(-descent)), first, second);
    store<V>(w, weight);
    if constexpr (Rule::n_memory > 0) store<V>(m0, first);
    if constexpr (Rule::n_memory > 1) store<V>(m1, second);
    return weight;
}

template <class V, class Rule>
struct Moved {
    using T = lane_of<V>;
    Buffer<T> weights, memory[2], gradient;  // the gradient with the sign of descent

    void shape(std::size_t n) {
        weights.resize(n);
        gradient.resize(n);
        for (int m = 0; m < Rule::n_memory; ++m) memory[m].resize(n);
    }

    // The weights for −1, else the k-th vector that the rule remembers: anything where it has none, and never looks.
    T* stream(int k) const { return k >= 0 && k < Rule::n_memory ? memory[k].data() : weights.data(); }

    // Moves all weights by a share of the gradient, which begins anew.
    void apply(const Rule& rule, T share, T l2) {
        T *w = stream(-1), *m0 = stream(0), *m1 = stream(1), *sums = gradient.data();
        for (std::size_t i = 0; i < weights.size(); i += lanes<V>) {
            move<V>(rule, w + i, m0 + i, m1 + i, load<V>(sums + i) * share, l2);
            store<V>(sums + i, V{});
        }
    }
};

}  // namespace deltarule::DELTARULE_ISA
