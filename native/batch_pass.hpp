// One panel of rows on its way forward, its loss, and its way back, all of it in the first-level cache.
#pragma once

#include "batch_plan.hpp"
#include "losses.hpp"
#include "slopes.hpp"

namespace deltarule::DELTARULE_ISA {

// y = f(e) in place of e, and its slope, for K vectors side by side, from one number to another; the last K vectors may
// go further.
template <bool with_slope, int K, class A, class T>
inline void activate(std::ptrdiff_t from, std::ptrdiff_t to, T* y, T* slope) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>;
    for (; from < to; from += K * W) {
        V es[K], ys[K];
        each<K>([&](int k) { es[k] = load<V>(y + from + k * W); });
        if constexpr (with_slope) {
            V slopes[K];
            f_df<A>(es, ys, slopes);
            each<K>([&](int k) { store(slope + from + k * W, slopes[k]); });
        } else {
            f<A>(es, ys);
        }
        each<K>([&](int k) { store(y + from + k * W, ys[k]); });
    }
}

// The same for so many numbers, up to whole panels of them.
template <bool with_slope, class T>
inline void activate(int activation, std::ptrdiff_t numbers, T* y, T* slope) {
    constexpr int K = panel_vectors;
    visit_activation(Activation(activation), [=]<class A>(A) {
        std::ptrdiff_t from = 0;
        if constexpr (in_long_chains<A, typename simd<T>::V>) {
            from = numbers / (2 * panel_rows<T>) * (2 * panel_rows<T>);
            activate<with_slope, 2 * K, A>(0, from, y, slope);
        }
        activate<with_slope, K, A>(from, numbers, y, slope);
    });
}

// Softmax over the n numbers of each row; leaves log y in `arrived`, which held e.
template <class T>
inline void softmax_panel(int n, T* arrived, T* y) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    for (int r = 0; r < R; r += W) {
        V top = load<V>(arrived + r), total{};
        for (int k = 1; k < n; ++k) top = max(top, load<V>(arrived + k * R + r));
        for (int k = 0; k < n; ++k) {
            const V q = exp(load<V>(arrived + k * R + r) - top);
            store(y + k * R + r, q);
            total += q;
        }
        const V share = splat<V>(1) / total, above = top + log(total);
        for (int k = 0; k < n; ++k) {
            store(y + k * R + r, load<V>(y + k * R + r) * share);
            store(arrived + k * R + r, load<V>(arrived + k * R + r) - above);
        }
    }
}

// What arrives at the first layer for up to row_unit rows, row after row: its weights are read once for all of them.
template <class T>
inline void arrive_rows(const BatchPlan& plan, BatchWeights<T> weights, const T* X, int rows, T* workspace) {
    const BatchLayer& layer = plan.layers[0];
    multiply_rows(X, layer.n_in, rows, weights.packed + layer.forward, layer.n_in, layer.n_out, weights.w + layer.b,
                  workspace + plan.x);
}

// What the way forward keeps of the slopes. lean: all but those of relu in hidden layers, which its outputs tell.
enum class Slopes { none, lean, kept };

template <Slopes slopes>
inline bool rectifies(const BatchPlan& plan, int l) {
    return slopes != Slopes::kept && l + 1 < plan.network.depth &&
           Activation(plan.layers[l].activation) == Activation::relu;
}

// What arrives at layer l from the layer before, or from X, or for the first layer without X from the panel of inputs.
template <End end, class T>
inline void arrive(const PanelView<T>& at, int l, BatchWeights<T> weights, const T* X, int rows, T* e) {
    const BatchLayer& layer = at.plan.layers[l];
    const T *A = weights.packed + layer.forward, *bias = weights.w + layer.b;
    if (l == 0 && at.plan.forward_rows) {
        if (!at.arrived_rows) multiply_rows(X, layer.n_in, rows, A, layer.n_in, layer.n_out, bias, at.x());
        const T* const arrived = at.arrived_rows ? at.arrived_rows : at.x();
        to_panel(arrived, vectors_of<T>(layer.n_out) * simd<T>::width, rows, layer.n_out, e);
        return;
    }
    if (l == 0 && X) to_panel(X, layer.n_in, rows, layer.n_in, at.x());
    multiply<Start::bias, end>(A, at.y(l - 1), layer.n_in, layer.n_out, bias, e);
}

