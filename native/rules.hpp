// Update rules: how a gradient moves the weights, for a vector of them; the formulas are those of
// src/deltarule/methods/rules.py. Each is made once per update, with what `pace` says of the learning rate and the number
// of updates so far. What it is given is `share` times the gradient, so that the learning rate of a rule in proportion to it costs nothing for each weight.
#pragma once

#include "kernels.hpp"
#include "simd.hpp"

namespace deltarule::DELTARULE_ISA {

// The number as a T, which float32 would round to 0 where it is tiny: 0 / 0 in the padding would follow.
template <class T>
[[gnu::always_inline]] inline T above_zero(double a) {
    constexpr T least = sizeof(T) == 8 ? T(1e-300) : T(1e-38);
    return T(a) > least ? T(a) : least;
}

struct PlainRule {
    static constexpr int n_memory = 0;
    double share;
    PlainRule(const double*, double pace) : share(pace) {}
    template <class V>
    [[gnu::always_inline]] void operator()(V& w, V g, V&, V&) const {
        w -= g;
    }
};

struct MomentumRule {
    static constexpr int n_memory = 1;
    double momentum, share;
    MomentumRule(const double* hyper, double pace) : momentum(hyper[0]), share(pace) {}
    template <class V>
    [[gnu::always_inline]] void operator()(V& w, V g, V& v, V&) const {
        v = multiply_add_to_store(splat<V>(lane_of<V>(momentum)), v, V(-g));
        w += v;
    }
};

struct NesterovRule {
    static constexpr int n_memory = 1;
    double momentum, share;
    NesterovRule(const double* hyper, double pace) : momentum(hyper[0]), share(pace) {}
    template <class V>
    [[gnu::always_inline]] void operator()(V& w, V g, V& v, V&) const {
        const V m = splat<V>(lane_of<V>(momentum));
        v = multiply_add_to_store(m, v, V(-g));
        w = multiply_add_to_store(m, v, V(w - g));
    }
};

struct RmspropRule {
    static constexpr int n_memory = 1;
    static constexpr double share = 1;
    double decay, epsilon, rate;
    RmspropRule(const double* hyper, double pace) : decay(hyper[0]), epsilon(hyper[1]), rate(pace) {}
    template <class V>
    [[gnu::always_inline]] void operator()(V& w, V g, V& a, V&) const {
        using T = lane_of<V>;
        a = T(decay) * a + T(1 - decay) * (g * g);
        w -= T(rate) * g / (sqrt(a) + above_zero<T>(epsilon));
    }
};

struct AdamRule {
    static constexpr int n_memory = 2;
    static constexpr double share = 1;
    double beta1, beta2, epsilon, corrected;
    AdamRule(const double* hyper, double pace)
        : beta1(hyper[0]), beta2(hyper[1]), epsilon(hyper[2]), corrected(pace) {}
    template <class V>
    [[gnu::always_inline]] void operator()(V& w, V g, V& a, V& b) const {
        using T = lane_of<V>;
        a = T(beta1) * a + T(1 - beta1) * g;
        b = T(beta2) * b + T(1 - beta2) * (g * g);
        w -= T(corrected) * a / (sqrt(b) + above_zero<T>(epsilon));
    }
};

// The learning rate of the count-th update: Adam's is corrected for a memory that begins with zeros.
inline double pace(RuleCode rule, const double* hyper, double rate, std::int64_t count) {
    if (rule != RuleCode::adam) return rate;
    const double n = double(count);
    return rate * __builtin_sqrt(1 - __builtin_pow(hyper[1], n)) / (1 - __builtin_pow(hyper[0], n));
}

// Calls f with the type of the rule.
template <class Rule>
struct rule_type {
    using type = Rule;
};

template <class F>
inline decltype(auto) visit_rule(RuleCode code, F&& f) {
    switch (code) {
        case RuleCode::momentum: return f(rule_type<MomentumRule>{});
        case RuleCode::nesterov: return f(rule_type<NesterovRule>{});
        case RuleCode::rmsprop: return f(rule_type<RmspropRule>{});
        case RuleCode::adam: return f(rule_type<AdamRule>{});
        case RuleCode::plain: break;
    }
    return f(rule_type<PlainRule>{});
}

}  // namespace deltarule::DELTARULE_ISA
