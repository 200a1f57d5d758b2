// tanh and its slope where a table of 16 numbers fits in registers (AVX-512), for K vectors side by side: half
// the instructions of exp.hpp's general one, within the same 2 ulp.
//
// With |a| = n ln 2 / 32 + r:  e^2|a| = S (1 + p), S = 2^(n/16) from the table, p = e^2r − 1 a short polynomial.
//   N = e^2|a| − 1 = S p + (S − 1)      tanh |a| = N / (N + 2)      slope = 2 / (N + 2) · (1 + tanh |a|)
// Written line by line over the vectors: the chain of dependent instructions of one is longer than the processor
// looks ahead.
#pragma once

#include "exp.hpp"

namespace deltarule::DELTARULE_ISA {

template <class F, int... k>
[[gnu::always_inline]] inline void unrolled(F f, std::integer_sequence<int, k...>) {
    (f(k), ...);
}

// f(0), ..., f(K − 1), written out
template <int K, class F>
[[gnu::always_inline]] inline void each(F f) {
    unrolled(f, std::make_integer_sequence<int, K>{});
}

#if defined(__AVX512F__)

template <class T>
struct tanh_sixteenths;

template <>
struct tanh_sixteenths<double> {
    using V = simd<double>::V;
    using I = simd<double>::I;
    static constexpr double per_step = 0x1.71547652b82fep+5;  // 32 / ln 2
    static constexpr double step_high = 0x1.62e42fefa3800p-6, step_low = 0x1.ef35793c76730p-50;
    static constexpr double to_integer = 0x1.8p52, largest = 354;
    static constexpr int to_exponent = 48;
    // (e^2r − 1 − 2r) / r² interpolated at Chebyshev's points; error 2⁻⁵⁹ of e^2r − 1
    static constexpr double q[] = {0x1.0000000000000p+1,  0x1.5555555556854p+0,  0x1.5555555056d6ep-1,
                                   0x1.111118bf1a670p-2, 0x1.6c0c1610930a8p-4, 0x1.a6ec3eda994e2p-6};
    // bits of 2^(j/16) less j << to_exponent, so that adding n << to_exponent scales too, and its relative error
    static constexpr std::int64_t power[] = {
        0x3ff0000000000000, 0x3fefb5586cf9890f, 0x3fef72b83c7d517b, 0x3fef387a6e756238,
        0x3fef06fe0a31b715, 0x3feedea64c123422, 0x3feebfdad5362a27, 0x3feeab07dd485429,
        0x3feea09e667f3bcd, 0x3feea11473eb0187, 0x3feeace5422aa0db, 0x3feec49182a3f090,
        0x3feee89f995ad3ad, 0x3fef199bdd85529c, 0x3fef5818dcfba487, 0x3fefa4afa2a490da,
    };
    static constexpr double lost[] = {
        0x0.0p+0, 0x1.79aa65d837b6cp-54, -0x1.01b15eaa59348p-55, 0x1.68efde3a8a893p-54,
        0x1.34d754db0abb6p-55, 0x1.59f48a72a4c6cp-55, 0x1.690cebb7aafbp-56, 0x1.063e1e21c5409p-54,
        -0x1.3b3efbf5e2229p-54, -0x1.b32dcb94da51dp-56, 0x1.db72fc1f0eab4p-55, 0x1.1affc2b91ce27p-56,
        0x1.c1a7792cb3386p-55, 0x1.36eae30af0cb3p-56, 0x1.4a385a63d07a7p-56, -0x1.ff7128fd391f1p-55,
    };
    [[gnu::always_inline]] static V pick_power(I n) {
        return (V)_mm512_permutex2var_epi64(_mm512_loadu_si512(power), (__m512i)n, _mm512_loadu_si512(power + 8));
    }
    [[gnu::always_inline]] static V pick_lost(I n) {
        return (V)_mm512_permutex2var_pd(_mm512_loadu_pd(lost), (__m512i)n, _mm512_loadu_pd(lost + 8));
    }
    [[gnu::always_inline]] static V least(V a, V b) { return (V)_mm512_maskz_min_pd(0xff, (__m512d)a, (__m512d)b); }
};

template <>
struct tanh_sixteenths<float> {
    using V = simd<float>::V;
    using I = simd<float>::I;
    static constexpr float per_step = 0x1.715476p+5f;
    static constexpr float step_high = 0x1.62e000p-6f, step_low = 0x1.0bfbe8p-20f;
    static constexpr float to_integer = 0x1.8p23f, largest = 43.5f;
    static constexpr int to_exponent = 19;
    static constexpr float q[] = {0x1.000000p+1f, 0x1.5550acp+0f, 0x1.59ce44p-1f};
    static constexpr std::int32_t power[] = {
        0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532, 0x3f75fed7, 0x3f75583f,
        0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c, 0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d,
    };
    static constexpr float lost[] = {
        0x0.0p+0f, 0x1.8d96d2p-25f, -0x1.9c0c22p-27f, 0x1.964902p-25f, 0x1.125002p-25f, 0x1.370be4p-25f,
        -0x1.0a3552p-25f, -0x1.00d8acp-27f, 0x1.26055cp-26f, -0x1.05cb44p-25f, 0x1.67a1cap-28f, 0x1.a3b5e4p-28f,
        -0x1.f9c306p-27f, -0x1.6961b4p-28f, -0x1.a5217cp-28f, 0x1.61428ep-28f,
    };
    [[gnu::always_inline]] static V pick_power(I n) {
        return (V)_mm512_maskz_permutexvar_epi32(0xffff, (__m512i)n, _mm512_loadu_si512(power));
    }
    [[gnu::always_inline]] static V pick_lost(I n) {
        return (V)_mm512_maskz_permutexvar_ps(0xffff, (__m512i)n, _mm512_loadu_ps(lost));
    }
    [[gnu::always_inline]] static V least(V a, V b) { return (V)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b); }
};

