// tanh and its slope where a table of 16 numbers fits in registers (AVX-512): for K vectors side by side, at about
// half the instructions of exp.hpp's general one. Its error reaches 2.03 ulp, and exceeds 2 for some 1 in 10 million.
//
// With |a| = c + r, c near the n-th multiple of ln 2 / 32, and G = k e^−2c from the table:
//   u = tanh r       N = (k − G) + u (k + G)       D = (k + G) + u (k − G)
//   tanh |a| = N / D       slope = (1 + tanh |a|) h with h = 1 − tanh |a| = 2 G (1 − u) / D
// G has so few bits that k ± G is exact, and c is what belongs to it: r = |a| − n ln 2 / 32 + past. k is near 2: that
// keeps N and D where a rounding is small, because just below a power of 2.
// Written line by line over the vectors: the chain of dependent instructions of one is longer than the processor
// looks ahead. native/tests/minimax.py finds the numbers.
#pragma once

#include "exp.hpp"

namespace deltarule::DELTARULE_ISA {

#if defined(__AVX512F__)

template <class T>
struct tanh_table;

template <>
struct tanh_table<double> {
    using V = simd<double>::V;
    using B = simd<double>::B;
    static constexpr double per_step = 0x1.71547652b82fep+5, step = 0x1.62e42fefa39efp-6;  // 32 / ln 2, ln 2 / 32
    static constexpr double step_lost = 0x1.abc9e3b39803fp-61;
    static constexpr double to_integer = 0x1.8p52, largest = 354, k = 0x1.fap+0;
    static constexpr int to_exponent = 48;
    // tanh r = r + r³ q(r²), error 2⁻⁶²
    static constexpr double q[] = {-0x1.555555555553fp-2, 0x1.1111110ad03acp-3, -0x1.ba1343a129c79p-5};
    // bits of G plus j << to_exponent, so that subtracting n << to_exponent scales too
    static constexpr std::int64_t power[] = {
        0x3fffa00000000000, 0x3fff494000000000, 0x3fff000000000000, 0x3ffec40000000000,
        0x3ffe980000000000, 0x3ffe780000000000, 0x3ffe640000000000, 0x3ffe5c0000000000,
        0x3ffe5c0000000000, 0x3ffe6c0000000000, 0x3ffe800000000000, 0x3ffea40000000000,
        0x3ffecc0000000000, 0x3fff000000000000, 0x3fff400000000000, 0x3fff840000000000,
    };
    // the second has few bits, so that r is exact where it nearly cancels c
    static constexpr double past[] = {
        0x0.0p+0, 0x1.0b29a35f03000p-15, -0x1.2493dbf688d41p-18, -0x1.821919e8f4c4dp-14,
        0x1.f9cb85c63547cp-18, 0x1.d8f03faf18453p-15, 0x1.7bc219015ad81p-14, 0x1.3d08a19d0355ap-13,
        -0x1.0dd21e38dafabp-14, 0x1.796c2e2175904p-13, -0x1.40f0dc11d244dp-13, 0x1.9045c4d2079d2p-14,
        -0x1.a035d20e2ac53p-13, -0x1.9d3fbdb4facfep-13, 0x1.81dab92ac352bp-13, 0x1.82cafcf2da743p-14,
    };
    [[gnu::always_inline]] static B pick_power(B n) {
        return (B)_mm512_permutex2var_epi64(_mm512_loadu_si512(power), (__m512i)n, _mm512_loadu_si512(power + 8));
    }
    [[gnu::always_inline]] static V pick_past(B n) {
        return (V)_mm512_permutex2var_pd(_mm512_loadu_pd(past), (__m512i)n, _mm512_loadu_pd(past + 8));
    }
    [[gnu::always_inline]] static V least(V a, V b) { return (V)_mm512_maskz_min_pd(0xff, (__m512d)a, (__m512d)b); }
    [[gnu::always_inline]] static V rest(V z) {
        return fma(z, fma(z, splat<V>(q[2]), splat<V>(q[1])), splat<V>(q[0]));
    }
};

template <>
struct tanh_table<float> {
    using V = simd<float>::V;
    using B = simd<float>::B;
    static constexpr float per_step = 0x1.715476p+5f, step = 0x1.62e430p-6f, step_lost = -0x1.05c610p-34f;
    static constexpr float to_integer = 0x1.8p23f, largest = 43.5f, k = 0x1.f8p+0f;
    static constexpr int to_exponent = 19;
    static constexpr float q = -0x1.555254p-2f;  // error 2⁻²⁹
    static constexpr std::int32_t power[] = {
        0x3ffc0000, 0x3ffa0000, 0x3ff80000, 0x3ff60000, 0x3ff40000, 0x3ff20000, 0x3ff20000, 0x3ff20000,
        0x3ff20000, 0x3ff20000, 0x3ff40000, 0x3ff40000, 0x3ff60000, 0x3ff80000, 0x3ffa0000, 0x3ffc0000,
    };
    static constexpr float past[] = {
        0x0.0p+0f, 0x1.72fa5ep-10f, 0x1.02fa38p-9f, 0x1.a52f84p-10f, 0x1.d18cb8p-13f, -0x1.2a60eap-9f,
        -0x1.ae1bdep-11f, -0x1.c36f3ap-13f, -0x1.190114p-11f, -0x1.e999e4p-10f, 0x1.defaf2p-10f, -0x1.8db950p-10f,
        0x1.1799e0p-11f, 0x1.d37118p-10f, 0x1.1baa34p-9f, 0x1.a335c4p-10f,
    };
    [[gnu::always_inline]] static B pick_power(B n) {
        return (B)_mm512_maskz_permutexvar_epi32(0xffff, (__m512i)n, _mm512_loadu_si512(power));
    }
    [[gnu::always_inline]] static V pick_past(B n) {
        return (V)_mm512_maskz_permutexvar_ps(0xffff, (__m512i)n, _mm512_loadu_ps(past));
    }
    [[gnu::always_inline]] static V least(V a, V b) { return (V)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b); }
    [[gnu::always_inline]] static V rest(V) { return splat<V>(q); }
};

