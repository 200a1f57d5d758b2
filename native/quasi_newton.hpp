// The direction of L-BFGS and the change of its pairs; the formulas are those of src/deltarule/methods/lbfgs.py.
#pragma once

#include "simd.hpp"
#include "step_table.hpp"

namespace deltarule::DELTARULE_ISA {

// a · b of n numbers, in four chains of vectors.
template <class V>
[[gnu::always_inline]] inline lane_of<V> inner(const lane_of<V>* a, const lane_of<V>* b, std::int64_t n) {
    constexpr int L = lanes<V>;
    V sum[4] = {};
    std::int64_t i = 0;
    for (; i + 4 * L <= n; i += 4 * L)
#pragma GCC unroll 4
        for (int c = 0; c < 4; ++c) sum[c] = fma(load<V>(a + i + c * L), load<V>(b + i + c * L), sum[c]);
    for (; i + L <= n; i += L) sum[0] = fma(load<V>(a + i), load<V>(b + i), sum[0]);
    if (i < n) sum[1] = fma(load_part<V>(a + i, int(n - i)), load_part<V>(b + i, int(n - i)), sum[1]);
    const V whole = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    lane_of<V> found = whole[0];
    for (int l = 1; l < L; ++l) found += whole[l];
    return found;
}

// out + Σ c[k] R[k] over K rows of n numbers.
template <int K, class V>
[[gnu::always_inline]] inline void add_rows(const lane_of<V>* R, std::int64_t n, const lane_of<V>* c, lane_of<V>* out) {
    constexpr int L = lanes<V>;
    const auto sum_at = [&](std::int64_t i, int part) __attribute__((always_inline)) {
        V sum = part == L ? load<V>(out + i) : load_part<V>(out + i, part);
#pragma GCC unroll 4
        for (int k = 0; k < K; ++k)
            sum = fma(splat<V>(c[k]), part == L ? load<V>(R + k * n + i) : load_part<V>(R + k * n + i, part), sum);
        return sum;
    };
    std::int64_t i = 0;
    for (; i + L <= n; i += L) store(out + i, sum_at(i, L));
    if (i < n) store_part(out + i, sum_at(i, int(n - i)), int(n - i));
}

template <class V>
inline void add_combination(const lane_of<V>* R, std::int64_t rows, std::int64_t n, const lane_of<V>* c,
                            lane_of<V>* out) {
    std::int64_t k = 0;
    for (; k + 4 <= rows; k += 4) add_rows<4, V>(R + k * n, n, c + k, out);
    for (; k < rows; ++k) add_rows<1, V>(R + k * n, n, c + k, out);
}

// out = −H g. `scratch` holds memory + p numbers.
template <class T>
void direction(const Pairs<const T>& pairs, const T* grad, const T* preconditioner, double gamma, T* scratch, T* out) {
    using V = typename simd<T>::V;
    const std::int64_t p = pairs.p, rows = pairs.memory - pairs.first;
    const T *A = pairs.A + pairs.first * p, *Y = pairs.Y + pairs.first * p;
    T *share = scratch, *q = scratch + pairs.memory;
    for (std::int64_t k = 0; k < rows; ++k) share[k] = -inner<V>(A + k * p, grad, p);
    for (std::int64_t i = 0; i < p; ++i) q[i] = grad[i];
    add_combination<V>(Y, rows, p, share, q);
    for (std::int64_t i = 0; i < p; ++i) {
        q[i] *= T(gamma) * preconditioner[i];
        out[i] = -q[i];
    }
    for (std::int64_t k = 0; k < rows; ++k) share[k] += inner<V>(Y + k * p, q, p);
    add_combination<V>(A, rows, p, share, out);
}

// The pairs with a new one in the last row, and without the oldest where they are as many as there is room for.
template <class T>
std::array<double, 2> add_pair(const Pairs<const T>& from, const Stride<T>& by, const Pairs<T>& to) {
    using V = typename simd<T>::V;
    const std::int64_t p = to.p, last = to.memory - 1;
    T *const step = to.A + last * p, *const change = to.Y + last * p;
    const T scale = T(by.scale), share = T(by.scale * by.step);
    double steps = 0, changes = 0;
    for (std::int64_t i = 0; i < p; ++i) {
        const T s = share * by.direction[i], y = scale * (by.new_grad[i] - by.grad[i]), P = by.preconditioner[i];
        steps += double(s * (s / P));
        changes += double(y * (P * y));
        step[i] = s;
        change[i] = y;
    }
    for (std::int64_t i = 0; i < to.first * p; ++i) to.A[i] = to.Y[i] = 0;
    for (std::int64_t k = to.first; k < last; ++k) {
        const T *a = from.A + (k + 1) * p, *y = from.Y + (k + 1) * p;
        const T along = inner<V>(a, change, p);
        T *new_a = to.A + k * p, *new_y = to.Y + k * p;
        for (std::int64_t i = 0; i < p; ++i) new_a[i] = a[i] - along * step[i];
        for (std::int64_t i = 0; i < p; ++i) new_y[i] = y[i];
    }
    return {steps, changes};
}

}  // namespace deltarule::DELTARULE_ISA