// The outputs of `rows` rows, and what is kept for the way back.
template <Slopes slopes, class T>
inline void forward(const PanelView<T>& at, BatchWeights<T> weights, const T* X, int rows) {
    const BatchPlan& plan = at.plan;
    const int last = plan.network.depth - 1;
    for (int l = 0; l <= last; ++l) {
        const BatchLayer& layer = plan.layers[l];
        const std::ptrdiff_t numbers = std::ptrdiff_t(layer.n_out) * panel_rows<T>;
        if (rectifies<slopes>(plan, l)) {
            arrive<End::rectify>(at, l, weights, X, rows, at.y(l));
            if (l == 0 && plan.forward_rows) activate<false>(layer.activation, numbers, at.y(l), at.y(l));
            continue;
        }
        arrive<End::store>(at, l, weights, X, rows, at.y(l));
        const bool softmax = Activation(layer.activation) == Activation::softmax;
        if (softmax || (l == last && plan.network.fused)) __builtin_memcpy(at.arrived(), at.y(l), numbers * sizeof(T));
        if (softmax)
            softmax_panel(layer.n_out, at.arrived(), at.y(l));
        else if (slopes != Slopes::none && !(l == last && plan.network.fused))
            activate<true>(layer.activation, numbers, at.y(l), at.slope(l));
        else
            activate<false>(layer.activation, numbers, at.y(l), at.y(l));
    }
}

// δ f′ of softmax outputs from −δ, in place: y_k (d_k − Σ d_j y_j).
template <class V>
[[gnu::always_inline]] inline void pull_back_softmax(int n, const lane_of<V>* y, lane_of<V>* d) {
    constexpr int R = panel_rows<lane_of<V>>;
    V mean{};
    for (int k = 0; k < n; ++k) mean = fma(load<V>(d + k * R), load<V>(y + k * R), mean);
    for (int k = 0; k < n; ++k) store(d + k * R, load<V>(y + k * R) * (load<V>(d + k * R) - mean));
}

// Σ s · loss of a panel; with_grad: the outputs' local gradients, times s, take the place of the slopes.
template <bool with_grad, class T>
inline double output_loss(const PanelView<T>& at, const T* targets, const T* s, int rows) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    const NetworkView& network = at.plan.network;
    const int last = network.depth - 1, n_out = at.plan.layers[last].n_out;
    const bool softmax = Activation(network.activations[last]) == Activation::softmax;
    const T *e = at.arrived(), *y = at.y(last), *t = at.targets();
    T* d = at.slope(last);
    to_panel(targets, n_out, rows, n_out, at.targets());
    const T parameter = T(network.parameter);
    V total{};
    visit_loss(Loss(network.loss), [&](auto loss) {
        for (int r = 0; r < rows; r += W) {
            const int here = rows - r < W ? rows - r : W;
            const V weight = s ? load_part<V>(s + r, here) : splat<V>(1);
            const auto exists = lanes_below<V>(here);
            for (int k = r; k < n_out * R; k += R) {
                const V y_k = load<V>(y + k), t_k = load<V>(t + k);
                const V value = loss.value(network.fused ? load<V>(e + k) : y_k, y_k, t_k, parameter);
                total += select<V>(exists, weight * value, V{});
                if constexpr (with_grad) {
                    V local = weight * (V{} - loss.signal(y_k, t_k, parameter));
                    if (!network.fused && !softmax) local *= load<V>(d + k);
                    store(d + k, select<V>(exists, local, V{}));
                }
            }
            if (with_grad && softmax && !network.fused) pull_back_softmax<V>(n_out, y + r, d + r);
        }
        if constexpr (with_grad)
            for (int r = (rows + W - 1) / W * W; r < R; r += W)
                for (int k = r; k < n_out * R; k += R) store(d + k, V{});
    });
    return sum(total);
}

// The local gradients of every layer from those of the outputs, each in the place of its slopes; and their sums.
template <Slopes slopes, class T>
inline void backward(const PanelView<T>& at, BatchWeights<T> weights) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    const int last = at.plan.network.depth - 1;
    const T* d = at.slope(last);
    T* total = at.total(last);
    for (int j = 0; j < at.plan.layers[last].n_out; ++j, d += R, total += W)
        store(total, load<V>(total) + ((load<V>(d) + load<V>(d + W)) + load<V>(d + 2 * W)));
    for (int l = last; l > 0; --l) {
        const BatchLayer& layer = at.plan.layers[l];
        const T* const A = weights.packed + layer.backward;
        if (rectifies<slopes>(at.plan, l - 1))
            multiply<Start::zero, End::rectified_and_total, T>(A, at.slope(l), layer.n_out, layer.n_in, nullptr,
                                                               at.slope(l - 1), at.total(l - 1), at.y(l - 1));
        else
            multiply<Start::zero, End::times_and_total, T>(A, at.slope(l), layer.n_out, layer.n_in, nullptr,
                                                           at.slope(l - 1), at.total(l - 1));
    }
}

}  // namespace deltarule::DELTARULE_ISA
