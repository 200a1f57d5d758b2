// (Σ s J' C J) v without the matrix: forward, the weights' change v carried along; times C; backward.
// (Pearlmutter 1994, Schraudolph 2002.)
#pragma once

#include "batch.hpp"

namespace deltarule::DELTARULE_ISA {

// Change of what arrives, of every output, along a direction v in the weights, pulled through C and back.
template <class T>
inline void curve(const PanelView<T>& at, const T* s, int rows, T* change) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    const NetworkView& network = at.plan.network;
    const int last = network.depth - 1, n_out = at.plan.layers[last].n_out;
    const bool softmax = Activation(network.activations[last]) == Activation::softmax;
    const T *y = at.y(last), *t = at.targets();
    T* d = at.slope(last);
    visit_loss(Loss(network.loss), [&](auto loss) {
        for (int r = 0; r < R; r += W) {
            const int here = rows - r < 0 ? 0 : rows - r < W ? rows - r : W;
            const V weight = s ? load_part<V>(s + r, here) : splat<V>(1);
            if (softmax) pull_back_softmax<V>(n_out, y + r, change + r);
            for (int k = r; k < n_out * R; k += R) {
                V curved = weight * load<V>(change + k);
                if (!(softmax && network.fused))
                    curved *= loss.curvature(load<V>(y + k), load<V>(t + k), T(network.parameter));
                if (!softmax && !network.fused) curved *= load<V>(d + k) * load<V>(d + k);
                store(d + k, select<V>(lanes_below<V>(here), curved, V{}));
            }
            if (softmax && !network.fused) pull_back_softmax<V>(n_out, y + r, d + r);
        }
    });
}

// Adds Σ s J' C J v to out; `along` is v packed as the weights are.
template <class T>
inline void batch_gauss_newton_product(const BatchPlan& plan, BatchWeights<T> weights, BatchWeights<T> along,
                                       BatchRows<T> rows, T* workspace, T* out) {
    using V = typename simd<T>::V;
    constexpr int R = panel_rows<T>;
    const int n_in = plan.layers[0].n_in, last = plan.network.depth - 1, n_out = plan.layers[last].n_out;
    std::ptrdiff_t widest = 0;
    for (int l = 0; l <= last; ++l) widest = plan.layers[l].n_out > widest ? plan.layers[l].n_out : widest;
    T* here = workspace + plan.n_workspace;
    T* next = here + widest * R;
    clear_bias_sums(plan, workspace);
    cut(rows.n, plan.block_rows, [&](std::int64_t start, int in_block) {
        cut(in_block, R, [&](std::int64_t offset, int n) {
            const std::int64_t first = start + offset;
            const PanelView<T> at{plan, workspace, int(offset / R)};
            forward<Slopes::kept>(at, weights, rows.X + first * n_in, n);
            to_panel(rows.targets + first * n_out, n_out, n, n_out, at.targets());
            for (int l = 0; l <= last; ++l) {
                const BatchLayer& layer = plan.layers[l];
                arrive<End::store>(at, l, along, rows.X + first * n_in, n, next);
                if (l > 0)
                    multiply<Start::sum, End::store>(weights.packed + layer.forward, here, layer.n_in, layer.n_out,
                                                     weights.w + layer.b, next);
                if (l < last)
                    for (std::ptrdiff_t i = 0; i < std::ptrdiff_t(layer.n_out) * R; i += lanes<V>)
                        store(next + i, load<V>(next + i) * load<V>(at.slope(l) + i));
                T* const swap = here;
                here = next;
                next = swap;
            }
            curve(at, rows.s ? rows.s + first : nullptr, n, here);
            backward<Slopes::kept>(at, weights);
        });
        add_block_gradient(plan, workspace, rows.X + start * n_in, in_block, out);
    });
    add_bias_sums(plan, workspace, out);
}

template <class T>
inline std::ptrdiff_t product_workspace(const BatchPlan& plan) {
    std::ptrdiff_t widest = 0;
    for (int l = 0; l < plan.network.depth; ++l)
        widest = plan.layers[l].n_out > widest ? plan.layers[l].n_out : widest;
    return plan.n_workspace + 2 * widest * panel_rows<T>;
}

}  // namespace deltarule::DELTARULE_ISA
