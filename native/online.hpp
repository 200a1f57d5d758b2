// A whole epoch in one call: online training by the plain rule, w ← w + η · δ · f′(e) · input after every row, for any
// network, and the choice among the kernels for other rules and few rows an update; many: mini_batch.hpp.
//
// Local gradients carry the learning rate and the sample weight from the outputs down, so that no weight is
// multiplied by them. Layers after the first keep their weights in rows: the way up takes dot products, the
// way down and the update of the weights are one sweep.
#pragma once

#include <memory>

#include "one_hidden.hpp"
#include "outputs.hpp"
#include "row_by_row.hpp"

namespace deltarule::DELTARULE_ISA {

template <class V, int K, bool Ahead>
double online_epoch(const EpochArguments<lane_of<V>>& a) {
    using T = lane_of<V>;
    const NetworkView& net = a.network;
    const T decay = T(1 - a.rate * a.l2);
    const Visits<T> visits{a.X, a.order, a.n_visits, net.sizes[0]};
    const Outputs<V> outputs(net);
    const int last = net.depth - 1;

    FirstLayer<V, K, Ahead> first(visits, net.sizes[1], decay);
    first.pack(a.w);
    const std::unique_ptr<RowsLayer<V>[]> layers(new RowsLayer<V>[net.depth]);
    T* flat = a.w;
    for (int l = 0; l < net.depth; ++l) {
        layers[l].shape(net.sizes[l], net.sizes[l + 1], net.activations[l], l > 0);
        if (l > 0) layers[l].pack(flat);
        flat += (net.sizes[l] + 1) * net.sizes[l + 1];
    }

    double total = 0;
    first.start();
    for (std::int64_t r = 0; r < a.n_visits; ++r) {
        const std::int64_t row = visits.row(r);
        first.receive(r, layers[0].e.data());
        if (last > 0) layers[0].activate(layers[0].e.data(), layers[0].y.data(), layers[0].slope.data(), layers[0].n_out);
        first.prepare(r);
        for (int l = 1; l <= last; ++l) {
            layers[l].receive(layers[l - 1].y.data());
            if (l < last) layers[l].activate(layers[l].e.data(), layers[l].y.data(), layers[l].slope.data(), layers[l].n_out);
        }
        const T s = a.s ? a.s[row] : T(1);
        T* g = last > 0 ? layers[last].g.data() : first.g(r);
        total += double(s) * double(outputs(layers[last], a.targets + row * net.sizes[net.depth], T(a.rate) * s, g));
        for (int l = last; l > 0; --l)
            learn(layers[l], layers[l - 1].y.data(), layers[l - 1].slope.data(),
                  l > 1 ? layers[l - 1].g.data() : first.g(r), decay);
        first.learn(r);
    }

    first.unpack(a.w);
    flat = a.w;
    for (int l = 0; l < net.depth; ++l) {
        if (l > 0) layers[l].unpack(flat);
        flat += (net.sizes[l] + 1) * net.sizes[l + 1];
    }
    return total;
}

// Sweeping every second row saves loads and stores of weights and costs inner products of inputs.
inline constexpr std::int64_t inputs_for_double_rows = 24;
// From here on a first layer's weights are read from the second-level cache: once for four rows.
inline constexpr std::int64_t large_first_layer = 128 * 1024;  // bytes

template <class V, class A>
double one_hidden_epoch(const EpochArguments<lane_of<V>>& a) {
    const auto run = [&](auto network) {
        const double total = network->run(a);
        network->unpack(a.w);
        return total;
    };
    if (a.l2 != 0) return run(std::make_unique<OneHidden<V, A, 1, 2, true>>(a));
    if (a.network.sizes[0] < inputs_for_double_rows) return run(std::make_unique<OneHidden<V, A, 1, 2, false>>(a));
    return run(std::make_unique<OneHidden<V, A, 2, 2, false>>(a));
}

template <class V>
double plain_epoch(const EpochArguments<lane_of<V>>& a) {
    const NetworkView& net = a.network;
    const std::int64_t bytes = net.sizes[0] * net.sizes[1] * std::int64_t(sizeof(lane_of<V>));
    const bool large = bytes > large_first_layer;
    if (net.depth == 2 && net.sizes[2] == 1 && !large && Activation(net.activations[1]) != Activation::softmax) {
        if (Activation(net.activations[0]) == Activation::tanh) return one_hidden_epoch<V, Tanh>(a);
        if (Activation(net.activations[0]) == Activation::logistic) return one_hidden_epoch<V, Logistic>(a);
    }
    if (large) return online_epoch<V, 4, false>(a);
    return net.sizes[0] < inputs_for_double_rows ? online_epoch<V, 1, true>(a) : online_epoch<V, 2, true>(a);
}

template <class V>
EpochResult epoch_of_width(const EpochArguments<lane_of<V>>& a) {
    if (a.rule == RuleCode::plain && a.batch_size == 1) return {a.count + a.n_visits, plain_epoch<V>(a)};
    return visit_rule(a.rule, [&]<class Rule>(rule_type<Rule>) {
        return RowByRow<V, Rule>(a).run();
    });
}

template <class T>
EpochResult epoch(const EpochArguments<T>& a) {
    return epoch_of_width<typename simd<T>::V>(a);
}

}  // namespace deltarule::DELTARULE_ISA
