// tanh and its slope where a table of 16 numbers fits in registers (AVX-512): the batch kernels' hottest
// function, at half the instructions of math.hpp's general one and within the same 2 ulp.
//
// With |a| = n ln 2 / 32 + r:  e^2|a| = S (1 + p), S = 2^(n/16) from the table, p = e^2r − 1 a short polynomial.
//   N = (e^2|a| − 1) / 2 = S p / 2 + (S − 1) / 2      tanh |a| = N / (N + 1)      slope = (1 + tanh |a|) / (N + 1)
#pragma once

#include "math.hpp"

namespace deltarule::DELTARULE_ISA {

#if defined(__AVX512F__)

template <class T>
struct tanh_table;

template <>
struct tanh_table<double> {
    using V = simd<double>::V;
    using I = simd<double>::I;
    static constexpr double per_step = 0x1.71547652b82fep+5;  // 32 / ln 2
    static constexpr double step_high = 0x1.62e42fefa3800p-6, step_low = 0x1.ef35793c76730p-50;
    static constexpr double to_integer = 0x1.8p52, largest = 354;
    static constexpr int to_exponent = 48;
    // (e^2r − 1 − 2r) / r² interpolated at Chebyshev's points; error 2⁻⁵⁹ of e^2r − 1
    static constexpr double q[] = {0x1.0000000000000p+1,  0x1.5555555556854p+0,  0x1.5555555056d6ep-1,
                                   0x1.111118bf1a670p-2, 0x1.6c0c1610930a8p-4, 0x1.a6ec3eda994e2p-6};
    // bits of 2^(j/16) / 2 less j << to_exponent, so that adding n << to_exponent scales too; the relative
    // rounding error of that
    static constexpr std::int64_t power[] = {
        0x3fe0000000000000, 0x3fdfb5586cf9890f, 0x3fdf72b83c7d517b, 0x3fdf387a6e756238,
        0x3fdf06fe0a31b715, 0x3fdedea64c123422, 0x3fdebfdad5362a27, 0x3fdeab07dd485429,
        0x3fdea09e667f3bcd, 0x3fdea11473eb0187, 0x3fdeace5422aa0db, 0x3fdec49182a3f090,
        0x3fdee89f995ad3ad, 0x3fdf199bdd85529c, 0x3fdf5818dcfba487, 0x3fdfa4afa2a490da,
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
    [[gnu::always_inline]] static V floor_of_sum(V a, V b, V c) {
        return (V)_mm512_fmadd_round_pd((__m512d)a, (__m512d)b, (__m512d)c, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    }
    // p += r² q(r)
    template <int K>
    [[gnu::always_inline]] static void add_rest(const V* r, V* p) {
        V r2[K], low[K], high[K];
        const auto each = [](auto line) __attribute__((always_inline)) {
#pragma GCC unroll 8
            for (int k = 0; k < K; ++k) line(k);
        };
        each([&](int k) { r2[k] = r[k] * r[k]; });
        each([&](int k) { high[k] = fma(splat<V>(q[5]), r[k], splat<V>(q[4])); });
        each([&](int k) { low[k] = fma(splat<V>(q[3]), r[k], splat<V>(q[2])); });
        each([&](int k) { high[k] = fma(r2[k], high[k], low[k]); });
        each([&](int k) { low[k] = fma(splat<V>(q[1]), r[k], splat<V>(q[0])); });
        each([&](int k) { high[k] = fma(r2[k], high[k], low[k]); });
        each([&](int k) { p[k] = fma(r2[k], high[k], p[k]); });
    }
};

template <>
struct tanh_table<float> {
    using V = simd<float>::V;
    using I = simd<float>::I;
    static constexpr float per_step = 0x1.715476p+5f;
    static constexpr float step_high = 0x1.62e000p-6f, step_low = 0x1.0bfbe8p-20f;
    static constexpr float to_integer = 0x1.8p23f, largest = 43.5f;
    static constexpr int to_exponent = 19;
    static constexpr float q[] = {0x1.000000p+1f, 0x1.5550acp+0f, 0x1.59ce44p-1f};
    static constexpr std::int32_t power[] = {
        0x3f000000, 0x3efdaac3, 0x3efb95c2, 0x3ef9c3d3, 0x3ef837f0, 0x3ef6f532, 0x3ef5fed7, 0x3ef5583f,
        0x3ef504f3, 0x3ef508a4, 0x3ef5672a, 0x3ef6248c, 0x3ef744fd, 0x3ef8ccdf, 0x3efac0c7, 0x3efd257d,
    };
    static constexpr float lost[] = {
        0x0.0p+0f, 0x1.8d96d2p-25f, -0x1.9c0c22p-27f, 0x1.964902p-25f, 0x1.125002p-25f,
        0x1.370be4p-25f, -0x1.0a3552p-25f, -0x1.00d8acp-27f, 0x1.26055cp-26f, -0x1.05cb44p-25f,
        0x1.67a1cap-28f, 0x1.a3b5e4p-28f, -0x1.f9c306p-27f, -0x1.6961b4p-28f, -0x1.a5217cp-28f,
        0x1.61428ep-28f,
    };
    [[gnu::always_inline]] static V pick_power(I n) {
        return (V)_mm512_maskz_permutexvar_epi32(0xffff, (__m512i)n, _mm512_loadu_si512(power));
    }
    [[gnu::always_inline]] static V pick_lost(I n) {
        return (V)_mm512_maskz_permutexvar_ps(0xffff, (__m512i)n, _mm512_loadu_ps(lost));
    }
    [[gnu::always_inline]] static V least(V a, V b) { return (V)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b); }
    [[gnu::always_inline]] static V floor_of_sum(V a, V b, V c) {
        return (V)_mm512_fmadd_round_ps((__m512)a, (__m512)b, (__m512)c, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    }
    template <int K>
    [[gnu::always_inline]] static void add_rest(const V* r, V* p) {
        V h[K];
        const auto each = [](auto line) __attribute__((always_inline)) {
#pragma GCC unroll 8
            for (int k = 0; k < K; ++k) line(k);
        };
        each([&](int k) { h[k] = fma(splat<V>(q[2]), r[k], splat<V>(q[1])); });
        each([&](int k) { h[k] = fma(h[k], r[k], splat<V>(q[0])); });
        each([&](int k) { p[k] = fma(r[k] * r[k], h[k], p[k]); });
    }
};

// K vectors on their way, line by line: one vector's chain of dependent instructions is longer than the processor
// looks ahead. For the same reason the division of some vectors is begun before the numerators of the next.
template <int K, class T>
struct TanhGroup {
    using C = tanh_table<T>;
    using V = typename C::V;
    static constexpr int W = lanes<V>;
    V N[K], D[K], inverse[K];

    template <class Line>
    [[gnu::always_inline]] static void each(Line line) {
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) line(k);
    }

    [[gnu::always_inline]] void begin(const T* e) {
        V a[K], n[K], r[K], S[K];
        typename C::I bits[K];
        each([&](int k) { a[k] = C::least(splat<V>(C::largest), abs(load<V>(e + k * W))); });
        each([&](int k) { n[k] = C::floor_of_sum(a[k], splat<V>(C::per_step), splat<V>(C::to_integer)); });
        each([&](int k) { bits[k] = bits_as<ints_of<V>>(n[k]); });
        each([&](int k) { n[k] -= C::to_integer; });
        each([&](int k) { r[k] = fma(n[k], splat<V>(-C::step_high), a[k]); });
        each([&](int k) { r[k] = fma(n[k], splat<V>(-C::step_low), r[k]); });
        each([&](int k) { N[k] = fma(r[k], splat<V>(T(2)), C::pick_lost(bits[k])); });
        each([&](int k) { bits[k] = bits_as<ints_of<V>>(C::pick_power(bits[k])) + (bits[k] << C::to_exponent); });
        each([&](int k) { S[k] = bits_as<V>(bits[k]); });
        C::template add_rest<K>(r, N);
        each([&](int k) { N[k] = fma(S[k], N[k], S[k] - T(0.5)); });
        each([&](int k) { D[k] = N[k] + T(1); });
    }
    [[gnu::always_inline]] void divide() {
        each([&](int k) { inverse[k] = T(1) / D[k]; });
    }
    // e is where begin found it and y where the result goes: the same place
    template <bool with_slope>
    [[gnu::always_inline]] void finish(T* y, T* slope) {
        V rounded[K], rough[K];
        each([&](int k) { rounded[k] = N[k] - (D[k] - T(1)); });
        each([&](int k) { rough[k] = N[k] * inverse[k]; });
        each([&](int k) { N[k] = fma(-rough[k], D[k], N[k]); });
        each([&](int k) { N[k] = fma(-rough[k], rounded[k], N[k]); });
        each([&](int k) { rough[k] = fma(N[k], inverse[k], rough[k]); });
        each([&](int k) { store(y + k * W, with_sign(rough[k], load<V>(y + k * W))); });
        if constexpr (with_slope)
            each([&](int k) { store(slope + k * W, fma(inverse[k], rough[k], inverse[k])); });
    }
};

// y = tanh(y) and its slope; `numbers` is a positive multiple of K vectors.
template <int K, bool with_slope, class T>
inline void tanh_by_table(std::ptrdiff_t numbers, T* y, T* slope) {
    constexpr std::ptrdiff_t step = K * TanhGroup<K, T>::W;
    TanhGroup<K, T> now;
    now.begin(y);
    for (; numbers > step; numbers -= step, y += step, slope += step) {
        now.divide();
        TanhGroup<K, T> next;
        next.begin(y + step);
        now.template finish<with_slope>(y, slope);
        now = next;
    }
    now.divide();
    now.template finish<with_slope>(y, slope);
}

#endif

}  // namespace deltarule::DELTARULE_ISA
