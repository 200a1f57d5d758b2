// Activation functions: y = f(e), the slope df(e, y), and both at once where that is cheaper.
// The formulas are those of src/deltarule/activations.py, slopes accurate where neurons are saturated;
// kernels take the codes below, in the order of its table, and choose the type outside their loops.
#pragma once

#include "math.hpp"

namespace deltarule::DELTARULE_ISA {

enum class Activation : int {
    identity, logistic, tanh, softsign, hard_tanh, relu, leaky_relu, elu, selu, softplus, gelu, silu, mish,
    sine, gaussian, exponential, softmax,
};
inline constexpr int n_activations = 17;

inline constexpr double leak = 0.01;  // Maas, Hannun and Ng 2013
inline constexpr double selu_scale = 1.0507009873554805, selu_alpha = 1.6732632423543772;  // Klambauer 2017

// What every activation has. One that gives f and df gets f_df from here, and the other way round.
template <class Own>
struct ActivationBase {
    template <class V>
    [[gnu::always_inline]] static value_and_slope<V> f_df(V e) {
        const V y = Own::f(e);
        return {y, Own::df(e, y)};
    }
};

struct Identity : ActivationBase<Identity> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return e; }
    template <class V>
    [[gnu::always_inline]] static V df(V, V) { return splat<V>(1); }
};

struct Logistic {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return logistic(e); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) { return f_df(e).slope; }
    template <class V>
    [[gnu::always_inline]] static value_and_slope<V> f_df(V e) { return logistic_and_slope(e); }
};

struct Tanh {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return tanh(e); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) { return f_df(e).slope; }
    template <class V>
    [[gnu::always_inline]] static value_and_slope<V> f_df(V e) { return tanh_and_slope(e); }
};

struct Softsign : ActivationBase<Softsign> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return e / (lane_of<V>(1) + abs(e)); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) {
        const V s = lane_of<V>(1) + abs(e);
        return lane_of<V>(1) / (s * s);
    }
};

struct HardTanh : ActivationBase<HardTanh> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return clamp(e, -1, 1); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) {
        return select<V>((e > splat<V>(-1)) & (e <= splat<V>(1)), splat<V>(1), V{});
    }
};

struct Relu : ActivationBase<Relu> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return max(V{}, e); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) { return select<V>(e > V{}, splat<V>(1), V{}); }
};

struct LeakyRelu : ActivationBase<LeakyRelu> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return select<V>(e > V{}, e, lane_of<V>(leak) * e); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) { return select<V>(e > V{}, splat<V>(1), splat<V>(lane_of<V>(leak))); }
};

// scale · e above 0, scale · alpha · (exp(e) − 1) below
template <class V>
[[gnu::always_inline]] inline V exponential_linear(V e, lane_of<V> scale, lane_of<V> alpha) {
    return select<V>(e > V{}, scale * e, scale * alpha * expm1(min(V{}, e)));
}
template <class V>
[[gnu::always_inline]] inline V exponential_linear_slope(V e, lane_of<V> scale, lane_of<V> alpha) {
    return select<V>(e > V{}, splat<V>(scale), scale * alpha * exp(min(V{}, e)));
}

struct Elu : ActivationBase<Elu> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return exponential_linear(e, 1, 1); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) { return exponential_linear_slope(e, 1, 1); }
};

struct Selu : ActivationBase<Selu> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return exponential_linear(e, selu_scale, selu_alpha); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) { return exponential_linear_slope(e, selu_scale, selu_alpha); }
};

// log(1 + exp(e)) without overflow
template <class V>
[[gnu::always_inline]] inline V softplus(V e) {
    return max(V{}, e) + log1p(exp(V{} - abs(e)));
}

struct Softplus : ActivationBase<Softplus> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return softplus(e); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) { return logistic(e); }
};

struct Gelu : ActivationBase<Gelu> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return e * normal_cdf(e); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) {
        if constexpr (sizeof(lane_of<V>) == 8) {
            const auto g = normal(e);
            return fma(e, g.density, g.cdf);
        } else {
            return in_double(e, [](auto d) { return df(d, d); });
        }
    }
};

