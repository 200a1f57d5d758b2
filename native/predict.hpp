// Outputs of many rows. Where neurons fill the lanes of vectors, rows go through all layers as they are, and nothing
// is turned round: each layer's outputs are one contiguous row, padded to whole vectors. A last layer too narrow for
// that takes dot products. Other networks go through panels, as for the gradient.
#pragma once

#include "batch.hpp"

namespace deltarule::DELTARULE_ISA {

// M rows, one neuron: lane m of the result is the sum over row m.
template <int M, class T>
[[gnu::always_inline]] inline typename simd<T>::V row_dots(const T* x, std::ptrdiff_t stride, const T* w, int n) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>;
    V total[M]{};
    int i = 0;
    for (; i + W <= n; i += W) {
        const V a = load<V>(w + i);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) total[m] = fma(load<V>(x + m * stride + i), a, total[m]);
    }
    if (i < n) {
        const V a = load_part<V>(w + i, n - i);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) total[m] = fma(load_part<V>(x + m * stride + i, n - i), a, total[m]);
    }
    return sums<M>(total);
}

// C (rows, N) = bias + B (rows, K) W', W (N, K) as in w.
template <class T>
inline void multiply_narrow(const T* B, std::ptrdiff_t b_stride, int rows, const T* weights, int K, int N,
                            const T* bias, T* C) {
    using V = typename simd<T>::V;
    const Tiles tiles(rows, lanes<V>);
    for (int i = 0; i < tiles.count; ++i) {
        const int row = tiles.start(i);
        with_constant<lanes<V>>(tiles.size(i), [&](auto height) {
            for (int j = 0; j < N; ++j) {
                const V e = row_dots<height()>(B + row * b_stride, b_stride, weights + std::ptrdiff_t(j) * K, K) + bias[j];
                T* to = C + std::ptrdiff_t(row) * N + j;
                if (N == 1)
                    store_part(to, e, height());
                else
                    for (int m = 0; m < height(); ++m) to[std::ptrdiff_t(m) * N] = e[m];
            }
        });
    }
}

template <class T>
inline void pack_to_predict(const BatchPlan& plan, const T* w, T* packed) {
    if (plan.predict_row == 0) return pack_weights(plan, w, packed);
    for (int l = 0; l < plan.network.depth; ++l) {
        const BatchLayer& layer = plan.layers[l];
        if (!fills_lanes<T>(layer.n_out)) continue;
        pack_rows(w + layer.w, layer.n_in, layer.n_out, 0, Tiles(vectors_of<T>(layer.n_out), panel_vectors).count, packed);
        packed += layer.n_in * row_stride<T>(layer.n_out);
    }
}

template <class T>
inline void predict_rows(const BatchPlan& plan, BatchWeights<T> weights, BatchRows<T> rows, T* workspace, T* out) {
    using V = typename simd<T>::V;
    constexpr int R = panel_rows<T>;
    const int block = int(predict_block<T>(plan.predict_row)), n_out = plan.layers[plan.network.depth - 1].n_out;
    cut(rows.n, block, [&](std::int64_t first, int n) {
        const T *x = rows.X + first * plan.layers[0].n_in, *A = weights.packed;
        std::ptrdiff_t stride = plan.layers[0].n_in;
        T* const halves[2] = {workspace, workspace + block * plan.predict_row + R};
        for (int l = 0; l < plan.network.depth; ++l) {
            const BatchLayer& layer = plan.layers[l];
            const T* bias = weights.w + layer.b;
            T* const y = halves[l % 2];
            if (fills_lanes<T>(layer.n_out)) {
                multiply_rows(x, stride, n, A, layer.n_in, layer.n_out, bias, y);
                stride = row_stride<T>(layer.n_out);
                A += layer.n_in * stride;
            } else {
                multiply_narrow(x, stride, n, weights.w + layer.w, layer.n_in, layer.n_out, bias, y);
                stride = layer.n_out;
            }
            if (Activation(layer.activation) == Activation::softmax)
                for (int r = 0; r < n; ++r) softmax_row<V>(y + r * stride, y + r * stride, layer.n_out);
            else
                activate<false>(layer.activation, n * stride, y, y);
            x = y;
        }
        T* to = out + first * n_out;
        const int pieces = stride == n_out ? 1 : n;
        const std::size_t bytes = std::size_t(n / pieces) * std::size_t(n_out) * sizeof(T);
        for (int r = 0; r < pieces; ++r) __builtin_memcpy(to + std::ptrdiff_t(r) * n_out, x + r * stride, bytes);
    });
}

template <class T>
inline void batch_predict(const BatchPlan& plan, BatchWeights<T> weights, BatchRows<T> rows, T* workspace, T* out) {
    if (plan.predict_row > 0) return predict_rows(plan, weights, rows, workspace, out);
    const int n_in = plan.layers[0].n_in, last = plan.network.depth - 1, n_out = plan.layers[last].n_out;
    const PanelView<T> at{plan, workspace, 0};
    cut(rows.n, panel_rows<T>, [&](std::int64_t first, int n) {
        forward<Slopes::none>(at, weights, rows.X + first * n_in, n);
        from_panel(at.y(last), n, n_out, out + first * n_out, n_out);
    });
}

}  // namespace deltarule::DELTARULE_ISA
