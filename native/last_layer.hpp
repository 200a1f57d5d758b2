// The least-squares problem of a linear last layer: sums over rows of products of its inputs Y, a 1 for the biases and
// the targets T, and of what weights B leave of the targets. The network here is what comes before that layer.
//
//   sums   [Y 1]' [Y 1 T]        left   [Y 1]' (T − [Y 1] B)        every row times √s
//
// Rows lie in panels of Y, 1 and T; where there is room for all of them, `left` finds them as `sums` has left them. With
// one layer before it, its slopes are kept as well, and the gradient at solution B takes no way forward.
#pragma once

#include "batch.hpp"
#include "jacobian.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
struct LastLayer {
    int width, n_out, with_bias, columns;  // inputs, and with the 1; with the targets too
    bool with_slopes;                      // kept beside the rest
    std::ptrdiff_t stride, left_stride;    // from one panel to the next
    std::ptrdiff_t held_panels;            // of a block

    LastLayer(const BatchPlan& plan, int n_targets)
        : width(plan.layers[plan.network.depth - 1].n_out), n_out(n_targets), with_bias(width + 1),
          columns(with_bias + n_out), with_slopes(plan.network.depth == 1),
          stride(panel_stride<T>(columns + (with_slopes ? width : 0))), left_stride(panel_stride<T>(n_out)),
          held_panels(plan.held_rows / panel_rows<T>) {}

    std::ptrdiff_t workspace() const { return held_panels * (stride + left_stride); }  // beyond the plan's
};

// Y, 1 and T of up to a panel of rows, times √s; 0 where there is no row.
template <class T>
inline void last_layer_panel(const LastLayer<T>& layer, const PanelView<T>& at, const T* targets, const T* s, int rows,
                             T* panel) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    const int last = at.plan.network.depth - 1;
    const T *const y = at.y(last), *const slope = at.slope(last);
    T *const to = panel + std::ptrdiff_t(layer.with_bias) * R, *const slopes = panel + std::ptrdiff_t(layer.columns) * R;
    to_panel(targets, layer.n_out, rows, layer.n_out, to);
    for (int r = 0; r < R; r += W) {
        const int here = rows - r < 0 ? 0 : rows - r < W ? rows - r : W;
        const V there = select<V>(lanes_below<V>(here), splat<V>(1), V{});
        const V root = s && here > 0 ? select<V>(lanes_below<V>(here), sqrt(load_part<V>(s + r, here)), V{}) : there;
        for (int i = 0; i < layer.width; ++i) store(panel + i * R + r, load<V>(y + i * R + r) * root);
        if (layer.with_slopes)
            for (int i = 0; i < layer.width; ++i) store(slopes + i * R + r, load<V>(slope + i * R + r) * root);
        store(panel + layer.width * R + r, root);
        for (int j = 0; j < layer.n_out; ++j) store(to + j * R + r, load<V>(to + j * R + r) * root);
    }
}

// Calls f(panels of a block, how many) block by block. Panels are found in `kept` if `known`, otherwise computed: into
// `kept` where there is one, or into the workspace.
template <class T, class F>
inline void by_last_layer_panels(const LastLayer<T>& layer, const BatchPlan& plan, BatchWeights<T> weights,
                                 BatchRows<T> rows, T* workspace, T* kept, bool known, F&& f) {
    constexpr int R = panel_rows<T>;
    const std::ptrdiff_t n_in = plan.layers[0].n_in;
    cut(rows.n, plan.block_rows, [&](std::int64_t start, int in_block) {
        T* const block = kept ? kept + start / R * layer.stride : workspace + plan.n_workspace;
        const T* const X = rows.X + start * n_in;
        if (!(kept && known))
            panel_by_panel(plan, weights, X, in_block, workspace, [&](std::int64_t offset, int n, const T* arrived) {
                const std::int64_t first = start + offset;
                const PanelView<T> at{plan, workspace, 0, arrived};
                if (layer.with_slopes)
                    forward<Slopes::kept>(at, weights, X + offset * n_in, n);
                else
                    forward<Slopes::none>(at, weights, X + offset * n_in, n);
                last_layer_panel(layer, at, rows.targets + first * layer.n_out, rows.s ? rows.s + first : nullptr, n,
                                 block + offset / R * layer.stride);
            });
        f(Panels<const T>{block, layer.stride}, (in_block + R - 1) / R);
    });
}

