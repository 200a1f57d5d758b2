// Where everything lies: in the packed weights, and in the workspace that a thread keeps for one block of rows.
#pragma once

#include "batch_table.hpp"
#include "sums.hpp"

namespace deltarule::DELTARULE_ISA {

inline constexpr std::ptrdiff_t block_bytes = 384 * 1024;  // of the second-level cache, for one block's numbers
inline constexpr int longest_block = 480;                   // rows; a block is a multiple of row_unit
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

template <class T>
inline BatchPlan plan_batch(const NetworkView& network, std::int64_t n, BatchLayer* layers) {
    constexpr int W = simd<T>::width, R = panel_rows<T>;
    BatchPlan plan{};
    plan.network = network;
    plan.layers = layers;
    const int n_in = int(network.sizes[0]);
    plan.by_rows = fills_lanes<T>(n_in);
    plan.forward_rows = plan.by_rows && n_in >= 2 * network.sizes[1] && fills_lanes<T>(network.sizes[1]);

    std::ptrdiff_t row = plan.by_rows ? 0 : n_in;
    for (int l = 1; l <= network.depth; ++l) row += 2 * std::ptrdiff_t(network.sizes[l]);
    const std::ptrdiff_t fit = block_bytes / (row * std::ptrdiff_t(sizeof(T))) / row_unit * row_unit;
    plan.block_rows = int(fit < 2 * row_unit ? 2 * row_unit : fit > longest_block ? longest_block : fit);
    plan.held_rows = n < plan.block_rows ? int((n + R - 1) / R * R) : plan.block_rows;

    constexpr std::ptrdiff_t align = line / std::ptrdiff_t(sizeof(T));
    const auto take = [](std::ptrdiff_t& total, std::ptrdiff_t n) {
        const std::ptrdiff_t at = total;
        total += (n + align - 1) / align * align;
        return at;
    };
    std::ptrdiff_t widest = 0;
    const std::ptrdiff_t x_width = row_stride<T>(network.sizes[1]);
    plan.x_panel = panel_stride<T>(n_in);
    const std::ptrdiff_t unit = plan.forward_rows ? x_width * row_unit : 0, panels = plan.held_rows / R;
    const std::ptrdiff_t inputs = plan.by_rows ? plan.x_panel : plan.x_panel * panels;
    plan.x = take(plan.n_workspace, unit > inputs ? unit : inputs);
    if (plan.by_rows) plan.columns = take(plan.n_workspace, outer_space<T>);
    for (int l = 0; l < network.depth; ++l) {
        BatchLayer& layer = layers[l];
        layer.n_in = int(network.sizes[l]);
        layer.n_out = int(network.sizes[l + 1]);
        layer.activation = network.activations[l];
        const std::ptrdiff_t size = std::ptrdiff_t(layer.n_in) * layer.n_out;
        layer.w = plan.n_weights;
        layer.b = layer.w + size;
        plan.n_weights = layer.b + layer.n_out;
        layer.forward = take(plan.n_packed, l == 0 && plan.forward_rows ? layer.n_in * x_width : size);
        layer.backward = l == 0 ? 0 : take(plan.n_packed, size);
        layer.panel = panel_stride<T>(layer.n_out);
        layer.y = take(plan.n_workspace, layer.panel * panels);
        layer.slope = take(plan.n_workspace, layer.panel * panels);
        layer.bias = take(plan.n_workspace, std::ptrdiff_t(layer.n_out) * W);
        if (layer.n_out > widest) widest = layer.n_out;
    }
    plan.scratch = take(plan.n_workspace, (2 * widest + 1) * R);

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
inline void pack_weights(const BatchPlan& plan, const T* w, T* packed) {
    for (int l = 0; l < plan.network.depth; ++l) {
        const BatchLayer& layer = plan.layers[l];
        if (l == 0 && plan.forward_rows)
            pack_rows(w + layer.w, layer.n_in, layer.n_out, packed + layer.forward);
        else
            pack(w + layer.w, layer.n_in, 1, layer.n_out, layer.n_in, packed + layer.forward);
        if (l > 0) pack(w + layer.w, 1, layer.n_in, layer.n_in, layer.n_out, packed + layer.backward);
    }
}

// A thread's workspace seen as one panel: the panel-th of its block.
template <class T>
struct PanelView {
    const BatchPlan& plan;
    T* workspace;
    int panel;
    const T* arrived_rows = nullptr;  // what arrives at the first layer, where arrive_rows has found it

    T* x() const { return workspace + plan.x + (plan.by_rows ? 0 : panel * plan.x_panel); }
    T* of(int l, std::ptrdiff_t start) const { return workspace + start + panel * plan.layers[l].panel; }
    T* y(int l) const { return l < 0 ? x() : of(l, plan.layers[l].y); }
    T* slope(int l) const { return of(l, plan.layers[l].slope); }
    T* arrived() const { return workspace + plan.scratch; }  // at the outputs; after softmax: log y
    T* targets() const { return arrived() + std::ptrdiff_t(plan.layers[plan.network.depth - 1].n_out) * panel_rows<T>; }
};

}  // namespace deltarule::DELTARULE_ISA
