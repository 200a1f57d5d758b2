// H = Σ s J' C J without J. For a root L of C = L L' and an output k, column k of L pulled back to what arrives at
// layer l is d_k; that row of L' J, at the weights of layer l, is d_k ⊗ y with y the layer's inputs and a 1 for the
// biases. So the block of H between the layers l and m is a sum over rows of
//
//   (Σ_k d_k d_k') ⊗ (y y')  =  z ⊗ u
//
// a product of two tall matrices with a column for each pair of neurons and for each pair of inputs. Symmetry
// halves both sides where l = m, and the outputs are summed before the large product instead of in it: fewer
// operations than J'J by a factor of about 2 n_out.
#pragma once

#include "jacobian.hpp"

namespace deltarule::DELTARULE_ISA {

inline constexpr int z_columns = 64;  // pairs of neurons at a time
// Bytes of products of pairs of inputs at a time: of the second-level cache; more with more outputs, because the
// products of neurons are built anew for each such piece.
inline constexpr std::ptrdiff_t u_bytes = 384 * 1024, most_u_bytes = 4 * u_bytes;

template <class T>
inline std::ptrdiff_t padded(std::ptrdiff_t n) {
    return (n + simd<T>::width - 1) / simd<T>::width * simd<T>::width;
}

// Pairs (i, j) of n and m things, in rows; of a thing with itself only i <= j.
struct Pairs {
    int n, m;
    bool same;
    std::ptrdiff_t start(int i) const {
        return std::ptrdiff_t(i) * m - (same ? std::ptrdiff_t(i) * (i - 1) / 2 : 0);
    }
    std::ptrdiff_t count() const { return start(n); }
    int first(int i) const { return same ? i : 0; }
    std::ptrdiff_t at(int i, int j) const { return same && j < i ? start(j) + i - j : start(i) + j - first(i); }
};

// The block of H between layers l <= m.
struct LayerPair {
    const BatchLayer &l, &m;
    bool same;
    Pairs neurons() const { return {l.n_out, m.n_out, same}; }
    Pairs inputs() const { return {l.n_in + 1, m.n_in + 1, same}; }
};

// Calls f(l, m, pair, where its sums start) for all pairs of layers; returns the number of sums.
template <class F>
inline std::ptrdiff_t for_layer_pairs(const BatchPlan& plan, F&& f) {
    std::ptrdiff_t start = 0;
    for (int l = 0; l < plan.network.depth; ++l)
        for (int m = l; m < plan.network.depth; ++m) {
            const LayerPair pair{plan.layers[l], plan.layers[m], l == m};
            f(l, m, pair, start);
            start += pair.neurons().count() * pair.inputs().count();
        }
    return start;
}

// Whether J'J is the smaller work: vectors of multiplications for each row, those that build the factors included.
template <class T>
inline bool jacobian_is_less(const BatchPlan& plan) {
    constexpr double building = 3, part_of_tiles = 0.8;  // measured: per vector; in the triangle, not beyond it
    double layered = 0;
    for_layer_pairs(plan, [&](int, int, const LayerPair& pair, std::ptrdiff_t) {
        const double z = double(pair.neurons().count()), u = double(pair.inputs().count() / simd<T>::width + 1);
        layered += z * u + building * (u + z / simd<T>::width);
    });
    const double p = double(plan.n_weights), n_out = plan.layers[plan.network.depth - 1].n_out;
    return p <= 1024 && n_out * p * (p + 1) / (2 * simd<T>::width * part_of_tiles) < layered;
}

// Parts of the workspace beyond that of the gradient.
template <class T>
struct GaussNewtonSpace {
    bool whole;  // J whole, in place of the factors
    std::ptrdiff_t rows, outputs, neurons;  // per block; outputs of the network; of all layers together
    std::ptrdiff_t inputs, widest_u, size;

