// Update rules: how a gradient moves the weights, for a vector of them; the formulas are those of
// src/deltarule/methods/rules.py. Each is made once per update, with the number of updates so far.
#pragma once

#include "kernels.hpp"
#include "simd.hpp"

namespace deltarule::DELTARULE_ISA {

struct PlainRule {
    static constexpr int n_memory = 0;
    double rate;
    PlainRule(const double*, double rate, std::int64_t) : rate(rate) {}
    template <class V>
    [[gnu::always_inline]] void operator()(V& w, V g, V&, V&) const {
        w -= lane_of<V>(rate) * g;
    }
};

struct MomentumRule {
    static constexpr int n_memory = 1;
    double momentum, rate;
    MomentumRule(const double* hyper, double rate, std::int64_t) : momentum(hyper[0]), rate(rate) {}
    template <class V>
    [[gnu::always_inline]] void operator()(V& w, V g, V& v, V&) const {
        v = lane_of<V>(momentum) * v - lane_of<V>(rate) * g;
        w += v;
    }
};

struct NesterovRule {
    static constexpr int n_memory = 1;
    double momentum, rate;
    NesterovRule(const double* hyper, double rate, std::int64_t) : momentum(hyper[0]), rate(rate) {}
    template <class V>
    [[gnu::always_inline]] void operator()(V& w, V g, V& v, V&) const {
        using T = lane_of<V>;
        v = T(momentum) * v - T(rate) * g;
        w += T(momentum) * v - T(rate) * g;
    }
};

struct RmspropRule {
    static constexpr int n_memory = 1;
    double decay, epsilon, rate;
    RmspropRule(const double* hyper, double rate, std::int64_t) : decay(hyper[0]), epsilon(hyper[1]), rate(rate) {}
    template <class V>
    [[gnu::always_inline]] void operator()(V& w, V g, V& a, V&) const {
        using T = lane_of<V>;
        a = T(decay) * a + T(1 - decay) * (g * g);
        w -= T(rate) * g / (sqrt(a) + T(epsilon));
    }
};

struct AdamRule {
    static constexpr int n_memory = 2;
    double beta1, beta2, epsilon, corrected;
    AdamRule(const double* hyper, double rate, std::int64_t count)
        : beta1(hyper[0]), beta2(hyper[1]), epsilon(hyper[2]),
          corrected(rate * __builtin_sqrt(1 - __builtin_pow(beta2, double(count))) /
                    (1 - __builtin_pow(beta1, double(count)))) {}
    template <class V>
    [[gnu::always_inline]] void operator()(V& w, V g, V& a, V& b) const {
        using T = lane_of<V>;
        a = T(beta1) * a + T(1 - beta1) * g;
        b = T(beta2) * b + T(1 - beta2) * (g * g);
        w -= T(corrected) * a / (sqrt(b) + T(epsilon));
    }
};

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
