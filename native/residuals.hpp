// Squared error as ½ r · r: r = √s (y − t) and its derivatives by the weights, row by row, for rows so few that these
// fit. What arrives at a layer from output k is pulled back as for the Gauss-Newton matrix, whose root they are.
#pragma once

#include "gauss_newton.hpp"

namespace deltarule::DELTARULE_ISA {

// Numbers of T: the signals of a panel, and its derivatives for one output.
template <class T>
inline std::ptrdiff_t residuals_workspace(const BatchPlan& plan) {
    return plan.n_workspace + GaussNewtonSpace<T>(plan).inputs + plan.n_weights * panel_rows<T>;
}

// r and J are those of the first row given; from one output to the next are `stride` rows.
template <class T>
inline void batch_residuals(const BatchPlan& plan, BatchWeights<T> weights, BatchRows<T> rows, T* workspace,
                            std::int64_t stride, T* r, T* J) {
    constexpr int R = panel_rows<T>;
    const int n_in = plan.layers[0].n_in, last = plan.network.depth - 1, n_out = plan.layers[last].n_out;
    const GaussNewtonSpace<T> space(plan);
    T *const signals = workspace + plan.n_workspace, *const panel = signals + space.inputs;
    const PanelView<T> at{plan, workspace, 0};
    cut(rows.n, R, [&](std::int64_t first, int n) {
        const T *const X = rows.X + first * n_in, *const s = rows.s ? rows.s + first : nullptr;
        forward<Slopes::kept>(at, weights, X, n);
        to_panel(rows.targets + first * n_out, n_out, n, n_out, at.targets());
        pull_back_roots(at, space, signals, weights, s, n);
        if (plan.forward_rows) to_panel(X, n_in, n, n_in, at.x());
        const T *const y = at.y(last), *const t = at.targets();
        for (int k = 0; k < n_out; ++k) {
            const std::int64_t row = k * stride + first;
            for (int i = 0; i < n; ++i)
                r[row + i] = (y[k * R + i] - t[k * R + i]) * (s ? T(__builtin_sqrt(double(s[i]))) : T(1));
            jacobian_panel(at, [&](int l) { return space.signal(signals, plan, l, 0, k); }, panel);
            from_panel(panel, n, int(plan.n_weights), J + row * plan.n_weights, plan.n_weights);
        }
    });
}

}  // namespace deltarule::DELTARULE_ISA