    explicit GaussNewtonSpace(const BatchPlan& plan)
        : whole(jacobian_is_less<T>(plan)), rows(plan.held_rows),
          outputs(plan.layers[plan.network.depth - 1].n_out), neurons(0), inputs(0) {
        std::ptrdiff_t longest = 0;
        for (int l = 0; l < plan.network.depth; ++l) {
            neurons += plan.layers[l].n_out;
            inputs += input_stride(plan.layers[l]);
            if (plan.layers[l].n_in + 1 > longest) longest = plan.layers[l].n_in + 1;
        }
        const std::ptrdiff_t bytes = outputs * u_bytes < most_u_bytes ? outputs * u_bytes : most_u_bytes;
        const std::ptrdiff_t fit = bytes / std::ptrdiff_t(sizeof(T)) / (rows > 0 ? rows : 1);
        widest_u = fit > longest ? fit : longest;
        size = padded<T>(rows * neurons * outputs) + padded<T>(rows * inputs) + rows * z_columns +
               padded<T>(rows * widest_u) + simd<T>::width;
        if (whole) size = padded<T>(rows * neurons * outputs) + rows * plan.n_weights * outputs;
    }
    // J for output k, in a panel of the block
    T* jacobian(T* space, const BatchPlan& plan, int panel, int k) const {
        return space + padded<T>(rows * neurons * outputs) + (k * rows + panel * panel_rows<T>) * plan.n_weights;
    }
    static std::ptrdiff_t input_stride(const BatchLayer& layer) { return padded<T>(layer.n_in + 1); }
    // d_k of layer l in a panel of the block
    T* signal(T* space, const BatchPlan& plan, int l, int panel, int k) const {
        std::ptrdiff_t before = 0;
        for (int i = 0; i < l; ++i) before += plan.layers[i].n_out;
        return space + before * outputs * rows +
               (std::ptrdiff_t(panel) * outputs + k) * plan.layers[l].n_out * panel_rows<T>;
    }
    // inputs of layer l with a 1 behind, row after row
    T* input(T* space, const BatchPlan& plan, int l) const {
        space += padded<T>(rows * neurons * outputs);
        for (int i = 0; i < l; ++i) space += rows * input_stride(plan.layers[i]);
        return space;
    }
    T* z(T* space) const { return space + padded<T>(rows * neurons * outputs) + padded<T>(rows * inputs); }
    T* u(T* space) const { return z(space) + rows * z_columns; }
};

// Column k of the curvature's root, times √s, pulled back to what arrives at the outputs; n_out × panel.
template <class T>
inline void curvature_root(const PanelView<T>& at, const T* s, int rows, int k, T* d) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    const NetworkView& network = at.plan.network;
    const int last = network.depth - 1, n_out = at.plan.layers[last].n_out;
    const bool softmax = Activation(network.activations[last]) == Activation::softmax;
    const T *y = at.y(last), *t = at.targets(), *slope = at.slope(last);
    __builtin_memset(d, 0, sizeof(T) * std::size_t(n_out) * R);
    visit_loss(Loss(network.loss), [&](auto loss) {
        for (int r = 0; r < rows; r += W) {
            const int here = rows - r < W ? rows - r : W;
            const V y_k = load<V>(y + k * R + r), t_k = load<V>(t + k * R + r);
            V root = loss.curvature(y_k, t_k, T(network.parameter));
            if (s) root *= load_part<V>(s + r, here);
            root = select<V>(lanes_below<V>(here), sqrt(root), V{});
            if (!softmax) {
                store(d + k * R + r, network.fused ? root : root * load<V>(slope + k * R + r));
                continue;
            }
            // fused: column k of diag(√y) − y √y'; else of diag(y) − y y', the slope of softmax, times the root
            const V at_k = network.fused ? root : root * y_k;
            for (int j = 0; j < n_out; ++j) store(d + j * R + r, V{} - load<V>(y + j * R + r) * at_k);
            store(d + k * R + r, load<V>(d + k * R + r) + at_k);
        }
    });
}

// d_k of every layer for every output k, from slopes which it leaves as they are.
template <class T>
inline void pull_back_roots(const PanelView<T>& at, const GaussNewtonSpace<T>& space, T* memory,
                            BatchWeights<T> weights, const T* s, int rows) {
    const BatchPlan& plan = at.plan;
    const int last = plan.network.depth - 1;
    for (int k = 0; k < plan.layers[last].n_out; ++k) {
        curvature_root(at, s, rows, k, space.signal(memory, plan, last, at.panel, k));
        for (int l = last; l > 0; --l) {
            const BatchLayer& layer = plan.layers[l];
            T* before = space.signal(memory, plan, l - 1, at.panel, k);
            __builtin_memcpy(before, at.slope(l - 1), sizeof(T) * std::size_t(layer.n_in) * panel_rows<T>);
            multiply<Start::zero, End::times, T>(weights.packed + layer.backward,
                                                 space.signal(memory, plan, l, at.panel, k), layer.n_out, layer.n_in,
                                                 nullptr, before);
        }
    }
}