// N, D and 2 G (1 − u) of |e|.
template <int K, class V>
struct TanhRatio {
    using T = lane_of<V>;
    using C = tanh_table<T>;
    V N[K], D[K], h[K];

    [[gnu::always_inline]] explicit TanhRatio(const V (&e)[K]) {
        V a[K], n[K], u[K], z[K], G[K], up[K], down[K];
        bits_of<V> bits[K];
        each<K>([&](int k) { a[k] = C::least(splat<V>(C::largest), abs(e[k])); });
        each<K>([&](int k) { n[k] = fma(a[k], splat<V>(C::per_step), splat<V>(C::to_integer)); });
        each<K>([&](int k) { bits[k] = bits_as<bits_of<V>>(n[k]); });
        each<K>([&](int k) { n[k] -= C::to_integer; });
        each<K>([&](int k) { a[k] = fma(n[k], splat<V>(-C::step), a[k]); });
        each<K>([&](int k) { a[k] += C::pick_past(bits[k]); });
        each<K>([&](int k) { G[k] = bits_as<V>(C::pick_power(bits[k]) - (bits[k] << C::to_exponent)); });
        each<K>([&](int k) { z[k] = a[k] * a[k]; });
        each<K>([&](int k) { u[k] = fma(z[k] * a[k], C::rest(z[k]), a[k]); });
        each<K>([&](int k) { up[k] = C::k + G[k]; });
        each<K>([&](int k) { G[k] += G[k]; });
        each<K>([&](int k) { down[k] = up[k] - G[k]; });  // loses less than k − G once that is inexact
        each<K>([&](int k) { N[k] = fma(u[k], up[k], down[k]); });
        each<K>([&](int k) { D[k] = fma(u[k], down[k], up[k]); });
        // what the step lost is nothing to tanh, but something to a slope near 0
        each<K>([&](int k) { u[k] = fma(n[k], splat<V>(-2 * C::step_lost), u[k]); });
        each<K>([&](int k) { h[k] = fma(-u[k], G[k], G[k]); });
    }
};

template <int K, class V>
[[gnu::always_inline]] inline void tanh_side_by_side(const V (&e)[K], V (&y)[K]) {
    const TanhRatio<K, V> of(e);
    each<K>([&](int k) { y[k] = with_sign(of.N[k] / of.D[k], e[k]); });
}

// The same y to the bit: a quotient by the reciprocal, corrected by what it leaves, is the rounded quotient.
template <int K, class V>
[[gnu::always_inline]] inline void tanh_side_by_side(const V (&e)[K], V (&y)[K], V (&slope)[K]) {
    using T = lane_of<V>;
    const TanhRatio<K, V> of(e);
    V inverse[K], rough[K], left[K];
    each<K>([&](int k) { inverse[k] = T(1) / of.D[k]; });
    each<K>([&](int k) { rough[k] = of.N[k] * inverse[k]; });
    each<K>([&](int k) { left[k] = fma(-rough[k], of.D[k], of.N[k]); });
    each<K>([&](int k) { rough[k] = fma(left[k], inverse[k], rough[k]); });
    each<K>([&](int k) { y[k] = with_sign(rough[k], e[k]); });
    each<K>([&](int k) { inverse[k] *= of.h[k]; });
    each<K>([&](int k) { slope[k] = fma(inverse[k], rough[k], inverse[k]); });
}

#endif

}  // namespace deltarule::DELTARULE_ISA
