// exp, expm1, logistic, tanh: all from e^a = 2^n (1 + p) with p = e^r − 1 and r = a − n ln 2.
#pragma once

#include "polynomial.hpp"

namespace deltarule::DELTARULE_ISA {

// Q in e^r − 1 = r + r² Q(r), each a minimax polynomial of the relative error of e^r − 1
// (native/tests/minimax.py finds them): `centred` on |r| <= ln 2 / 2, `positive` on 0 <= r <= ln 2.
template <class T>
struct exp_constants;

template <>
struct exp_constants<double> {
    static constexpr double centred[] = {
        0x1.0000000000000p-1,  0x1.5555555555559p-3,  0x1.555555555553ep-5,  0x1.111111110f642p-7,
        0x1.6c16c16c1f357p-10, 0x1.a01a01b017d44p-13, 0x1.a01a017b2f8a4p-16, 0x1.71ddf7c1a9674p-19,
        0x1.27e536cbf11f4p-22, 0x1.af5fdb2a65cabp-26, 0x1.1ee88a713558dp-29,
    };
    static constexpr double positive[] = {
        0x1.fffffffffffa7p-2,  0x1.5555555558744p-3,  0x1.55555554217bbp-5,  0x1.1111114b93c14p-7,
        0x1.6c16b4b0cd264p-10, 0x1.a01bb686ee9b6p-13, 0x1.9ff4bf6f8cf1dp-16, 0x1.73e3adf9abff1p-19,
        0x1.16b463992693fp-22, 0x1.2765b6bd8e420p-25,
    };
    static constexpr double log2e = 0x1.71547652b82fep+0;
    static constexpr double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
    static constexpr double lowest = -746, highest = 710;  // beyond: 0 and infinity
    static constexpr double minus_one = -45;               // expm1 below this is −1
    static constexpr double tanh_flat = 354;               // tanh is 1 and its slope below 2⁻¹⁰¹⁸ beyond
    static constexpr double to_integer = 0x1.8p52;         // adding it leaves round(x) in the low bits
    static constexpr std::uint64_t bias = 1023;
    static constexpr int mantissa = 52;
};

template <>
struct exp_constants<float> {
    static constexpr float centred[] = {
        0x1.000000p-1f, 0x1.555554p-3f, 0x1.5554b0p-5f, 0x1.11118ep-7f, 0x1.6d73eap-10f, 0x1.a02e14p-13f,
    };
    static constexpr float positive[] = {
        0x1.fffffep-2f, 0x1.5555bep-3f, 0x1.5545f0p-5f, 0x1.121a40p-7f, 0x1.5a4dd2p-10f, 0x1.18f978p-12f,
    };
    static constexpr float log2e = 0x1.715476p+0f;
    static constexpr float ln2_high = 0x1.62e400p-1f, ln2_low = 0x1.7f7d1cp-20f;
    static constexpr float lowest = -104.5f, highest = 89;
    static constexpr float minus_one = -20;
    static constexpr float tanh_flat = 43.5f;
    static constexpr float to_integer = 0x1.8p23f;
    static constexpr std::uint32_t bias = 127;
    static constexpr int mantissa = 23;
};

template <class V>
using exp_of = exp_constants<lane_of<V>>;

template <class V>
[[gnu::always_inline]] inline V round_to_whole(V a) {
    const V shift = splat<V>(exp_of<V>::to_integer);
    return (a + shift) - shift;
}

// 2^n for a whole n within the range of normal exponents.
template <class V>
[[gnu::always_inline]] inline V power_of_2(V n) {
    using K = exp_of<V>;
    return bits_as<V>((bits_as<bits_of<V>>(n + K::to_integer) + K::bias) << K::mantissa);
}

// y 2^n, rounded once, also where the result is subnormal or infinite.
template <class V>
[[gnu::always_inline]] inline V scale(V y, V n) {
#if defined(__AVX512VL__)  // masked, for the unmasked ones make GCC 12 warn of its own header
    if constexpr (sizeof(V) == 64 && sizeof(lane_of<V>) == 8)
        return (V)_mm512_mask_scalef_pd((__m512d)y, __mmask8(-1), (__m512d)y, (__m512d)n);
    if constexpr (sizeof(V) == 64 && sizeof(lane_of<V>) == 4)
        return (V)_mm512_mask_scalef_ps((__m512)y, __mmask16(-1), (__m512)y, (__m512)n);
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 8)
        return (V)_mm256_mask_scalef_pd((__m256d)y, __mmask8(-1), (__m256d)y, (__m256d)n);
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 4)
        return (V)_mm256_mask_scalef_ps((__m256)y, __mmask8(-1), (__m256)y, (__m256)n);
#endif
    const V half = round_to_whole(n * lane_of<V>(0.5));
    return y * power_of_2(half) * power_of_2(n - half);
}

// a = n ln 2 + r + lost, n whole.
template <class V>
struct reduced {
    V n, r, lost;
};

template <class V>
[[gnu::always_inline]] inline reduced<V> reduce(V a, lane_of<V> offset) {
    using K = exp_of<V>;
    const V n = round_to_whole(fma(a, splat<V>(K::log2e), splat<V>(offset)));
    const V high = a - n * K::ln2_high;  // exact
    const V low = n * K::ln2_low;
    const V r = high - low;
    return {n, r, (high - r) - low};
}

