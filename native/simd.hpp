// Vectors of numbers, as GCC and Clang extend C++ with them: + - * / < ?: work on all lanes at once.
//
// Everything that computes is compiled once per instruction set, each time into its own namespace
// deltarule::DELTARULE_ISA, so that the linker can never merge code for different processors.
// For the same reason kernels call no inline function of the standard library that could stay out of line.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef DELTARULE_ISA
#define DELTARULE_ISA baseline
#endif

namespace deltarule::DELTARULE_ISA {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
inline constexpr int vector_bytes = 32;
#else
inline constexpr int vector_bytes = 16;
#endif

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
inline constexpr bool has_fma = true;
#else
inline constexpr bool has_fma = false;
#endif

template <class T>
using integer_of = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;

// W numbers of type T; W is a power of two, by default as many as a register holds.
template <class T, int W = vector_bytes / int(sizeof(T))>
struct simd {
    static constexpr int width = W;
    typedef T V __attribute__((vector_size(sizeof(T) * W)));
    typedef integer_of<T> I __attribute__((vector_size(sizeof(T) * W)));
    // for arithmetic with the bits of any number, NaN too, which would overflow signed integers
    typedef std::make_unsigned_t<integer_of<T>> B __attribute__((vector_size(sizeof(T) * W)));
    // the same without alignment, free to alias: for loads and stores anywhere
    typedef T U __attribute__((vector_size(sizeof(T) * W), aligned(alignof(T)), may_alias));
};

template <class V>
using lane_of = std::remove_cvref_t<decltype(std::declval<V&>()[0])>;
template <class V>
inline constexpr int lanes = int(sizeof(V) / sizeof(lane_of<V>));
template <class V>
using traits = simd<lane_of<V>, lanes<V>>;
template <class V>
using ints_of = typename traits<V>::I;
template <class V>
using bits_of = typename traits<V>::B;

template <class V>
[[gnu::always_inline]] inline V load(const lane_of<V>* p) {
    return *reinterpret_cast<const typename traits<V>::U*>(p);
}

template <class V>
[[gnu::always_inline]] inline void store(lane_of<V>* p, V v) {
    *reinterpret_cast<typename traits<V>::U*>(p) = v;
}

template <class V>
[[gnu::always_inline]] inline V splat(lane_of<V> a) {
    return a - V{};  // not V{} + a, which would turn −0 into 0
}

template <class V>
struct halves {
    using H = typename simd<lane_of<V>, lanes<V> / 2>::V;
    H low, high;
};

template <class V, int... i>
[[gnu::always_inline]] inline halves<V> part_of(V v, std::integer_sequence<int, i...>) {
    using H = typename halves<V>::H;
    if constexpr (lanes<V> == 2)
        return {H{v[0]}, H{v[1]}};
    else
        return {__builtin_shufflevector(v, v, i...), __builtin_shufflevector(v, v, (i + lanes<V> / 2)...)};
}

template <class V>
[[gnu::always_inline]] inline halves<V> split(V v) {
    return part_of(v, std::make_integer_sequence<int, lanes<V> / 2>{});
}

template <class H>
[[gnu::always_inline]] inline typename simd<lane_of<H>, 2 * lanes<H>>::V join(H low, H high) {
    using V = typename simd<lane_of<H>, 2 * lanes<H>>::V;
    return __builtin_bit_cast(V, (halves<V>{low, high}));
}

// All ones in the first n lanes, 0 in the others.
template <class V>
[[gnu::always_inline]] inline ints_of<V> lanes_below(int n) {
    ints_of<V> number;
    for (int i = 0; i < lanes<V>; ++i) number[i] = i;
    return number < integer_of<lane_of<V>>(n);
}

// The first n lanes from memory (0 <= n <= width), the others 0; nothing beyond p[n - 1] is touched.
template <class V>
[[gnu::always_inline]] inline V load_part(const lane_of<V>* p, int n) {
#if defined(__AVX512VL__)
    if constexpr (sizeof(V) == 64 && sizeof(lane_of<V>) == 8)
        return (V)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p);
    if constexpr (sizeof(V) == 64 && sizeof(lane_of<V>) == 4)
        return (V)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p);
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 8)
        return (V)_mm256_maskz_loadu_pd(__mmask8((1u << n) - 1), p);
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 4)
        return (V)_mm256_maskz_loadu_ps(__mmask8((1u << n) - 1), p);
