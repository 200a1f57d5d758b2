// Mini-batches of many rows: loss and local gradients of a chunk of them, and the gradient and update of some neurons.
#pragma once

#include "batch.hpp"
#include "first_layer.hpp"
#include "mini_batch_table.hpp"
#include "rules.hpp"
#include "strips.hpp"

namespace deltarule::DELTARULE_ISA {

inline constexpr std::ptrdiff_t mini_batch_bytes = 512 * 1024;  // for one block's outputs and local gradients
inline constexpr int shortest_chunk = 24;                       // rows
inline constexpr std::int64_t weights_of_part = 1024;
inline constexpr int neurons_of_part = 16, neurons_of_wide_part = 32;  // at least: they share what is read of the inputs
inline constexpr int wide_inputs = 256;

// The tiles of a layer's neurons, cut into parts.
template <class T>
inline Tiles parts_of_layer(const BatchPlan& plan, int l) {
    const Tiles tiles = packed_tiles<T>(plan, l);
    const BatchLayer& layer = plan.layers[l];
    const std::int64_t least = layer.n_in < wide_inputs ? neurons_of_part : neurons_of_wide_part;
    const std::int64_t neurons = weights_of_part / layer.n_in < least ? least : weights_of_part / layer.n_in;
    const std::int64_t fit = neurons * tiles.count / layer.n_out;
    return Tiles(tiles.count, fit < 1 ? 1 : int(fit));
}

template <class T>
inline MiniBatchPlan plan_mini_batch(const NetworkView& network, std::int64_t rows, BatchLayer* layers) {
    MiniBatchPlan plan{};
    // blocks are about equal
    const BatchPlan whole = plan_batch<T>(network, rows, layers, true, mini_batch_bytes);
    const std::int64_t blocks = (rows + whole.block_rows - 1) / whole.block_rows;
    const int unit = whole.forward_rows || panel_rows<T> > shortest_chunk ? row_unit : shortest_chunk;
    const std::int64_t block = ((rows + blocks - 1) / blocks + unit - 1) / unit * unit;
    plan.batch = plan_batch<T>(network, block < rows ? block : rows, layers, true, mini_batch_bytes);
    plan.batch.block_rows = int(block);
    plan.chunk_rows = unit;
    const BatchLayer& last = layers[network.depth - 1];
    for (int l = 0; l < network.depth; ++l) plan.n_parts += parts_of_layer<T>(plan.batch, l).count;
    plan.n_totals = last.bias + std::ptrdiff_t(last.n_out) * simd<T>::width;
    constexpr std::ptrdiff_t align = line / std::ptrdiff_t(sizeof(T));
    plan.n_own = plan.batch.n_own;
    const auto take = [&](std::ptrdiff_t n) {
        const std::ptrdiff_t at = plan.n_own;
        plan.n_own += (n + align - 1) / align * align;
        return at;
    };
    plan.rows = take(std::ptrdiff_t(unit) * layers[0].n_in);
    plan.targets = take(std::ptrdiff_t(unit) * last.n_out);
    plan.s = take(unit);
    return plan;
}

// Whether the way forward takes inputs row after row.
inline bool reads_rows(const BatchPlan& plan) {
    return plan.forward_rows || !plan.by_rows;
}

template <class T>
inline Strips<T> strips(const MiniBatch<T>& m, int l) {
    const BatchPlan& plan = m.plan.batch;
    return {m.workspace + plan.layers[l].strips, plan.layers[l].n_in, plan.held_rows};
}

// Brings the rows of a chunk, which begins with row `start` of the block, together, and asks for those of the next one:
// inputs in strips unless the way forward takes them row after row, in a thread's own memory.
template <class T>
inline BatchRows<T> gather(const MiniBatch<T>& m, int start, int rows, T* own) {
    const EpochArguments<T>& a = m.a;
    const std::int64_t n_in = a.network.sizes[0], n_out = a.network.sizes[a.network.depth], first = m.first + start;
    const Visits<T> visits{a.X, a.order, a.n_visits, n_in};
    const bool direct = !reads_rows(m.plan.batch);
    T *X = own + m.plan.rows, *targets = own + m.plan.targets, *s = own + m.plan.s;
    if (direct) strips(m, 0).keep_rows(start, rows, [&](int r) { return visits.x(first + r); });
    for (int r = 0; r < rows; ++r) {
        const std::int64_t row = visits.row(first + r);
        if (!direct) __builtin_memcpy(X + r * n_in, a.X + row * n_in, std::size_t(n_in) * sizeof(T));
        __builtin_memcpy(targets + r * n_out, a.targets + row * n_out, std::size_t(n_out) * sizeof(T));
        if (a.s) s[r] = a.s[row];
    }
    const std::int64_t next = first + rows, left = a.n_visits - next, coming = left < rows ? left : rows;
    for (std::int64_t visit = next; visit < next + coming; ++visit) {
        fetch(visits.x(visit), n_in);
        fetch(a.targets + visits.row(visit) * n_out, n_out);
    }
    return {direct ? nullptr : X, targets, a.s ? s : nullptr, rows};
}

// Σ s · loss of a chunk of the block; leaves local gradients, their sums, and inputs for the gradient.
template <class T>
inline double pass_chunk(const MiniBatch<T>& m, int chunk, T* own) {
    const BatchPlan& plan = m.plan.batch;
    const int start = chunk * m.plan.chunk_rows, left = m.rows - start, n_in = plan.layers[0].n_in;
    const int in_chunk = left < m.plan.chunk_rows ? left : m.plan.chunk_rows, last = plan.network.depth - 1;
    const int n_out = plan.layers[last].n_out;
    const BatchWeights<T> weights{m.a.w, m.packed};
    const BatchRows<T> rows = gather(m, start, in_chunk, own);
    T* const totals = m.totals + chunk * m.plan.n_totals;
    __builtin_memset(totals, 0, std::size_t(m.plan.n_totals) * sizeof(T));
    double loss = 0;
    panel_by_panel(plan, weights, rows.X, in_chunk, own, [&](std::int64_t offset, int n, const T* arrived) {
        const int row = start + int(offset);
        const PanelView<T> at{plan, m.workspace, row / panel_rows<T>, arrived, own, totals};
        if (!rows.X) strips(m, 0).make_panel(row, n, at.x());
        forward<Slopes::lean>(at, weights, rows.X ? rows.X + offset * n_in : nullptr, n);
        for (int l = 1; l <= last; ++l)
            if (plan.layers[l].strips >= 0) strips(m, l).keep_panel(row, at.y(l - 1));
        loss += output_loss<true>(at, rows.targets + offset * n_out, rows.s ? rows.s + offset : nullptr, n);
        backward<Slopes::lean>(at, weights);
    });
    if (plan.forward_rows) strips(m, 0).keep_rows(start, in_chunk, [&](int r) { return rows.X + std::ptrdiff_t(r) * n_in; });
    return loss;
}

// Moves n weights by their gradient, which begins anew.
template <class V, class Rule, class T = lane_of<V>>
inline void move_all(const Rule& rule, T* w, T* m0, T* m1, T* gradient, std::int64_t n, T share, T l2) {
    for (std::int64_t i = 0; i < n; i += lanes<V>) {
        const int part = n - i < lanes<V> ? int(n - i) : lanes<V>;
        V weight = load_part<V>(w + i, part), first{}, second{};
        if constexpr (Rule::n_memory > 0) first = load_part<V>(m0 + i, part);
        if constexpr (Rule::n_memory > 1) second = load_part<V>(m1 + i, part);
        rule(weight, V(l2 * weight + load_part<V>(gradient + i, part) * share), first, second);
        store_part(w + i, weight, part);
        if constexpr (Rule::n_memory > 0) store_part(m0 + i, first, part);
        if constexpr (Rule::n_memory > 1) store_part(m1 + i, second, part);
        store_part(gradient + i, V{}, part);
    }
}

template <class T>
inline void move_neurons(const MiniBatch<T>& m, const BatchLayer& layer, int first, int neurons) {
    const EpochArguments<T>& a = m.a;
    visit_rule(a.rule, [&]<class Rule>(rule_type<Rule>) {
        const Rule rule(a.hyper, m.pace);
        const auto move = [&](std::ptrdiff_t at, std::int64_t n, T l2) {
            T* const m0 = Rule::n_memory > 0 ? a.memory + at : nullptr;
            T* const m1 = Rule::n_memory > 1 ? a.memory + m.plan.batch.n_weights + at : nullptr;
            move_all<typename simd<T>::V>(rule, a.w + at, m0, m1, m.gradient + at, n, T(rule.share / double(m.size)),
                                          l2);
        };
        move(layer.w + std::ptrdiff_t(first) * layer.n_in, std::int64_t(neurons) * layer.n_in, T(rule.share * a.l2));
        move(layer.b + first, neurons, T(0));
    });
}

// Adds the block's part of the gradient of some neurons; after the last block moves and packs their weights.
template <class T>
inline void update_part(const MiniBatch<T>& m, int part) {
    constexpr int R = panel_rows<T>, W = simd<T>::width;
    const BatchPlan& plan = m.plan.batch;
    int l = 0;
    for (; part >= parts_of_layer<T>(plan, l).count; ++l) part -= parts_of_layer<T>(plan, l).count;
    const BatchLayer& layer = plan.layers[l];
    const Tiles parts = parts_of_layer<T>(plan, l);
    const int from = parts.start(part), to = parts.start(part + 1);
    const int first = first_neuron<T>(plan, l, from), neurons = first_neuron<T>(plan, l, to) - first;

    const Panels<const T> D{m.workspace + layer.slope + std::ptrdiff_t(first) * R, layer.panel};
    T* const G = m.gradient + layer.w + std::ptrdiff_t(first) * layer.n_in;
    if (layer.strips >= 0) {
        strips(m, l).sums(D, neurons, m.rows, G);
    } else {
        const Panels<const T> Y{m.workspace + (l == 0 ? plan.x : plan.layers[l - 1].y),
                                l == 0 ? plan.x_panel : plan.layers[l - 1].y_panel};
        dot_sums(D, neurons, Y, layer.n_in, (m.rows + R - 1) / R, G, layer.n_in);
    }
    for (int j = first; j < first + neurons; ++j) {
        typename simd<T>::V total{};
        for (int chunk = 0; chunk < m.chunks(); ++chunk)
            total += load<typename simd<T>::V>(m.totals + chunk * m.plan.n_totals + layer.bias + std::ptrdiff_t(j) * W);
        m.gradient[layer.b + j] += sum(total);
    }
    if (m.size == 0) return;
    move_neurons(m, layer, first, neurons);
    pack_layer(plan, l, from, to, m.a.w, m.packed);
}

}  // namespace deltarule::DELTARULE_ISA