template <class V>
[[gnu::always_inline]] inline V clamp(V a, lane_of<V> low, lane_of<V> high) {
    return min(splat<V>(high), max(splat<V>(low), a));
}

// e^r − 1 for |r| <= ln 2 / 2, given r in two parts.
template <class V>
[[gnu::always_inline]] inline V expm1_centred(V r, V lost) {
    return r + fma(r * r, polynomial(r, exp_of<V>::centred), lost);
}

template <class V>
[[gnu::always_inline]] inline V exp(V a) {
    using K = exp_of<V>;
    const auto [n, r, lost] = reduce(clamp(a, K::lowest, K::highest), 0);
    return scale(expm1_centred(r, lost) + lane_of<V>(1), n);
}

template <class V>
[[gnu::always_inline]] inline V expm1(V a) {
    using K = exp_of<V>;
    const auto [n, r, lost] = reduce(clamp(a, K::minus_one, K::highest), 0);
    const V inverse = power_of_2(V{} - min(splat<V>(64), n));
    return with_sign(scale(((lane_of<V>(1) - inverse) + expm1_centred(r, lost)), n), a);
}

template <class V>
struct value_and_slope {
    V y, slope;
};

// 1 / (1 + e^−a) and its slope, both from q = e^−|a|, so that neither end loses accuracy: y is N / D with
// D = 1 + q and N = 1 or q. One division gives both: N (1 / D) is set right by what N − y D leaves.
template <class V>
[[gnu::always_inline]] inline value_and_slope<V> logistic_and_slope(V a) {
    const V one = splat<V>(1), q = exp(V{} - abs(a)), D = one + q, D_lost = q - (D - one);
    const V inverse = one / D, N = select<V>(a < V{}, q, one);
    V y;
    if constexpr (has_fma) {
        y = N * inverse;
        y = fma(fma(-y, D, N) - y * D_lost, inverse, y);
    } else {
        y = N / D;
        y = y - y * (D_lost * inverse);
    }
    return {y, q * inverse * inverse};
}

template <class V>
[[gnu::always_inline]] inline V logistic(V a) {
    return logistic_and_slope(a).y;
}

// With 1 + p = e^r, r in [0, ln 2], and s = 2^n, s (1 + p) = e^2|a|, and nothing cancels in
//     tanh |a| = N / D = (s p + s − 1) / (s p + s + 1)        1 − tanh² = (1 + tanh |a|) h, h = 1 − tanh |a| = 2 / D.
// One division gives both: N / D is N (1 / D), set right by what N − y D leaves, the rounding of D included.
// For K vectors, line by line: the chain of dependent instructions of one is longer than the processor looks ahead.
template <int K, class V>
[[gnu::always_inline]] inline void tanh_and_slope(const V (&a)[K], V (&y)[K], V (&slope)[K]) {
    using C = exp_of<V>;
    using T = lane_of<V>;
    V s[K], p[K], N[K], D[K], D_lost[K], inverse[K];
    each<K>([&](int k) __attribute__((always_inline)) {
        const V twice = min(splat<V>(2 * C::tanh_flat), T(2) * abs(a[k]));
        const V n_bits = fma(twice, splat<V>(C::log2e), splat<V>(T(-0.5))) + C::to_integer, n = n_bits - C::to_integer;
        s[k] = bits_as<V>((bits_as<bits_of<V>>(n_bits) + C::bias) << C::mantissa);
        p[k] = fma(n, splat<V>(-C::ln2_low), fma(n, splat<V>(-C::ln2_high), twice));
    });
    each<K>([&](int k) __attribute__((always_inline)) {
        const V squared = p[k] * p[k];
        p[k] = fma(squared, polynomial(p[k], squared, C::positive), p[k]);
    });
    each<K>([&](int k) __attribute__((always_inline)) {
        const V above = s[k] + T(1);
        N[k] = fma(s[k], p[k], s[k] - T(1));
        D[k] = fma(s[k], p[k], above);
        D_lost[k] = fma(s[k], p[k], above - D[k]);
    });
    each<K>([&](int k) __attribute__((always_inline)) { inverse[k] = T(1) / D[k]; });
    each<K>([&](int k) __attribute__((always_inline)) {
        if constexpr (has_fma) {
            y[k] = N[k] * inverse[k];
            y[k] = fma(fma(-y[k], D[k], N[k]) - y[k] * D_lost[k], inverse[k], y[k]);
        } else {
            y[k] = N[k] / D[k];
            y[k] = y[k] - y[k] * (D_lost[k] * inverse[k]);
        }
        inverse[k] += inverse[k];
        slope[k] = fma(inverse[k], y[k], inverse[k]);
        y[k] = with_sign(y[k], a[k]);
    });
}

template <class V>
[[gnu::always_inline]] inline value_and_slope<V> tanh_and_slope(V a) {
    const V as[1] = {a};
    V y[1], slope[1];
    tanh_and_slope<1>(as, y, slope);
    return {y[0], slope[0]};
}

template <class V>
[[gnu::always_inline]] inline V tanh(V a) {
    return tanh_and_slope(a).y;
}

}  // namespace deltarule::DELTARULE_ISA
