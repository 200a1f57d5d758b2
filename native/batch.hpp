// Loss, gradient and outputs of rows. Forward and backward go panel by panel; the gradient of the weights is summed
// block by block, while a block's outputs and local gradients are in the second-level cache.
#pragma once

#include "batch_pass.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
inline void add_block_gradient(const BatchPlan& plan, T* workspace, const T* X, int rows, T* grad) {
    constexpr int R = panel_rows<T>;
    for (int l = 0; l < plan.network.depth; ++l) {
        const BatchLayer& layer = plan.layers[l];
        const Panels<const T> D{workspace + layer.slope, layer.panel};
        if (l == 0 && plan.by_rows) {
            outer_sums(D, layer.n_out, rows, X, layer.n_in, layer.n_in, grad + layer.w, layer.n_in,
                       workspace + plan.columns);
        } else {
            const Panels<const T> Y{workspace + (l == 0 ? plan.x : plan.layers[l - 1].y),
                                    l == 0 ? plan.x_panel : plan.layers[l - 1].y_panel};
            dot_sums(D, layer.n_out, Y, layer.n_in, (rows + R - 1) / R, grad + layer.w, layer.n_in);
        }
    }
}

template <class T>
inline void clear_bias_sums(const BatchPlan& plan, T* workspace) {
    for (int l = 0; l < plan.network.depth; ++l)
        __builtin_memset(workspace + plan.layers[l].bias, 0, plan.layers[l].n_out * vector_bytes);
}

template <class T>
inline void add_bias_sums(const BatchPlan& plan, const T* workspace, T* grad) {
    using V = typename simd<T>::V;
    for (int l = 0; l < plan.network.depth; ++l)
        for (int j = 0; j < plan.layers[l].n_out; ++j)
            grad[plan.layers[l].b + j] += sum(load<V>(workspace + plan.layers[l].bias + j * lanes<V>));
}

// Calls f(first row, number of rows) for rows cut in pieces.
template <class F>
[[gnu::always_inline]] inline void cut(std::int64_t n, int piece, F&& f) {
    for (std::int64_t first = 0; first < n; first += piece) f(first, int(n - first < piece ? n - first : piece));
}

// Calls f(first row, rows, what arrives at the first layer if it has been found) panel by panel.
template <class T, class F>
inline void panel_by_panel(const BatchPlan& plan, BatchWeights<T> weights, const T* X, std::int64_t n, T* workspace,
                           F&& f) {
    const std::ptrdiff_t n_in = plan.layers[0].n_in, stride = row_stride<T>(plan.layers[0].n_out);
    cut(n, row_unit, [&](std::int64_t start, int in_unit) {
        if (plan.forward_rows) arrive_rows(plan, weights, X + start * n_in, in_unit, workspace);
        cut(in_unit, panel_rows<T>, [&](std::int64_t offset, int rows) {
            f(start + offset, rows, plan.forward_rows ? workspace + plan.x + offset * stride : nullptr);
        });
    });
}

template <class T>
inline double batch_value(const BatchPlan& plan, BatchWeights<T> weights, BatchRows<T> rows, T* workspace) {
    const int n_in = plan.layers[0].n_in, n_out = plan.layers[plan.network.depth - 1].n_out;
    double total = 0;
    panel_by_panel(plan, weights, rows.X, rows.n, workspace, [&](std::int64_t first, int n, const T* arrived) {
        const PanelView<T> at{plan, workspace, 0, arrived};
        forward<Slopes::none>(at, weights, rows.X + first * n_in, n);
        total += output_loss<false>(at, rows.targets + first * n_out, rows.s ? rows.s + first : nullptr, n);
    });
    return total;
}

template <class T>
inline double batch_value_grad(const BatchPlan& plan, BatchWeights<T> weights, BatchRows<T> rows, T* workspace,
                               T* grad) {
    const int n_in = plan.layers[0].n_in, n_out = plan.layers[plan.network.depth - 1].n_out;
    double total = 0;
    clear_bias_sums(plan, workspace);
    cut(rows.n, plan.block_rows, [&](std::int64_t start, int in_block) {
        const T* const X = rows.X + start * n_in;
        panel_by_panel(plan, weights, X, in_block, workspace, [&](std::int64_t offset, int n, const T* arrived) {
            const std::int64_t first = start + offset;
            const PanelView<T> at{plan, workspace, int(offset / panel_rows<T>), arrived};
            forward<Slopes::lean>(at, weights, X + offset * n_in, n);
            total += output_loss<true>(at, rows.targets + first * n_out, rows.s ? rows.s + first : nullptr, n);
            backward<Slopes::lean>(at, weights);
        });
        add_block_gradient(plan, workspace, X, in_block, grad);
    });
    add_bias_sums(plan, workspace, grad);
    return total;
}

}  // namespace deltarule::DELTARULE_ISA