template <class T>
inline void keep_inputs(const PanelView<T>& at, const GaussNewtonSpace<T>& space, T* memory, const T* X, int rows) {
    const BatchPlan& plan = at.plan;
    for (int l = 0; l < plan.network.depth; ++l) {
        const int n = plan.layers[l].n_in;
        const std::ptrdiff_t stride = space.input_stride(plan.layers[l]);
        T* to = space.input(memory, plan, l) + std::ptrdiff_t(at.panel) * panel_rows<T> * stride;
        if (l > 0) from_panel(at.y(l - 1), rows, n, to, stride);
        for (int r = 0; r < rows; ++r, to += stride) {
            if (l == 0) __builtin_memcpy(to, X + std::ptrdiff_t(r) * n, sizeof(T) * std::size_t(n));
            to[n] = 1;
        }
    }
}

template <class T>
inline void keep_jacobian(const PanelView<T>& at, const GaussNewtonSpace<T>& space, T* memory, const T* X, int rows) {
    const BatchPlan& plan = at.plan;
    if (plan.forward_rows) to_panel(X, plan.layers[0].n_in, rows, plan.layers[0].n_in, at.x());
    for (std::ptrdiff_t k = 0; k < space.outputs; ++k)
        jacobian_panel(at, [&](int l) { return space.signal(memory, plan, l, at.panel, int(k)); },
                       space.jacobian(memory, plan, at.panel, int(k)));
}

// Products of pairs of inputs (i, j) for i in [from, to), row after row, `columns` to a row.
template <class T>
inline void input_products(const Pairs& pairs, int from, int to, const T* a, std::ptrdiff_t a_stride, const T* b,
                           std::ptrdiff_t b_stride, int rows, T* u) {
    using V = typename simd<T>::V;
    for (int r = 0; r < rows; ++r, a += a_stride, b += b_stride)
        for (int i = from; i < to; ++i) {
            const V a_i = splat<V>(a[i]);
            const int first = pairs.first(i), n = pairs.m - first;
            // what a last vector writes too much is written over next; what it reads too much lies in the workspace
            for (int j = 0; j < n; j += lanes<V>) store(u + j, a_i * load<V>(b + first + j));
            u += n;
        }
}

// Σ_k d_k[i] d_k[j] of the pairs in [from, to), as panels of z_columns.
template <class T>
inline void neuron_products(const LayerPair& pair, const T* a, const T* b, std::ptrdiff_t outputs, int panels,
                            std::ptrdiff_t from, std::ptrdiff_t to, T* z) {
    using V = typename simd<T>::V;
    constexpr int R = panel_rows<T>, W = lanes<V>;
    const Pairs pairs = pair.neurons();
    int i0 = 0;
    while (pairs.start(i0 + 1) <= from) ++i0;
    for (int panel = 0; panel < panels; ++panel, z += z_columns * R) {
        const T* a_panel = a + panel * outputs * pairs.n * R;
        const T* b_panel = b + panel * outputs * pairs.m * R;
        T* to_here = z;
        int i = i0, j = int(from - pairs.start(i0)) + pairs.first(i0);
        for (std::ptrdiff_t left = to - from; left > 0; j = pairs.first(++i)) {
            const int n = pairs.m - j < left ? pairs.m - j : int(left);
            left -= n;
            for (const T *x = a_panel + i * R, *y = b_panel + j * R, *end = y + std::ptrdiff_t(n) * R; y < end;
                 y += R, to_here += R)
#pragma GCC unroll 3
                for (int v = 0; v < R; v += W) {
                    V total = load<V>(x + v) * load<V>(y + v);
                    for (std::ptrdiff_t k = 1; k < outputs; ++k)
                        total = fma(load<V>(x + k * pairs.n * R + v), load<V>(y + k * pairs.m * R + v), total);
                    store(to_here + v, total);
                }
        }
    }
}

template <class T>
inline void add_block_products(const BatchPlan& plan, const GaussNewtonSpace<T>& space, T* memory, int rows, T* sums) {
    constexpr int R = panel_rows<T>;
    const int panels = (rows + R - 1) / R;
    T *u = space.u(memory), *z = space.z(memory);
    for_layer_pairs(plan, [&](int l, int m, const LayerPair& pair, std::ptrdiff_t start) {
        const Pairs inputs = pair.inputs();
        const std::ptrdiff_t n_pairs = pair.neurons().count(), n_columns = inputs.count();
        for (int from = 0, to; from < inputs.n; from = to) {
            for (to = from + 1; to < inputs.n && inputs.start(to + 1) - inputs.start(from) <= space.widest_u;) ++to;
            const std::ptrdiff_t column = inputs.start(from), columns = inputs.start(to) - column;
            input_products(inputs, from, to, space.input(memory, plan, l), space.input_stride(pair.l),
                           space.input(memory, plan, m), space.input_stride(pair.m), rows, u);
            for (std::ptrdiff_t i = 0; i < n_pairs; i += z_columns) {
                const std::ptrdiff_t end = i + z_columns < n_pairs ? i + z_columns : n_pairs;
                neuron_products(pair, space.signal(memory, plan, l, 0, 0), space.signal(memory, plan, m, 0, 0),
                                space.outputs, panels, i, end, z);
                outer_sums<T>({z, z_columns * R}, int(end - i), rows, u, columns, int(columns),
                              sums + start + i * n_columns + column, n_columns);
            }
        }
    });
}