template <int K, class V>
[[gnu::always_inline]] inline void tanh_side_by_side(const V (&e)[K], V (&y)[K], V (&slope)[K]) {
    using T = lane_of<V>;
    using C = tanh_sixteenths<T>;
    V a[K], n[K], r[K], S[K], N[K], D[K], h[K], r2[K];
    ints_of<V> bits[K];
    each<K>([&](int k) { a[k] = C::least(splat<V>(C::largest), abs(e[k])); });
    each<K>([&](int k) { n[k] = fma(a[k], splat<V>(C::per_step), splat<V>(T(-0.5))) + C::to_integer; });
    each<K>([&](int k) { bits[k] = bits_as<ints_of<V>>(n[k]); });
    each<K>([&](int k) { n[k] -= C::to_integer; });
    each<K>([&](int k) { r[k] = fma(n[k], splat<V>(-C::step_high), a[k]); });
    each<K>([&](int k) { r[k] = fma(n[k], splat<V>(-C::step_low), r[k]); });
    each<K>([&](int k) { S[k] = bits_as<V>(bits_as<ints_of<V>>(C::pick_power(bits[k])) + (bits[k] << C::to_exponent)); });
    each<K>([&](int k) { N[k] = (r[k] + r[k]) + C::pick_lost(bits[k]); });
    each<K>([&](int k) { r2[k] = r[k] * r[k]; });
    if constexpr (sizeof(T) == 8) {
        each<K>([&](int k) { h[k] = fma(splat<V>(C::q[5]), r[k], splat<V>(C::q[4])); });
        each<K>([&](int k) { D[k] = fma(splat<V>(C::q[3]), r[k], splat<V>(C::q[2])); });
        each<K>([&](int k) { h[k] = fma(r2[k], h[k], D[k]); });
        each<K>([&](int k) { D[k] = fma(splat<V>(C::q[1]), r[k], splat<V>(C::q[0])); });
        each<K>([&](int k) { h[k] = fma(r2[k], h[k], D[k]); });
    } else {
        each<K>([&](int k) { h[k] = fma(splat<V>(C::q[2]), r[k], splat<V>(C::q[1])); });
        each<K>([&](int k) { h[k] = fma(h[k], r[k], splat<V>(C::q[0])); });
    }
    each<K>([&](int k) { N[k] = fma(r2[k], h[k], N[k]); });
    each<K>([&](int k) { N[k] = fma(S[k], N[k], S[k] - T(1)); });
    each<K>([&](int k) { D[k] = N[k] + T(2); });
    each<K>([&](int k) { S[k] = N[k] - (D[k] - T(2)); });  // what the rounding of D took
    each<K>([&](int k) { r[k] = T(1) / D[k]; });
    each<K>([&](int k) { a[k] = N[k] * r[k]; });
    each<K>([&](int k) { N[k] = fma(-a[k], D[k], N[k]); });
    each<K>([&](int k) { N[k] = fma(-a[k], S[k], N[k]); });
    each<K>([&](int k) { a[k] = fma(N[k], r[k], a[k]); });
    each<K>([&](int k) { y[k] = with_sign(a[k], e[k]); });
    each<K>([&](int k) { r[k] += r[k]; });
    each<K>([&](int k) { slope[k] = fma(r[k], a[k], r[k]); });
}

#endif

}  // namespace deltarule::DELTARULE_ISA
