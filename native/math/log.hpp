// log and log1p after FreeBSD's msun (K. C. Ng, Sun Microsystems): x = 2^k (1 + f), s = f / (2 + f),
// log(1 + f) = f − f²/2 + s (f²/2 + R(s²)), so that the leading terms are exact.
#pragma once

#include "polynomial.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
struct log_constants;

template <>
struct log_constants<double> {
    static constexpr double series[] = {
        6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
        1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
    };
    static constexpr double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
    static constexpr std::uint64_t one = 0x3ff0000000000000, root_half = 0x3fe6a09e667f3bcd;
    static constexpr std::uint64_t fraction = 0x000fffffffffffff;
    static constexpr int mantissa = 52;
    static constexpr double whole = 0x1p52, bias = 1023, smallest = 0x1p-1022, lift = 0x1p54, lifted = 54;
};

template <>
struct log_constants<float> {
    static constexpr float series[] = {0xaaaaaa.0p-24f, 0xccce13.0p-25f, 0x91e9ee.0p-25f, 0xf89e26.0p-26f};
    static constexpr float ln2_high = 0x1.62e300p-1f, ln2_low = 0x1.2fefa2p-17f;
    static constexpr std::uint32_t one = 0x3f800000, root_half = 0x3f3504f3, fraction = 0x007fffff;
    static constexpr int mantissa = 23;
    static constexpr float whole = 0x1p23f, bias = 127, smallest = 0x1p-126f, lift = 0x1p25f, lifted = 25;
};

template <class V>
using log_of = log_constants<lane_of<V>>;

// x = 2^k m with m in [√½, √2), for positive normal x.
template <class V>
struct binary_parts {
    V k, m;
};

template <class V>
[[gnu::always_inline]] inline binary_parts<V> binary_split(V x) {
    using K = log_of<V>;
    const auto bits = bits_as<bits_of<V>>(x) + (K::one - K::root_half);
    const auto m = bits_as<V>((bits & K::fraction) + K::root_half);
    // an exponent below the mantissa of a large power of 2: a conversion that every processor has
    const auto exponent = (bits >> K::mantissa) | bits_as<bits_of<V>>(splat<V>(K::whole));
    return {bits_as<V>(exponent) - (K::whole + K::bias), m};
}

// k ln 2 + log(1 + f) + c for a small correction c.
template <class V>
[[gnu::always_inline]] inline V log_of_parts(V k, V f, V c) {
    using K = log_of<V>;
    const V s = f / (f + lane_of<V>(2)), z = s * s, half_square = lane_of<V>(0.5) * f * f;
    const V R = z * polynomial(z, K::series);
    const V correction = fma(s, half_square + R, fma(k, splat<V>(K::ln2_low), c));
    return k * K::ln2_high - ((half_square - correction) - f);
}

template <class V>
[[gnu::always_inline]] inline V log(V x) {
    using K = log_of<V>;
    const auto tiny = x < splat<V>(K::smallest);
    const auto [k, m] = binary_split(select<V>(tiny, x * K::lift, x));
    const V y = log_of_parts(k - select<V>(tiny, splat<V>(K::lifted), V{}), m - lane_of<V>(1), V{});
    const V infinity = splat<V>(__builtin_inf());
    const V outside = select<V>(x == V{}, V{} - infinity, splat<V>(__builtin_nan("")));
    return select<V>(x > V{}, select<V>(x == infinity, x, y), outside);
}

template <class V>
[[gnu::always_inline]] inline V log1p(V x) {
    const V one = splat<V>(1), u = one + x, infinity = splat<V>(__builtin_inf());
    const auto [k, m] = binary_split(u);
    const V lost = select<V>(k >= splat<V>(2), one - (u - x), x - (u - one)) / u;
    const auto near = k == V{};
    const V y = log_of_parts(k, select<V>(near, x, m - one), select<V>(near, V{}, lost));
    const V below = select<V>(u == V{}, V{} - infinity, splat<V>(__builtin_nan("")));
    return select<V>(u > V{}, select<V>(u == infinity, u, with_sign(abs(y), x)), below);
}

}  // namespace deltarule::DELTARULE_ISA
