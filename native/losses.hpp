// Losses per output: value, signal −∂loss/∂y (fused: −∂loss/∂e) and curvature, by the formulas of
// src/deltarule/losses.py; codes in the order of its table. A loss sums over lanes that exist only:
// kernels cut the tail of a vector off with `value_part`.
#pragma once

#include "activations.hpp"

namespace deltarule::DELTARULE_ISA {

enum class Loss : int {
    squared_error, absolute_error, huber, log_cosh, quantile, binary_cross_entropy, cross_entropy, poisson,
};
inline constexpr int n_losses = 8;

// t log t, 0 at t = 0; hard targets, 0 and 1, cost no logarithm.
template <class V>
[[gnu::always_inline]] inline V entropy(V t) {
    const V one = splat<V>(1);
    const auto inside = (t > V{}) & (t != one);
    if (!any(inside)) return V{};
    return select<V>(inside, t * log(select<V>(inside, t, one)), V{});
}

// Every formula takes what arrived, e, what went out, y, the target t, and the loss's parameter.
struct SquaredError {
    template <class V>
    [[gnu::always_inline]] static V value(V, V y, V t, lane_of<V>) { return lane_of<V>(0.5) * (y - t) * (y - t); }
    template <class V>
    [[gnu::always_inline]] static V signal(V y, V t, lane_of<V>) { return t - y; }
    template <class V>
    [[gnu::always_inline]] static V curvature(V, V, lane_of<V>) { return splat<V>(1); }
};

struct AbsoluteError {
    template <class V>
    [[gnu::always_inline]] static V value(V, V y, V t, lane_of<V>) { return abs(y - t); }
    template <class V>
    [[gnu::always_inline]] static V signal(V y, V t, lane_of<V>) {
        const V r = t - y;
        return select<V>(r == V{}, V{}, select<V>(r != r, r, with_sign(splat<V>(1), r)));
    }
    template <class V>
    [[gnu::always_inline]] static V curvature(V, V, lane_of<V>) { return V{}; }
};

struct Huber {
    template <class V>
    [[gnu::always_inline]] static V value(V, V y, V t, lane_of<V> delta) {
        const V a = abs(y - t), near = min(splat<V>(delta), a);
        return near * (a - lane_of<V>(0.5) * near);
    }
    template <class V>
    [[gnu::always_inline]] static V signal(V y, V t, lane_of<V> delta) { return clamp(t - y, -delta, delta); }
    template <class V>
    [[gnu::always_inline]] static V curvature(V y, V t, lane_of<V> delta) {
        return select<V>(abs(y - t) <= splat<V>(delta), splat<V>(1), V{});
    }
};

struct LogCosh {
    template <class V>
    [[gnu::always_inline]] static V value(V, V y, V t, lane_of<V>) {
        using T = lane_of<V>;
        const V a = abs(y - t), one = splat<V>(1);
        const V half = tanh(T(0.5) * min(one, a));
        const auto near = a < one;  // cosh a − 1 = 2 sinh²(a/2): log1p of it keeps the accuracy of a small a
        const V l = log1p(select<V>(near, T(2) * half * half / (one - half * half), exp(T(-2) * a)));
        return select<V>(near, l, a + l - T(0.69314718055994530942));
    }
    template <class V>
    [[gnu::always_inline]] static V signal(V y, V t, lane_of<V>) { return tanh(t - y); }
    template <class V>
    [[gnu::always_inline]] static V curvature(V y, V t, lane_of<V>) { return tanh_and_slope(t - y).slope; }
};

struct Quantile {
    template <class V>
    [[gnu::always_inline]] static V value(V, V y, V t, lane_of<V> q) {
        const V r = t - y;
        return select<V>(r >= V{}, q * r, (q - lane_of<V>(1)) * r);
    }
    template <class V>
    [[gnu::always_inline]] static V signal(V y, V t, lane_of<V> q) {
        const V r = t - y;
        return select<V>(r > V{}, splat<V>(q), select<V>(r < V{}, splat<V>(q - lane_of<V>(1)), r));
    }
    template <class V>
    [[gnu::always_inline]] static V curvature(V, V, lane_of<V>) { return V{}; }
};

// Fused with logistic outputs.
struct BinaryCrossEntropy {
    template <class V>
    [[gnu::always_inline]] static V value(V e, V, V t, lane_of<V>) {
        const V one = splat<V>(1), l = log1p(exp(V{} - abs(e)));
        const V soft = t * (max(V{}, V{} - e) + l) + (one - t) * (max(V{}, e) + l);
        return soft + (entropy(t) + entropy(one - t));
    }
    template <class V>
    [[gnu::always_inline]] static V signal(V y, V t, lane_of<V>) { return t - y; }
    template <class V>
    [[gnu::always_inline]] static V curvature(V y, V, lane_of<V>) { return y * (lane_of<V>(1) - y); }
};

// Fused with softmax outputs; for `value`, e is log y, which softmax_row gives.
struct CrossEntropy {
    template <class V>
    [[gnu::always_inline]] static V value(V log_y, V, V t, lane_of<V>) {
        return select<V>(t > V{}, entropy(t) - t * log_y, V{});
    }
    template <class V>
    [[gnu::always_inline]] static V signal(V y, V t, lane_of<V>) { return t - y; }
    template <class V>
    [[gnu::always_inline]] static V curvature(V y, V, lane_of<V>) { return y; }
};

// Fused with exponential outputs.
struct Poisson {
    template <class V>
    [[gnu::always_inline]] static V value(V e, V y, V t, lane_of<V>) { return y - t * e + entropy(t) - t; }
    template <class V>
    [[gnu::always_inline]] static V signal(V y, V t, lane_of<V>) { return t - y; }
    template <class V>
    [[gnu::always_inline]] static V curvature(V y, V, lane_of<V>) { return y; }
};

// The sum of the first n lanes of a loss.
template <class V>
[[gnu::always_inline]] inline lane_of<V> value_part(V values, int n) {
    if (n == lanes<V>) return sum(values);
    lane_of<V> total = 0;
    for (int i = 0; i < n; ++i) total += values[i];
    return total;
}

// Calls f with an object of the loss's type.
template <class F>
[[gnu::always_inline]] inline decltype(auto) visit_loss(Loss code, F&& f) {
    switch (code) {
        case Loss::absolute_error: return f(AbsoluteError{});
        case Loss::huber: return f(Huber{});
        case Loss::log_cosh: return f(LogCosh{});
        case Loss::quantile: return f(Quantile{});
        case Loss::binary_cross_entropy: return f(BinaryCrossEntropy{});
        case Loss::cross_entropy: return f(CrossEntropy{});
        case Loss::poisson: return f(Poisson{});
        case Loss::squared_error: break;
    }
    return f(SquaredError{});
}

}  // namespace deltarule::DELTARULE_ISA
