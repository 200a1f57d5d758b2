// A layer whose weights lie in rows, one per neuron and padded to whole vectors: what it does for one row of data.
#pragma once

#include "dots.hpp"
#include "losses.hpp"
#include "slopes.hpp"

namespace deltarule::DELTARULE_ISA {

// y = f(e) and the slopes for n neurons; the padding of y is 0, as the next layer's dot products need it.
template <class T>
using Activate = void (*)(const T* e, T* y, T* slope, std::int64_t n);

template <class V, class A, int K>
[[gnu::always_inline]] inline void activate_block(const lane_of<V>* e, lane_of<V>* y, lane_of<V>* slope) {
    V es[K], ys[K], slopes[K];
    each<K>([&](int k) { es[k] = load<V>(e + k * lanes<V>); });
    f_df<A, K>(es, ys, slopes);
    each<K>([&](int k) {
        store<V>(y + k * lanes<V>, ys[k]);
        store<V>(slope + k * lanes<V>, slopes[k]);
    });
}

template <class V, class A>
void activate(const lane_of<V>* e, lane_of<V>* y, lane_of<V>* slope, std::int64_t n) {
    constexpr int L = lanes<V>;
    std::int64_t i = 0;
    for (; i + 2 * L <= n; i += 2 * L) activate_block<V, A, 2>(e + i, y + i, slope + i);
    for (; i + L <= n; i += L) activate_block<V, A, 1>(e + i, y + i, slope + i);
    if (i < n) {
        activate_block<V, A, 1>(e + i, y + i, slope + i);
        ints_of<V> index;
        for (int k = 0; k < L; ++k) index[k] = k;
        const auto inside = index < integer_of<lane_of<V>>(n - i);
        store<V>(y + i, select<V>(inside, load<V>(y + i), V{}));
        store<V>(slope + i, select<V>(inside, load<V>(slope + i), V{}));
    }
}

template <class V>
Activate<lane_of<V>> activation_function(int code) {
    return visit_activation(Activation(code), [](auto A) -> Activate<lane_of<V>> { return activate<V, decltype(A)>; });
}

// The loss of one row; writes its local gradients times `factor` to g.
template <class T>
using LossRow = T (*)(const T* e, const T* y, const T* slope, const T* t, T* g, std::int64_t n, T parameter,
                      T factor, bool fused);

template <class V, class L>
lane_of<V> loss_row(const lane_of<V>* e, const lane_of<V>* y, const lane_of<V>* slope, const lane_of<V>* t,
                    lane_of<V>* g, std::int64_t n, lane_of<V> parameter, lane_of<V> factor, bool fused) {
    lane_of<V> total = 0;
    for (std::int64_t i = 0; i < n; i += lanes<V>) {
        const int part = n - i < lanes<V> ? int(n - i) : lanes<V>;
        const V yi = load<V>(y + i), ti = load_part<V>(t + i, part);
        const V signal = L::signal(yi, ti, parameter) * factor;
        store<V>(g + i, fused ? signal : V(signal * load<V>(slope + i)));
        total += value_part(V(L::value(load<V>(e + i), yi, ti, parameter)), part);
    }
    return total;
}

template <class V>
LossRow<lane_of<V>> loss_function(int code) {
    return visit_loss(Loss(code), [](auto L) -> LossRow<lane_of<V>> { return loss_row<V, decltype(L)>; });
}

template <class V>
struct RowsLayer {
    using T = lane_of<V>;
    std::int64_t n_in, n_out, stride;
    Buffer<T> W, b, e, y, slope, g;  // of one row: what arrives, goes out, df/de, local gradient
    Activate<T> activate;

    void shape(std::int64_t inputs, std::int64_t outputs, int activation, bool with_weights) {
        n_in = inputs;
        n_out = outputs;
        stride = padded<V>(n_in);
        const auto width = std::size_t(padded<V>(n_out));
        if (with_weights) W.resize(std::size_t(n_out * stride));
        for (Buffer<T>* one : {&b, &e, &y, &slope, &g}) one->resize(width);
        activate = activation_function<V>(activation);
    }

    void pack(const T* flat) {
        for (std::int64_t o = 0; o < n_out; ++o)
            __builtin_memcpy(&W[o * stride], flat + o * n_in, n_in * sizeof(T));
        __builtin_memcpy(b.data(), flat + n_out * n_in, n_out * sizeof(T));
    }

    void unpack(T* flat) const {
        for (std::int64_t o = 0; o < n_out; ++o)
            __builtin_memcpy(flat + o * n_in, &W[o * stride], n_in * sizeof(T));
        __builtin_memcpy(flat + n_out * n_in, b.data(), n_out * sizeof(T));
    }

    void receive(const T* x) { matrix_vector<V>(W.data(), stride, n_out, x, b.data(), e.data()); }
};

// One sweep over the weights of a layer: its error signals go down, times the slopes of the layer below, and
// every weight moves, W ← decay · W + g xᵀ, b ← b + g; each weight is read once.
template <class V, int C, bool Decay, bool Down>
[[gnu::always_inline]] inline void learn_columns(RowsLayer<V>& layer, const lane_of<V>* x, const lane_of<V>* slope,
                                                 lane_of<V>* g_below, lane_of<V> decay, std::int64_t first) {
    constexpr int L = lanes<V>;
    V down[C] = {}, xs[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) xs[c] = load<V>(x + first + c * L);
    const lane_of<V>* g = layer.g.data();
    const std::int64_t n = layer.n_out, stride = layer.stride;
    lane_of<V>* row = layer.W.data() + first + n * stride;
    for (std::int64_t o = n - 1; o >= 0; --o) {  // backwards: the way up left the last rows in the cache
        row -= stride;
        const V go = splat<V>(g[o]);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) {
            const V w = load<V>(row + c * L);
            if constexpr (Down) down[c] = fma(w, go, down[c]);
            store<V>(row + c * L, multiply_add_to_store(xs[c], go, Decay ? V(w * decay) : w));
        }
    }
    if constexpr (Down)
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c)
            store<V>(g_below + first + c * L, down[c] * load<V>(slope + first + c * L));
}

template <class V, bool Decay, bool Down, int C = (vector_bytes == 64 ? 8 : 4)>
[[gnu::always_inline]] inline void learn_from(RowsLayer<V>& layer, const lane_of<V>* x, const lane_of<V>* slope,
                                              lane_of<V>* g_below, lane_of<V> decay, std::int64_t first) {
    for (; first + C * lanes<V> <= layer.stride; first += C * lanes<V>)
        learn_columns<V, C, Decay, Down>(layer, x, slope, g_below, decay, first);
    if constexpr (C > 1) learn_from<V, Decay, Down, C / 2>(layer, x, slope, g_below, decay, first);
}

// slope and g_below are null for the first layer, which has nothing below.
template <class V>
void learn(RowsLayer<V>& layer, const lane_of<V>* x, const lane_of<V>* slope, lane_of<V>* g_below,
           lane_of<V> decay) {
    if (g_below)
        decay == 1 ? learn_from<V, false, true>(layer, x, slope, g_below, decay, 0)
                   : learn_from<V, true, true>(layer, x, slope, g_below, decay, 0);
    else
        decay == 1 ? learn_from<V, false, false>(layer, x, slope, g_below, decay, 0)
                   : learn_from<V, true, false>(layer, x, slope, g_below, decay, 0);
    for (std::int64_t o = 0; o < padded<V>(layer.n_out); o += lanes<V>)
        store<V>(&layer.b[o], load<V>(&layer.b[o]) + load<V>(&layer.g[o]));
}

}  // namespace deltarule::DELTARULE_ISA