// Adds to the upper triangle of sums (columns, columns).
template <class T>
inline void batch_last_layer_sums(const BatchPlan& plan, BatchWeights<T> weights, BatchRows<T> rows, int n_targets,
                                  T* workspace, T* kept, T* sums) {
    const LastLayer<T> layer(plan, n_targets);
    by_last_layer_panels(layer, plan, weights, rows, workspace, kept, false, [&](Panels<const T> block, int panels) {
        symmetric_dots<T>(block, layer.columns, panels, sums);
    });
}

// What B (n_out, with_bias) leaves of the targets in a panel, times √s: n_out × panel.
template <class T>
inline void panel_errors(const LastLayer<T>& layer, const T* panel, const T* B, T* errors) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    for (int j = 0; j < layer.n_out; ++j, B += layer.with_bias, errors += R) {
        V e[panel_vectors];
        each<panel_vectors>([&](int v) { e[v] = load<V>(panel + (layer.with_bias + j) * R + v * W); });
        for (int c = 0; c < layer.with_bias; ++c)
            each<panel_vectors>([&](int v) { e[v] = fma(splat<V>(-B[c]), load<V>(panel + c * R + v * W), e[v]); });
        each<panel_vectors>([&](int v) { store(errors + v * W, e[v]); });
    }
}

// Adds to left (n_out, with_bias), given B (n_out, with_bias).
template <class T>
inline void batch_last_layer_left(const BatchPlan& plan, BatchWeights<T> weights, BatchRows<T> rows, int n_targets,
                                  const T* B, T* workspace, T* kept, T* left) {
    const LastLayer<T> layer(plan, n_targets);
    T* const errors = workspace + plan.n_workspace + layer.held_panels * layer.stride;
    by_last_layer_panels(layer, plan, weights, rows, workspace, kept, true, [&](Panels<const T> block, int panels) {
        for (int i = 0; i < panels; ++i)
            panel_errors(layer, block.at + i * block.stride, B, errors + i * layer.left_stride);
        dot_sums<T>({errors, layer.left_stride}, layer.n_out, block, layer.with_bias, panels, left, layer.with_bias);
    });
}

// Adds the gradient of the one layer before to grad, from what is kept; returns Σ s · loss at B.
template <class T>
inline double batch_last_layer_value_grad(const BatchPlan& plan, BatchWeights<T>, BatchRows<T> rows, int n_targets,
                                          const T* B, T* workspace, T* kept, T* grad) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    const LastLayer<T> layer(plan, n_targets);
    const int n_in = plan.layers[0].n_in;
    T* const errors = workspace + plan.n_workspace + layer.held_panels * layer.stride;
    V total{};
    clear_bias_sums(plan, workspace);
    cut(rows.n, plan.block_rows, [&](std::int64_t start, int in_block) {
        const T* const X = rows.X + start * n_in;
        cut(in_block, R, [&](std::int64_t offset, int n) {
            const PanelView<T> at{plan, workspace, int(offset / R)};
            const T* const panel = kept + (start + offset) / R * layer.stride;
            if (!plan.by_rows) to_panel(X + offset * n_in, n_in, n, n_in, at.x());
            panel_errors(layer, panel, B, errors);
            for (int i = 0; i < layer.n_out * R; i += W) {
                const V e = load<V>(errors + i);
                total = fma(e, e, total);
            }
            const T* const slopes = panel + std::ptrdiff_t(layer.columns) * R;
            T *to = at.slope(0), *sums = workspace + plan.layers[0].bias;
            for (int i = 0; i < layer.width; ++i, to += R, sums += W) {
                V d[panel_vectors]{};
                for (int j = 0; j < layer.n_out; ++j) {
                    const V b = splat<V>(B[std::ptrdiff_t(j) * layer.with_bias + i]);
                    each<panel_vectors>([&](int v) { d[v] = fma(b, load<V>(errors + j * R + v * W), d[v]); });
                }
                each<panel_vectors>([&](int v) {
                    d[v] *= V{} - load<V>(slopes + i * R + v * W);
                    store(to + v * W, d[v]);
                    store(sums, load<V>(sums) + d[v]);
                });
            }
        });
        add_block_gradient(plan, workspace, X, in_block, grad);
    });
    add_bias_sums(plan, workspace, grad);
    return 0.5 * double(sum(total));
}

template <class T>
inline std::ptrdiff_t last_layer_workspace(const BatchPlan& plan, int n_targets) {
    return plan.n_workspace + LastLayer<T>(plan, n_targets).workspace();
}

template <class T>
inline std::ptrdiff_t last_layer_kept(const BatchPlan& plan, int n_targets, std::int64_t n) {
    return (n + panel_rows<T> - 1) / panel_rows<T> * LastLayer<T>(plan, n_targets).stride;
}

}  // namespace deltarule::DELTARULE_ISA
