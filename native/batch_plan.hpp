// Where everything lies: in the packed weights, and in the workspace that a thread keeps for one block of rows.
#pragma once

#include "batch_table.hpp"
#include "sums.hpp"

namespace deltarule::DELTARULE_ISA {

// Of the second-level cache, for one block's numbers. Few weights are summed often for little, and what else computes
// between two calls finds more of its own numbers there.
inline constexpr std::ptrdiff_t block_bytes = 384 * 1024, block_bytes_of_few = 96 * 1024;
inline constexpr std::int64_t few_weights = 2048;
inline constexpr int longest_block = 480;                   // rows; a block is a multiple of row_unit
inline constexpr int least_for_strips = 16;                 // neurons
inline constexpr std::ptrdiff_t predict_bytes = 16 * 1024;  // of the first-level cache, for a layer's outputs

// A row of so many numbers in whole vectors.
template <class T>
inline std::ptrdiff_t row_stride(std::ptrdiff_t width) {
    return std::ptrdiff_t(vectors_of<T>(int(width))) * simd<T>::width;
}

// Whether so few lanes of it stay empty that neurons may lie in them.
template <class T>
inline bool fills_lanes(std::int64_t width) {
    return row_stride<T>(width) * 10 <= width * 11;
}

// Rows that go through the layers together in a prediction, `row` numbers each at most.
template <class T>
inline std::ptrdiff_t predict_block(std::ptrdiff_t row) {
    const std::ptrdiff_t fit = predict_bytes / (row * std::ptrdiff_t(sizeof(T))) / row_unit * row_unit;
    return fit < 2 * row_unit ? 2 * row_unit : fit > longest_block ? longest_block : fit;
}

// Numbers from one panel of so many features to the next: an odd number of cache lines, so that the same features of
// many panels do not meet in a few sets of the cache.
template <class T>
inline std::ptrdiff_t panel_stride(std::ptrdiff_t features) {
    constexpr std::ptrdiff_t in_line = line / std::ptrdiff_t(sizeof(T));
    const std::ptrdiff_t lines = (features * panel_rows<T> + in_line - 1) / in_line;
    return (lines | 1) * in_line;
}

// Whether a layer's gradient takes its inputs in strips, row after row, rather than in panels: worth the copy where
// enough neurons use it.
template <class T>
inline bool takes_strips(std::int64_t n_in, std::int64_t n_out) {
    return fills_lanes<T>(n_in) && n_out >= least_for_strips;
}

// strips: inputs are copied to strips; else the first layer's, if they fill lanes, are used as they are, and the others
// in panels.
template <class T>
inline BatchPlan plan_batch(const NetworkView& network, std::int64_t n, BatchLayer* layers, bool strips,
                            std::ptrdiff_t bytes) {
    constexpr int W = simd<T>::width, R = panel_rows<T>;
    BatchPlan plan{};
    plan.network = network;
    plan.layers = layers;
    const int n_in = int(network.sizes[0]), last = network.depth - 1;
    plan.by_rows = fills_lanes<T>(n_in);
    plan.forward_rows = plan.by_rows && n_in >= 2 * network.sizes[1] && fills_lanes<T>(network.sizes[1]);

    std::ptrdiff_t row = plan.by_rows ? 0 : n_in;
    for (int l = 1; l <= network.depth; ++l) row += 2 * std::ptrdiff_t(network.sizes[l]);
    const std::ptrdiff_t fit = bytes / (row * std::ptrdiff_t(sizeof(T))) / row_unit * row_unit;
    plan.block_rows = int(fit < 2 * row_unit ? 2 * row_unit : fit > longest_block ? longest_block : fit);
    plan.held_rows = n < plan.block_rows ? int((n + R - 1) / R * R) : plan.block_rows;
    const std::ptrdiff_t panels = plan.held_rows / R;

    std::ptrdiff_t widest = 0;
    for (int l = 0; l < network.depth; ++l) {
        BatchLayer& layer = layers[l];
        layer.n_in = int(network.sizes[l]);
        layer.n_out = int(network.sizes[l + 1]);
        layer.activation = network.activations[l];
        layer.w = plan.n_weights;
        layer.b = layer.w + std::ptrdiff_t(layer.n_in) * layer.n_out;
        plan.n_weights = layer.b + layer.n_out;
        layer.panel = panel_stride<T>(layer.n_out);
        if (layer.n_out > widest) widest = layer.n_out;
    }

    constexpr std::ptrdiff_t align = line / std::ptrdiff_t(sizeof(T));
    const auto take = [](std::ptrdiff_t& total, std::ptrdiff_t n) {
        const std::ptrdiff_t at = total;
        total += (n + align - 1) / align * align;
        return at;
    };
    const std::ptrdiff_t x_width = row_stride<T>(network.sizes[1]);
    const std::ptrdiff_t unit = plan.forward_rows ? x_width * row_unit : 0;
    plan.x_panel = panel_stride<T>(n_in);
    for (int l = 0; l <= last; ++l) {
        BatchLayer& layer = layers[l];
        const std::ptrdiff_t size = std::ptrdiff_t(layer.n_in) * layer.n_out;
        layer.forward = take(plan.n_packed, l == 0 && plan.forward_rows ? layer.n_in * x_width : size);
        layer.backward = l == 0 ? 0 : take(plan.n_packed, size);
        layer.bias = take(plan.n_workspace, std::ptrdiff_t(layer.n_out) * W);
        // outputs of which nothing is kept but strips
        const bool passes = strips && (l == last || takes_strips<T>(layer.n_out, network.sizes[l + 2]));
        layer.y_panel = passes ? 0 : layer.panel;
        if (passes) layer.y = take(plan.n_workspace, layer.panel);
    }
    if (plan.by_rows) plan.x = take(plan.n_workspace, unit > plan.x_panel ? unit : plan.x_panel);
    if (plan.by_rows && !strips) plan.columns = take(plan.n_workspace, outer_space<T>);
    plan.scratch = take(plan.n_workspace, (2 * widest + 1) * R);
    plan.n_own = plan.n_workspace;

    if (!plan.by_rows) plan.x = take(plan.n_workspace, plan.x_panel * panels);
    for (int l = 0; l <= last; ++l) {
        BatchLayer& layer = layers[l];
        const bool in_strips = strips && (l == 0 ? plan.by_rows : takes_strips<T>(layer.n_in, layer.n_out));
        layer.strips = in_strips ? take(plan.n_workspace, row_stride<T>(layer.n_in) * plan.held_rows) : -1;
        if (layer.y_panel) layer.y = take(plan.n_workspace, layer.y_panel * panels);
        layer.slope = take(plan.n_workspace, layer.panel * panels);
    }

    bool in_rows = true;
    std::ptrdiff_t packed = 0, longest = 0;
    for (int l = 0; l < network.depth; ++l) {
        const bool fills = fills_lanes<T>(layers[l].n_out);
        if (l + 1 < network.depth && !fills) in_rows = false;
        const std::ptrdiff_t row = row_stride<T>(layers[l].n_out);
        if (fills) packed += layers[l].n_in * row;
        if (row > longest) longest = row;
    }
    if (in_rows) {
        plan.predict_row = longest;
        const std::ptrdiff_t needed = 2 * (predict_block<T>(longest) * longest + R);
        if (packed > plan.n_packed) plan.n_packed = packed;
        if (needed > plan.n_workspace) plan.n_workspace = needed;
    }
    return plan;
}

template <class T>
inline BatchPlan plan_batch(const NetworkView& network, std::int64_t n, BatchLayer* layers) {
    std::int64_t weights = 0;
    for (int l = 0; l < network.depth; ++l) weights += (network.sizes[l] + 1) * network.sizes[l + 1];
    return plan_batch<T>(network, n, layers, false, weights <= few_weights ? block_bytes_of_few : block_bytes);
}

// The neurons of a layer in the tiles in which their weights are packed.
template <class T>
inline Tiles packed_tiles(const BatchPlan& plan, int l) {
    const int n_out = plan.layers[l].n_out;
    return l == 0 && plan.forward_rows ? Tiles(vectors_of<T>(n_out), panel_vectors) : Tiles(n_out, tile_height);
}

// The first neuron of a tile.
template <class T>
inline int first_neuron(const BatchPlan& plan, int l, int tile) {
    const int start = packed_tiles<T>(plan, l).start(tile), n_out = plan.layers[l].n_out;
    if (l > 0 || !plan.forward_rows) return start;
    return start * simd<T>::width < n_out ? start * simd<T>::width : n_out;
}

// Packs the weights of some tiles of a layer, from..to.
template <class T>
inline void pack_layer(const BatchPlan& plan, int l, int from, int to, const T* w, T* packed) {
    const BatchLayer& layer = plan.layers[l];
    if (l == 0 && plan.forward_rows)
        pack_rows(w + layer.w, layer.n_in, layer.n_out, from, to, packed + layer.forward);
    else
        pack(w + layer.w, layer.n_in, layer.n_out, from, to, packed + layer.forward);
    if (l > 0)
        pack_turned(w + layer.w, layer.n_in, layer.n_out, first_neuron<T>(plan, l, from), first_neuron<T>(plan, l, to),
                    packed + layer.backward);
}

template <class T>
inline void pack_weights(const BatchPlan& plan, const T* w, T* packed) {
    for (int l = 0; l < plan.network.depth; ++l) pack_layer(plan, l, 0, packed_tiles<T>(plan, l).count, w, packed);
}

// A workspace seen as one panel: the panel-th of its block.
template <class T>
struct PanelView {
    const BatchPlan& plan;
    T* workspace;
    int panel;
    const T* arrived_rows = nullptr;  // what arrives at the first layer, where arrive_rows has found it
    T* own = workspace;               // what a thread has of its own
    T* totals = own;                  // of the local gradients

    T* x() const { return plan.by_rows ? own + plan.x : workspace + plan.x + panel * plan.x_panel; }
    T* y(int l) const {
        if (l < 0) return x();
        const BatchLayer& layer = plan.layers[l];
        return layer.y_panel ? workspace + layer.y + panel * layer.y_panel : own + layer.y;
    }
    T* slope(int l) const { return workspace + plan.layers[l].slope + panel * plan.layers[l].panel; }
    T* total(int l) const { return totals + plan.layers[l].bias; }
    T* arrived() const { return own + plan.scratch; }  // at the outputs; after softmax: log y
    T* targets() const { return arrived() + std::ptrdiff_t(plan.layers[plan.network.depth - 1].n_out) * panel_rows<T>; }
};

}  // namespace deltarule::DELTARULE_ISA