#endif
#if defined(__AVX2__)
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 8)
        return (V)_mm256_maskload_pd(p, (__m256i)lanes_below<V>(n));
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 4)
        return (V)_mm256_maskload_ps(p, (__m256i)lanes_below<V>(n));
    if constexpr (sizeof(V) == 16 && sizeof(lane_of<V>) == 8)
        return (V)_mm_maskload_pd(p, (__m128i)lanes_below<V>(n));
    if constexpr (sizeof(V) == 16 && sizeof(lane_of<V>) == 4)
        return (V)_mm_maskload_ps(p, (__m128i)lanes_below<V>(n));
#endif
    V v{};
    for (int i = 0; i < n; ++i) v[i] = p[i];
    return v;
}

template <class V>
[[gnu::always_inline]] inline void store_part(lane_of<V>* p, V v, int n) {
#if defined(__AVX512VL__)
    if constexpr (sizeof(V) == 64 && sizeof(lane_of<V>) == 8)
        return _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), (__m512d)v);
    if constexpr (sizeof(V) == 64 && sizeof(lane_of<V>) == 4)
        return _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), (__m512)v);
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 8)
        return _mm256_mask_storeu_pd(p, __mmask8((1u << n) - 1), (__m256d)v);
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 4)
        return _mm256_mask_storeu_ps(p, __mmask8((1u << n) - 1), (__m256)v);
#endif
    if constexpr (lanes<V> == 1) {
        if (n > 0) p[0] = v[0];
    } else if (n >= lanes<V>) {
        store(p, v);
    } else {  // halves of halves: masked stores are slow, and lanes by number go through memory
        const auto [low, high] = split(v);
        if (n < lanes<V> / 2) return store_part(p, low, n);
        store(p, low);
        store_part(p + lanes<V> / 2, high, n - lanes<V> / 2);
    }
}

template <class To, class From>
[[gnu::always_inline]] inline To bits_as(From v) {
    static_assert(sizeof(To) == sizeof(From));
    return (To)v;
}

// a where the mask is all ones, b where it is 0; masks come from comparisons.
template <class V>
[[gnu::always_inline]] inline V select(ints_of<V> mask, V a, V b) {
    return mask ? a : b;
}

// A NaN in b passes through min and max, one in a does not: these are the processor's own instructions.
template <class V>
[[gnu::always_inline]] inline V min(V a, V b) {
#if defined(__AVX2__)  // the compiler makes two instructions of the formula
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 8) return (V)_mm256_min_pd((__m256d)a, (__m256d)b);
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 4) return (V)_mm256_min_ps((__m256)a, (__m256)b);
#endif
    return a < b ? a : b;
}

template <class V>
[[gnu::always_inline]] inline V max(V a, V b) {
#if defined(__AVX2__)
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 8) return (V)_mm256_max_pd((__m256d)a, (__m256d)b);
    if constexpr (sizeof(V) == 32 && sizeof(lane_of<V>) == 4) return (V)_mm256_max_ps((__m256)a, (__m256)b);
#endif
    return a > b ? a : b;
}

// a b + c. One rounding where the processor has it (has_fma), and then by name, for some formulas need the rest of
// a product and the compiler may not choose; two roundings elsewhere.
template <class V>
[[gnu::always_inline]] inline V fma(V a, V b, V c) {
    [[maybe_unused]] constexpr bool is_double = sizeof(lane_of<V>) == 8;
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && is_double) return (V)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
    if constexpr (sizeof(V) == 64 && !is_double) return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#endif
