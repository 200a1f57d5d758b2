// The diagonal of Σ J'J, summed over the neurons that an input goes to: for every input of a layer, and a 1 after them,
// Σ over rows of (Σ_j δ_j²) input², the δ pulled back from those given at the outputs.
#pragma once

#include "batch.hpp"

namespace deltarule::DELTARULE_ISA {

// Takes the targets for the local gradients of the outputs; adds to out (n_in + 1 numbers a layer).
template <class T>
inline void batch_squared_derivatives(const BatchPlan& plan, BatchWeights<T> weights, BatchRows<T> rows, T* workspace,
                                      T* out) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    const int n_in = plan.layers[0].n_in, last = plan.network.depth - 1, n_out = plan.layers[last].n_out;
    const PanelView<T> at{plan, workspace, 0};
    clear_bias_sums(plan, workspace);
    cut(rows.n, R, [&](std::int64_t first, int n) {
        const T* const X = rows.X + first * n_in;
        forward<Slopes::kept>(at, weights, X, n);
        T* const d = at.slope(last);
        to_panel(rows.targets + first * n_out, n_out, n, n_out, d);
        for (int r = 0; r < R; r += W) {
            const auto exists = lanes_below<V>(n - r < 0 ? 0 : n - r < W ? n - r : W);
            for (int k = r; k < n_out * R; k += R) store(d + k, select<V>(exists, load<V>(d + k), V{}));
        }
        backward<Slopes::kept>(at, weights);
        if (plan.forward_rows) to_panel(X, n_in, n, n_in, at.x());
        T* to = out;
        for (int l = 0; l <= last; ++l) {
            V of_row[panel_vectors]{};
            const T *signal = at.slope(l), *y = at.y(l - 1);
            for (int j = 0; j < plan.layers[l].n_out; ++j, signal += R)
                each<panel_vectors>([&](int v) {
                    const V delta = load<V>(signal + v * W);
                    of_row[v] = fma(delta, delta, of_row[v]);
                });
            for (int i = 0; i < plan.layers[l].n_in; ++i, y += R) {
                V total{};
                each<panel_vectors>([&](int v) {
                    const V input = load<V>(y + v * W);
                    total = fma(of_row[v] * input, input, total);
                });
                *to++ += sum(total);
            }
            *to++ += sum(of_row[0] + of_row[1] + of_row[2]);
        }
    });
}

}  // namespace deltarule::DELTARULE_ISA
