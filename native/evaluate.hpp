// The functions of math.hpp and the activations over arrays, by name: what their tests call.
#pragma once

#include "slopes.hpp"

namespace deltarule::DELTARULE_ISA {

template <class V, class F>
inline bool map(const lane_of<V>* x, lane_of<V>* y, std::int64_t n, F f) {
    for (std::int64_t i = 0; i < n; i += lanes<V>) {
        const int part = n - i < lanes<V> ? int(n - i) : lanes<V>;
        store_part(y + i, V(f(load_part<V>(x + i, part))), part);
    }
    return true;
}

inline constexpr const char* activation_names[n_activations] = {
    "identity", "logistic", "tanh", "softsign", "hard_tanh", "relu", "leaky_relu", "elu", "selu",
    "softplus", "gelu", "silu", "mish", "sine", "gaussian", "exponential", "softmax",
};

// name is a function of math.hpp, or "f tanh", "df tanh" for an activation.
template <class T>
inline bool evaluate(const char* name, const T* x, T* y, std::int64_t n) {
    using V = typename simd<T>::V;
    const auto is = [&](const char* other) { return __builtin_strcmp(name, other) == 0; };
    if (is("exp")) return map<V>(x, y, n, [](V a) { return exp(a); });
    if (is("expm1")) return map<V>(x, y, n, [](V a) { return expm1(a); });
    if (is("log")) return map<V>(x, y, n, [](V a) { return log(a); });
    if (is("log1p")) return map<V>(x, y, n, [](V a) { return log1p(a); });
    if (is("logistic")) return map<V>(x, y, n, [](V a) { return logistic(a); });
    if (is("tanh")) return map<V>(x, y, n, [](V a) { return tanh(a); });
    if (is("sin")) return map<V>(x, y, n, [](V a) { return sin(a); });
    if (is("cos")) return map<V>(x, y, n, [](V a) { return cos(a); });
    if (is("normal_cdf")) return map<V>(x, y, n, [](V a) { return normal_cdf(a); });
    if (is("normal_density")) return map<V>(x, y, n, [](V a) { return normal_density(a); });
    const bool slope = name[0] == 'd';
    for (int code = 0; code < n_activations; ++code) {
        if (__builtin_strlen(name) < 4 || __builtin_strcmp(name + (slope ? 3 : 2), activation_names[code]) != 0) continue;
        return visit_activation(Activation(code), [&]<class A>(A) {
            return map<V>(x, y, n, [=](V e) {
                V es[1] = {e}, ys[1], slopes[1];
                slope ? f_df<A>(es, ys, slopes) : f<A>(es, ys);
                return slope ? slopes[0] : ys[0];
            });
        });
    }
    return false;
}

}  // namespace deltarule::DELTARULE_ISA