template <class T>
inline std::ptrdiff_t gauss_newton_sums(const BatchPlan& plan) {
    if (jacobian_is_less<T>(plan)) return plan.n_weights * plan.n_weights;
    return for_layer_pairs(plan, [](int, int, const LayerPair&, std::ptrdiff_t) {});
}

// Numbers of T.
template <class T>
inline std::ptrdiff_t gauss_newton_workspace(const BatchPlan& plan) {
    return plan.n_workspace + GaussNewtonSpace<T>(plan).size;
}

// Adds to grad and sums; returns Σ s · loss.
template <class T>
inline double batch_gauss_newton(const BatchPlan& plan, BatchWeights<T> weights, BatchRows<T> rows, T* workspace,
                                 T* grad, T* sums) {
    const int n_in = plan.layers[0].n_in, n_out = plan.layers[plan.network.depth - 1].n_out;
    const GaussNewtonSpace<T> space(plan);
    T* memory = workspace + plan.n_workspace;
    double total = 0;
    clear_bias_sums(plan, workspace);
    cut(rows.n, plan.block_rows, [&](std::int64_t start, int in_block) {
        cut(in_block, panel_rows<T>, [&](std::int64_t offset, int n) {
            const std::int64_t first = start + offset;
            const PanelView<T> at{plan, workspace, int(offset / panel_rows<T>)};
            const T* s = rows.s ? rows.s + first : nullptr;
            forward<true>(at, weights, rows.X + first * n_in, n);
            to_panel(rows.targets + first * n_out, n_out, n, n_out, at.targets());
            pull_back_roots(at, space, memory, weights, s, n);
            if (space.whole)
                keep_jacobian(at, space, memory, rows.X + first * n_in, n);
            else
                keep_inputs(at, space, memory, rows.X + first * n_in, n);
            total += output_loss<true>(at, rows.targets + first * n_out, s, n);
            backward(at, weights);
        });
        add_block_gradient(plan, workspace, rows.X + start * n_in, in_block, grad);
        if (!space.whole) return add_block_products(plan, space, memory, in_block, sums);
        for (int k = 0; k < n_out; ++k)
            symmetric_dots<T>({space.jacobian(memory, plan, 0, k), plan.n_weights * panel_rows<T>}, int(plan.n_weights),
                              (in_block + panel_rows<T> - 1) / panel_rows<T>, sums);
    });
    add_bias_sums(plan, workspace, grad);
    return total;
}

// The sums as the whole symmetric matrix H (p, p).
template <class T>
inline void spread_gauss_newton(const BatchPlan& plan, const T* sums, T* H) {
    const std::ptrdiff_t p = plan.n_weights;
    if (jacobian_is_less<T>(plan)) return mirror_upper(p, sums, H);
    const auto place = [](const BatchLayer& layer, int j, int i) {
        return i < layer.n_in ? layer.w + std::ptrdiff_t(j) * layer.n_in + i : layer.b + j;
    };
    for_layer_pairs(plan, [&](int, int, const LayerPair& pair, std::ptrdiff_t start) {
        const Pairs neurons = pair.neurons(), inputs = pair.inputs();
        const std::ptrdiff_t n_columns = inputs.count();
        for (int j = 0; j < neurons.n; ++j)
            for (int k = 0; k < neurons.m; ++k) {
                const T* from = sums + start + neurons.at(j, k) * n_columns;
                for (int i = 0; i < inputs.n; ++i) {
                    T* row = H + place(pair.l, j, i) * p;
                    for (int h = 0; h < inputs.m; ++h) row[place(pair.m, k, h)] = from[inputs.at(i, h)];
                }
            }
        if (pair.same) return;
        for (std::ptrdiff_t a = pair.m.w; a < pair.m.b + pair.m.n_out; ++a)
            for (std::ptrdiff_t b = pair.l.w; b < pair.l.b + pair.l.n_out; ++b) H[a * p + b] = H[b * p + a];
    });
}

}  // namespace deltarule::DELTARULE_ISA
