// An activation, and its slope, for several vectors side by side, by the fastest way there is.
#pragma once

#include "activations.hpp"
#include "math/tanh_table.hpp"

namespace deltarule::DELTARULE_ISA {

#if defined(__AVX512F__)
template <class A, class V>
inline constexpr bool by_tanh_table = std::is_same_v<A, Tanh> && sizeof(V) == vector_bytes;
#else
template <class A, class V>
inline constexpr bool by_tanh_table = false;
#endif

// Whether it takes more than a panel's vectors side by side to fill the time that a chain of instructions takes.
template <class A, class V>
inline constexpr bool in_long_chains = std::is_same_v<A, Tanh> && !by_tanh_table<A, V>;

template <class A, int K, class V>
[[gnu::always_inline]] inline void f(const V (&e)[K], V (&y)[K]) {
    if constexpr (by_tanh_table<A, V>)
        tanh_side_by_side<K>(e, y);
    else if constexpr (std::is_same_v<A, Tanh>) {
        V slope[K];
        tanh_and_slope<K>(e, y, slope);
    } else
        each<K>([&](int k) __attribute__((always_inline)) { y[k] = A::f(e[k]); });
}

template <class A, int K, class V>
[[gnu::always_inline]] inline void f_df(const V (&e)[K], V (&y)[K], V (&slope)[K]) {
    if constexpr (by_tanh_table<A, V>)
        tanh_side_by_side<K>(e, y, slope);
    else if constexpr (std::is_same_v<A, Tanh>)
        tanh_and_slope<K>(e, y, slope);
    else
        each<K>([&](int k) __attribute__((always_inline)) {
            const auto both = A::f_df(e[k]);
            y[k] = both.y;
            slope[k] = both.slope;
        });
}

}  // namespace deltarule::DELTARULE_ISA