#if defined(__FMA__)
    if constexpr (sizeof(V) == 32 && is_double) return (V)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
    if constexpr (sizeof(V) == 32 && !is_double) return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
    if constexpr (sizeof(V) == 16 && is_double) return (V)_mm_fmadd_pd((__m128d)a, (__m128d)b, (__m128d)c);
    if constexpr (sizeof(V) == 16 && !is_double) return (V)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c);
#endif
    if constexpr (!has_fma) return a * b + c;
    V r;
    for (int i = 0; i < lanes<V>; ++i) {
        if constexpr (is_double)
            r[i] = __builtin_fma(a[i], b[i], c[i]);
        else
            r[i] = __builtin_fmaf(a[i], b[i], c[i]);
    }
    return r;
}

// a b + c that goes to memory. Where there is AVX2 and no AVX-512 the processor is most often AMD's, which issues few
// fused multiplications in a cycle in which it stores a vector: a product and a sum apart are up to twice as fast.
template <class V>
[[gnu::always_inline]] inline V multiply_add_to_store(V a, V b, V c) {
#if defined(__AVX2__) && !defined(__AVX512F__)
    if constexpr (sizeof(V) == vector_bytes) {
        V product = a * b;
        asm("" : "+x"(product));  // the compiler would fuse them
        return product + c;
    }
#endif
    return fma(a, b, c);
}

template <class V>
[[gnu::always_inline]] inline V sign_bit(V a) {
    return bits_as<V>(bits_as<ints_of<V>>(a) & bits_as<ints_of<V>>(splat<V>(lane_of<V>(-0.0))));
}

template <class V>
[[gnu::always_inline]] inline V abs(V a) {
    return bits_as<V>(bits_as<ints_of<V>>(a) & ~bits_as<ints_of<V>>(splat<V>(lane_of<V>(-0.0))));
}

// The absolute value of a with the sign of b, for a >= 0.
template <class V>
[[gnu::always_inline]] inline V with_sign(V a, V b) {
    return bits_as<V>(bits_as<ints_of<V>>(a) | bits_as<ints_of<V>>(sign_bit(b)));
}

template <class V>
[[gnu::always_inline]] inline V sqrt(V a) {
    V r;
    for (int i = 0; i < lanes<V>; ++i) {
        if constexpr (sizeof(lane_of<V>) == 8)
            r[i] = __builtin_sqrt(a[i]);
        else
            r[i] = __builtin_sqrtf(a[i]);
    }
    return r;
}

// The sum of all lanes, halves added to halves: the same order every time.
template <class V>
[[gnu::always_inline]] inline lane_of<V> sum(V v) {
    if constexpr (lanes<V> == 1) {
        return v[0];
    } else if constexpr (lanes<V> == 2) {
        return v[0] + v[1];
    } else {
        auto h = split(v);
        return sum(h.low + h.high);
    }
}

template <class V>
[[gnu::always_inline]] inline lane_of<V> largest(V v) {
    lane_of<V> m = v[0];
    for (int i = 1; i < lanes<V>; ++i) m = v[i] > m ? v[i] : m;
    return m;
}

// Whether any lane of a comparison holds.
template <class I>
[[gnu::always_inline]] inline bool any(I mask) {
    if constexpr (lanes<I> == 1) {
        return mask[0] != 0;
    } else if constexpr (lanes<I> == 2) {
        return (mask[0] | mask[1]) != 0;
    } else {
        auto h = split(mask);
        return any(h.low | h.high);
    }
}

template <class F, int... k>
[[gnu::always_inline]] inline void unrolled(F f, std::integer_sequence<int, k...>) {
    (f(k), ...);
}

// f(0), ..., f(K − 1), written out
template <int K, class F>
[[gnu::always_inline]] inline void each(F f) {
    unrolled(f, std::make_integer_sequence<int, K>{});
}

}  // namespace deltarule::DELTARULE_ISA
