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
#include "pairs.hpp"

namespace deltarule::DELTARULE_ISA {

inline constexpr int z_columns = 32;    // pairs of neurons at a time
inline constexpr int rows_at_once = 8;  // of products of pairs of inputs, before they go to their tiles
// Bytes of products of pairs of inputs at a time: of the second-level cache; more with more outputs, because the
// products of neurons are built anew for each such piece.
inline constexpr std::ptrdiff_t u_bytes = 96 * 1024, most_u_bytes = 16 * u_bytes;

// Whether J'J is the smaller work: vectors of multiplications for each row, those that build the factors included.
template <class T>
inline bool jacobian_is_less(const BatchPlan& plan) {
    constexpr double building = 3, part_of_tiles = 0.8;  // measured: per vector; in the triangle, not beyond it
    double layered = 0;
    for_layer_pairs(plan, [&](int, int, const LayerPair& pair, std::ptrdiff_t) {
        const double z = double(pair.neurons().count()), u = double(pair.inputs().count());
        layered += (z * u + building * (u + z)) / simd<T>::width;
    });
    const double p = double(plan.n_weights), n_out = plan.layers[plan.network.depth - 1].n_out;
    return p <= 1024 && n_out * p * (p + 1) / (2 * simd<T>::width * part_of_tiles) < layered;
}

// Parts of the workspace beyond that of the gradient, in numbers of T.
template <class T>
struct GaussNewtonSpace {
    bool whole;  // J whole, in place of the factors
    std::ptrdiff_t rows, outputs;  // of a block; of the network
    std::ptrdiff_t portion;        // rows whose products are taken together
    std::ptrdiff_t widest_u;       // pairs of inputs at a time, whole vectors
    std::ptrdiff_t z_panel;        // from one panel of pairs of neurons to the next
    std::ptrdiff_t inputs, input_rows, z, u, row, size;  // where they start; signals come first

