// sin and cos after FreeBSD's msun: the argument less a multiple of π/2, whose 151 bits come in four parts
// (Cody and Waite); arguments beyond a million go to the C library, lane by lane.
#pragma once

#include "normal.hpp"

namespace deltarule::DELTARULE_ISA {

inline constexpr double half_pi[] = {0x1.921fb54400000p+0, 0x1.0b4611a600000p-34, 0x1.3198a2e000000p-69,
                                     0x1.b839a252049c1p-104};
inline constexpr double two_over_pi = 0x1.45f306dc9c883p-1;
inline constexpr double trig_limit = 1e6;
inline constexpr double sin_series[] = {-1.66666666666666324348e-01, 8.33333333332248946124e-03,
                                        -1.98412698298579493134e-04, 2.75573137070700676789e-06,
                                        -2.50507602534068634195e-08, 1.58969099521155010221e-10};
inline constexpr double cos_series[] = {4.16666666666666019037e-02,  -1.38888888888741095749e-03,
                                        2.48015872894767294178e-05,  -2.75573143513906633035e-07,
                                        2.08757232129817482790e-09,  -1.13596475577881948265e-11};

// a − b and what rounding took from it (Knuth).
template <class V>
[[gnu::always_inline]] inline double_length<V> exact_difference(V a, V b) {
    const V d = a - b, b_seen = a - d;
    return {d, (a - (d + b_seen)) + (b_seen - b)};
}

// sin(x + quarter · π/2) for |x| <= trig_limit.
template <class V>
[[gnu::always_inline]] inline V sin_shifted(V x, std::int64_t quarter) {
    const V shifted = x * two_over_pi + exp_constants<double>::to_integer;
    const V n = shifted - exp_constants<double>::to_integer;
    const auto quadrant = bits_as<ints_of<V>>(shifted) + quarter;

    const V first = x - n * half_pi[0];  // exact, as are n · half_pi[1] and n · half_pi[2]
    const auto second = exact_difference<V>(first, n * half_pi[1]);
    const auto third = exact_difference<V>(second.high, n * half_pi[2]);
    const V tail = (second.low + third.low) - n * half_pi[3];
    const V r = third.high + tail, c = (third.high - r) + tail;

    const V z = r * r, half = 0.5 * z, w = 1.0 - half;
    const V sine = r + fma(z * r, polynomial(z, sin_series), c * w);
    const V cosine = w + (((1.0 - w) - half) + fma(z * z, polynomial(z, cos_series), -(r * c)));
    const V y = select<V>(-(quadrant & 1), cosine, sine);
    return bits_as<V>(bits_as<ints_of<V>>(y) ^ ((quadrant & 2) << 62));
}

template <class V>
[[gnu::always_inline]] inline V sin(V x) {
    if constexpr (sizeof(lane_of<V>) == 4) {
        return in_double(x, [](auto d) { return sin(d); });
    } else {
        V y = sin_shifted(x, 0);
        if (any(abs(x) > splat<V>(trig_limit)))
            for (int i = 0; i < lanes<V>; ++i)
                if (!(__builtin_fabs(x[i]) <= trig_limit)) y[i] = __builtin_sin(x[i]);
        return y;
    }
}

template <class V>
[[gnu::always_inline]] inline V cos(V x) {
    if constexpr (sizeof(lane_of<V>) == 4) {
        return in_double(x, [](auto d) { return cos(d); });
    } else {
        V y = sin_shifted(x, 1);
        if (any(abs(x) > splat<V>(trig_limit)))
            for (int i = 0; i < lanes<V>; ++i)
                if (!(__builtin_fabs(x[i]) <= trig_limit)) y[i] = __builtin_cos(x[i]);
        return y;
    }
}

}  // namespace deltarule::DELTARULE_ISA
