// Mini-batches of many rows: the batch kernels give the gradient of each, the rule moves the flat weights.
#pragma once

#include "batch_table.hpp"
#include "first_layer.hpp"
#include "rules.hpp"

namespace deltarule::DELTARULE_ISA {

BatchTables batch_tables();

// Moves n weights by their gradient `descent`, which it clears.
template <class V, class Rule, class T = lane_of<V>>
inline void move_all(const Rule& rule, T* w, T* m0, T* m1, T* descent, std::int64_t n, T share, T l2) {
    for (std::int64_t i = 0; i < n; i += lanes<V>) {
        const int part = n - i < lanes<V> ? int(n - i) : lanes<V>;
        V weight = load_part<V>(w + i, part), first{}, second{};
        if constexpr (Rule::n_memory > 0) first = load_part<V>(m0 + i, part);
        if constexpr (Rule::n_memory > 1) second = load_part<V>(m1 + i, part);
        rule(weight, V(l2 * weight + load_part<V>(descent + i, part) * share), first, second);
        store_part(w + i, weight, part);
        if constexpr (Rule::n_memory > 0) store_part(m0 + i, first, part);
        if constexpr (Rule::n_memory > 1) store_part(m1 + i, second, part);
        store_part(descent + i, V{}, part);
    }
}

inline constexpr std::int64_t fetched_ahead = 4;  // rows

template <class V, class Rule>
EpochResult epoch_in_blocks(const EpochArguments<lane_of<V>>& a) {
    using T = lane_of<V>;
    const NetworkView& net = a.network;
    const std::int64_t n_in = net.sizes[0], n_out = net.sizes[net.depth];
    const std::int64_t most = a.batch_size < a.n_visits ? a.batch_size : a.n_visits;
    const auto table = [] {
        if constexpr (sizeof(T) == 8)
            return batch_tables().of_double;
        else
            return batch_tables().of_float;
    }();
    Buffer<BatchLayer> layers(net.depth);
    const BatchPlan plan = table.plan(net, most, layers.data());
    const std::int64_t p = plan.n_weights;
    Buffer<T> packed(plan.n_packed), workspace(plan.n_workspace), gradient(p);
    Buffer<T> X(most * n_in), targets(most * n_out), s(most);
    const Visits<T> visits{a.X, a.order, a.n_visits, n_in};
    EpochResult result{a.count, 0};
    for (std::int64_t start = 0; start < a.n_visits; start += a.batch_size) {
        const std::int64_t left = a.n_visits - start, size = left < most ? left : most;
        for (std::int64_t r = 0; r < size; ++r) {
            const std::int64_t row = visits.row(start + r);
            if (r + fetched_ahead < size) fetch(visits.x(start + r + fetched_ahead), n_in);
            __builtin_memcpy(&X[r * n_in], a.X + row * n_in, std::size_t(n_in) * sizeof(T));
            __builtin_memcpy(&targets[r * n_out], a.targets + row * n_out, std::size_t(n_out) * sizeof(T));
            if (a.s) s[r] = a.s[row];
        }
        table.pack(plan, a.w, packed.data());
        result.loss_sum += table.value_grad(plan, {a.w, packed.data()},
                                            {X.data(), targets.data(), a.s ? s.data() : nullptr, size},
                                            workspace.data(), gradient.data());
        const Rule rule(a.hyper, a.rate, ++result.count);
        std::int64_t at = 0;
        for (int l = 0; l < net.depth; ++l)
            for (bool bias : {false, true}) {
                const std::int64_t n = bias ? net.sizes[l + 1] : net.sizes[l] * net.sizes[l + 1];
                T* m0 = Rule::n_memory > 0 ? a.memory + at : nullptr;
                T* m1 = Rule::n_memory > 1 ? a.memory + p + at : nullptr;
                move_all<V>(rule, a.w + at, m0, m1, &gradient[at], n, T(rule.share / double(size)),
                            bias ? T(0) : T(rule.share * a.l2));
                at += n;
            }
    }
    return result;
}

}  // namespace deltarule::DELTARULE_ISA
