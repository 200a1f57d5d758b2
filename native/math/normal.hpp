// The normal distribution function Φ and its density φ.
//
// Far out, Φ(−z) = e^(−z²/2) F(u) / (z + ¾) with u = (z − 4) / (z + 4): F is nearly constant, so that its
// polynomial adds only a small, accurately rounded part to its leading coefficient (the form is that of
// Shepherd and Laframboise, Math. Comp. 36 (1981), for erfc). Near 0, Φ(x) = ½ + x P(x²).
#pragma once

#include "exp.hpp"

namespace deltarule::DELTARULE_ISA {

inline constexpr double normal_far[] = {  // F − F(0), divided by u
    -0x1.bb386905f3e6fp-5,  -0x1.181660ccb27e9p-6,  0x1.7d26a4d39c496p-5,   -0x1.46f9ce3a0a589p-5,
    0x1.48a60d8bddd01p-6,   -0x1.5026db161f7bfp-8,  -0x1.d2f570242aa7dp-12, 0x1.84dc601064603p-11,
    -0x1.5c4d2f8f787dap-14, -0x1.8e86080239e44p-14, 0x1.5117d21bbe2f6p-16,  0x1.ed5d849930267p-17,
    -0x1.b0ece5fc14a4fp-19, -0x1.7527a068e3939p-19, 0x1.7d36a4b0c382ap-22,  0x1.36ec813bc3f6ep-21,
    0x1.74047f0d6601bp-27,  -0x1.f8bbdddfae759p-24, -0x1.3c5c201798e2fp-26, 0x1.5db0d52798763p-26,
    0x1.05b10445c1c70p-28,  -0x1.38941bbcf6048p-29,
};
inline constexpr double normal_near[] = {
    0x1.9884533d43651p-2,  -0x1.1058377e2ceafp-4,  0x1.46d0429761580p-7,  -0x1.37403f642a2a4p-10,
    0x1.e42b0645a864bp-14, -0x1.3ce72b797bf77p-17, 0x1.650608de7d8c4p-21, -0x1.4e6a892df4033p-25,
};
inline constexpr double normal_far_leading = 0x1.cb369eb6f0c64p-2, normal_far_leading_low = 0x1.9afa43fd5da73p-56;
inline constexpr double normal_vanished = 40;                      // Φ(−40) is below the smallest number
inline constexpr double normal_far_from = 0.5;
inline constexpr double one_over_root_2_pi = 0x1.9884533d43651p-2, one_over_root_2_pi_low = -0x1.cbc0d30ebfd15p-56;

template <class V>
struct normal_pair {
    V cdf, density;
};

// float lanes as double lanes, and back: where a second set of coefficients would not pay.
template <class V, class F>
[[gnu::always_inline]] inline V in_double(V x, F f) {
    if constexpr (lanes<V> * int(sizeof(double)) > vector_bytes) {
        const auto h = split(x);
        return join(in_double(h.low, f), in_double(h.high, f));
    } else {
        using D = typename simd<double, lanes<V>>::V;
        return __builtin_convertvector(f(__builtin_convertvector(x, D)), V);
    }
}

template <class V>
struct double_length {
    V high, low;
};

// a b without error; where no instruction gives what rounding takes, by halves of the mantissas (Dekker).
template <class V>
[[gnu::always_inline]] inline double_length<V> exact_product(V a, V b) {
    const V p = a * b;
    if constexpr (has_fma) {
        return {p, fma(a, b, -p)};
    } else {
        const auto upper = ints_of<V>{} + ~std::int64_t(0x7ffffff);
        const V ah = bits_as<V>(bits_as<ints_of<V>>(a) & upper), al = a - ah;
        const V bh = bits_as<V>(bits_as<ints_of<V>>(b) & upper), bl = b - bh;
        return {p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
    }
}

template <class V>
[[gnu::always_inline]] inline normal_pair<V> normal(V x) {
    static_assert(sizeof(lane_of<V>) == 8);
    const V z = min(splat<V>(normal_vanished), abs(x));
    // e^(−z²/2) with z² exact in two parts: its rounding would be magnified by the exponent
    const V coarse = bits_as<V>(bits_as<ints_of<V>>(z) & ~std::int64_t(0x1fffffff));
    const V rest = -0.5 * (z - coarse) * (z + coarse);
    const auto [n, r, lost] = reduce(-0.5 * coarse * coarse, 0.0);
    const V r_all = r + rest;
    const V p = expm1_centred(r_all, ((r - r_all) + rest) + lost);
    const V q = 1.0 + p, q_lost = p - (q - 1.0);

    // F q / D, every rounding before the last one carried along
    const V u = (z - 4.0) / (z + 4.0), D = z + 0.75, D_lost = z - (D - 0.75);
    const V small = fma(u, polynomial(u, normal_far), splat<V>(normal_far_leading_low));
    const V F = normal_far_leading + small, F_lost = (normal_far_leading - F) + small;
    const auto A = exact_product(F, q);
    const V inverse = 1.0 / D, y = A.high * inverse;
    const auto B = exact_product(y, D);
    const V rest_of_A = A.low + fma(F, q_lost, F_lost * q);
    const V below = scale(fma((A.high - B.high) - B.low + (rest_of_A - y * D_lost), inverse, y), n);  // Φ(−z)
    const V far = select<V>(x < V{}, below, 1.0 - below);
    const V near = fma(x, polynomial(x * x, normal_near), splat<V>(0.5));
    const V cdf = select<V>(z < splat<V>(normal_far_from), near, far);
    const V density_lost = fma(q, splat<V>(one_over_root_2_pi_low), q_lost * one_over_root_2_pi);
    return {cdf, scale(fma(q, splat<V>(one_over_root_2_pi), density_lost), n)};
}

template <class V>
[[gnu::always_inline]] inline V normal_cdf(V x) {
    if constexpr (sizeof(lane_of<V>) == 8)
        return normal(x).cdf;
    else
        return in_double(x, [](auto d) { return normal(d).cdf; });
}

template <class V>
[[gnu::always_inline]] inline V normal_density(V x) {
    if constexpr (sizeof(lane_of<V>) == 8)
        return normal(x).density;
    else
        return in_double(x, [](auto d) { return normal(d).density; });
}

}  // namespace deltarule::DELTARULE_ISA