    explicit GaussNewtonSpace(const BatchPlan& plan)
        : whole(jacobian_is_less<T>(plan)),
          rows(plan.held_rows),
          outputs(plan.layers[plan.network.depth - 1].n_out),
          portion(rows < outer_rows<T> ? rows : outer_rows<T>),
          z_panel(panel_stride<T>(z_columns)) {
        std::ptrdiff_t neurons = 0, all_inputs = 0, most_inputs = 0;
        for (int l = 0; l < plan.network.depth; ++l) {
            const std::ptrdiff_t n = plan.layers[l].n_in + 1;
            neurons += plan.layers[l].n_out;
            all_inputs += n;
            if (n > most_inputs) most_inputs = n;
        }
        const std::ptrdiff_t bytes = outputs * u_bytes < most_u_bytes ? outputs * u_bytes : most_u_bytes;
        const std::ptrdiff_t fit = bytes / std::ptrdiff_t(sizeof(T)) / (portion > 0 ? portion : 1);
        const std::ptrdiff_t least = most_inputs * panel_rows<T>;  // of u: what one panel of a single neuron takes
        widest_u = row_stride<T>(fit > z_columns ? fit : z_columns);
        inputs = rows * neurons * outputs;
        input_rows = inputs + rows * all_inputs;
        row = input_rows + rows * all_inputs + simd<T>::width;
        z = row + rows_at_once * widest_u + simd<T>::width;
        u = z + portion / panel_rows<T> * z_panel;
        size = whole ? inputs + rows * plan.n_weights * outputs
                     : u + (portion * widest_u > least ? portion * widest_u : least);
    }
    // J for output k, in a panel of the block
    T* jacobian(T* space, const BatchPlan& plan, int panel, int k) const {
        return space + inputs + (k * rows + panel * panel_rows<T>) * plan.n_weights;
    }
    // d_k of layer l in a panel of the block
    T* signal(T* space, const BatchPlan& plan, int l, int panel, int k) const {
        std::ptrdiff_t before = 0;
        for (int i = 0; i < l; ++i) before += plan.layers[i].n_out;
        return space + before * outputs * rows +
               (std::ptrdiff_t(panel) * outputs + k) * plan.layers[l].n_out * panel_rows<T>;
    }
    // inputs of layer l and a 1, in a panel of the block
    T* input(T* space, const BatchPlan& plan, int l, int panel) const {
        space += inputs;
        for (int i = 0; i < l; ++i) space += rows * (plan.layers[i].n_in + 1);
        return space + std::ptrdiff_t(panel) * (plan.layers[l].n_in + 1) * panel_rows<T>;
    }
    // the same, row after row, from a row of the block on
    T* input_row(T* space, const BatchPlan& plan, int l, std::ptrdiff_t first) const {
        space += input_rows;
        for (int i = 0; i < l; ++i) space += rows * (plan.layers[i].n_in + 1);
        return space + first * (plan.layers[l].n_in + 1);
    }
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
    constexpr int R = panel_rows<T>;
    for (int l = 0; l < plan.network.depth; ++l) {
        const int n = plan.layers[l].n_in;
        T* to = space.input(memory, plan, l, at.panel);
        if (l == 0 && plan.forward_rows)
            to_panel(X, n, rows, n, to);
        else
            __builtin_memcpy(to, at.y(l - 1), sizeof(T) * std::size_t(n) * R);
        for (int r = 0; r < R; ++r) to[n * R + r] = 1;
        from_panel(to, R, n + 1, space.input_row(memory, plan, l, std::ptrdiff_t(at.panel) * R), n + 1);
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

// Products of pairs of inputs for some rows, tile after tile of columns, each row after row.
template <class T>
inline void pack_pair_rows(const Pairs& pairs, const T* a, const T* b, int rows, std::ptrdiff_t from,
                           std::ptrdiff_t to, T* space, T* u) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>;
    const Tiles across(vectors_of<T>(int(to - from)), panel_vectors);
    const std::ptrdiff_t stride = across.n * W;
    const int i = pairs.row_of(from), j = int(from - pairs.start(i)) + pairs.first(i);
    cut(rows, rows_at_once, [&](std::int64_t first, int here) {
        for (int r = 0; r < here; ++r)
            pair_row(pairs, i, j, to - from, a + (first + r) * pairs.n, b + (first + r) * pairs.m, space + r * stride);
        for (int tile_number = 0, start = 0, wide; tile_number < across.count; ++tile_number, start += wide) {
            wide = across.start(tile_number + 1) * W - start;
            T* tile = u + start * rows + first * wide;
            for (int r = 0; r < here; ++r, tile += wide)
                for (int c = 0; c < wide; c += W) store(tile + c, load<V>(space + r * stride + start + c));
        }
    });
}

// Adds the block of H between the layers l and m for some rows of a block, from its first on.
template <class T>
inline void add_pair_sums(const BatchPlan& plan, const GaussNewtonSpace<T>& space, T* memory, int l, int m,
                          const LayerPair& pair, int first, int rows, T* sums) {
    constexpr int R = panel_rows<T>, W = simd<T>::width;
    const Pairs inputs = pair.inputs(), neurons = pair.neurons();
    const int panel = first / R, panels = (rows + R - 1) / R;
    const T *d_l = space.signal(memory, plan, l, panel, 0), *d_m = space.signal(memory, plan, m, panel, 0);
    T *const z = memory + space.z, *const u = memory + space.u;
    if (pair.one_row) {
        const std::ptrdiff_t stride = inputs.n * R, fit = space.portion * space.widest_u / stride;
        return cut(panels, int(fit > 0 ? fit : 1), [&](std::int64_t from, int here) {
            pair_products({1, inputs.n, false}, d_l + from * R, space.input(memory, plan, l, panel + int(from)), 1,
                          here, 0, inputs.n, stride, u);
            symmetric_dots<T>({u, stride}, inputs.n, here, sums);
        });
    }
    const std::ptrdiff_t n_pairs = neurons.count(), n_columns = inputs.count();
    for (std::ptrdiff_t column = 0; column < n_columns; column += space.widest_u) {
        const int columns = int(n_columns - column < space.widest_u ? n_columns - column : space.widest_u);
        pack_pair_rows(inputs, space.input_row(memory, plan, l, first), space.input_row(memory, plan, m, first), rows,
                       column, column + columns, memory + space.row, u);
        const Tiles across(vectors_of<T>(columns), panel_vectors);
        for (std::ptrdiff_t i = 0; i < n_pairs; i += z_columns) {
            const int here = int(n_pairs - i < z_columns ? n_pairs - i : z_columns);
            pair_products(neurons, d_l, d_m, space.outputs, panels, i, i + here, space.z_panel, z);
            for (int j = 0; j < across.count; ++j) {
                const int start = across.start(j) * W, vectors = across.size(j);
                const int left = columns - start - (vectors - 1) * W;
                outer_column<T>({z, space.z_panel}, here, rows, u + start * rows, vectors * W, true, vectors,
                                left < W ? left : W, sums + i * n_columns + column + start, n_columns,
                                [](int, int) {});
            }
        }
    }
}

template <class T>
inline void add_block_products(const BatchPlan& plan, const GaussNewtonSpace<T>& space, T* memory, int rows, T* sums) {
    const Tiles portions((rows + row_unit - 1) / row_unit, outer_rows<T> / row_unit);
    for (int i = 0; i < portions.count; ++i) {
        const int first = portions.start(i) * row_unit, end = portions.start(i + 1) * row_unit;
        for_layer_pairs(plan, [&](int l, int m, const LayerPair& pair, std::ptrdiff_t start) {
            add_pair_sums(plan, space, memory, l, m, pair, first, (end < rows ? end : rows) - first, sums + start);
        });
    }
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
            forward<Slopes::kept>(at, weights, rows.X + first * n_in, n);
            to_panel(rows.targets + first * n_out, n_out, n, n_out, at.targets());
            pull_back_roots(at, space, memory, weights, s, n);
            if (space.whole)
                keep_jacobian(at, space, memory, rows.X + first * n_in, n);
            else
                keep_inputs(at, space, memory, rows.X + first * n_in, n);
            total += output_loss<true>(at, rows.targets + first * n_out, s, n);
            backward<Slopes::kept>(at, weights);
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
    jacobian_is_less<T>(plan) ? mirror_upper(plan.n_weights, sums, H) : spread_pairs(plan, sums, H);
}

}  // namespace deltarule::DELTARULE_ISA