struct Silu {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return e * logistic(e); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) { return f_df(e).slope; }
    template <class V>
    [[gnu::always_inline]] static value_and_slope<V> f_df(V e) {
        const auto g = logistic_and_slope(e);
        return {e * g.y, fma(e, g.slope, g.y)};
    }
};

// t = tanh(softplus(e)) and dt/de from q = exp(−|e|): see activations.py
struct Mish {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return f_df(e).y; }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) { return f_df(e).slope; }
    template <class V>
    [[gnu::always_inline]] static value_and_slope<V> f_df(V e) {
        using T = lane_of<V>;
        const V q = exp(V{} - abs(e));
        const auto up = e > V{};
        const V numerator = select<V>(up, T(1) + T(2) * q, q * (q + T(2)));
        const V denominator = select<V>(up, T(1) + T(2) * q * (T(1) + q), q * (q + T(2)) + T(2));
        const V t = numerator / denominator;
        const V slope = T(4) * q * (T(1) + q) * select<V>(up, q, splat<V>(1)) / (denominator * denominator);
        return {e * t, fma(e, slope, t)};
    }
};

struct Sine : ActivationBase<Sine> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return sin(e); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V) { return cos(e); }
};

struct Gaussian : ActivationBase<Gaussian> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return exp(-e * e); }
    template <class V>
    [[gnu::always_inline]] static V df(V e, V y) { return lane_of<V>(-2) * e * y; }
};

struct Exponential : ActivationBase<Exponential> {
    template <class V>
    [[gnu::always_inline]] static V f(V e) { return exp(e); }
    template <class V>
    [[gnu::always_inline]] static V df(V, V y) { return y; }
};

// Calls f with an object of the activation's type. Softmax is no elementwise function: its layer is left
// as it is, with slope 1, and softmax_row does the rest.
template <class F>
[[gnu::always_inline]] inline decltype(auto) visit_activation(Activation code, F&& f) {
    switch (code) {
        case Activation::logistic: return f(Logistic{});
        case Activation::tanh: return f(Tanh{});
        case Activation::softsign: return f(Softsign{});
        case Activation::hard_tanh: return f(HardTanh{});
        case Activation::relu: return f(Relu{});
        case Activation::leaky_relu: return f(LeakyRelu{});
        case Activation::elu: return f(Elu{});
        case Activation::selu: return f(Selu{});
        case Activation::softplus: return f(Softplus{});
        case Activation::gelu: return f(Gelu{});
        case Activation::silu: return f(Silu{});
        case Activation::mish: return f(Mish{});
        case Activation::sine: return f(Sine{});
        case Activation::gaussian: return f(Gaussian{});
        case Activation::exponential: return f(Exponential{});
        case Activation::identity:
        case Activation::softmax: break;
    }
    return f(Identity{});
}

// One row through softmax, without overflow: y_k = exp(e_k) / Σ exp(e_j). Returns log Σ exp(e_j), which
// makes log y_k = e_k − log Σ exp(e_j) for the loss. e and y may be the same place.
template <class V>
inline lane_of<V> softmax_row(const lane_of<V>* e, lane_of<V>* y, int n) {
    using T = lane_of<V>;
    T top = e[0];
    for (int k = 1; k < n; ++k) top = (e[k] > top || e[k] != e[k]) ? e[k] : top;
    V total{};
    for (int k = 0; k < n; k += lanes<V>) {
        const int part = n - k < lanes<V> ? n - k : lanes<V>;
        store_part(y + k, exp(load_part<V>(e + k, part) - splat<V>(top)), part);
        total += load_part<V>(y + k, part);
    }
    const T all = sum(total);
    for (int k = 0; k < n; ++k) y[k] /= all;
    using Narrow = typename simd<T, 16 / int(sizeof(T))>::V;
    return top + log(splat<Narrow>(all))[0];
}

// The local gradients of a softmax layer from its error signals, in place: y_k (d_k − Σ d_j y_j).
template <class T>
inline void softmax_pull_back(const T* y, T* d, int n) {
    T mean = 0;
    for (int k = 0; k < n; ++k) mean += d[k] * y[k];
    for (int k = 0; k < n; ++k) d[k] = y[k] * (d[k] - mean);
}

}  // namespace deltarule::DELTARULE_ISA
