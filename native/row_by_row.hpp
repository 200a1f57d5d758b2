// Small mini-batches, and rules other than the plain one: row after row, gradients summed over a mini-batch.
//
// Layers lie in rows (see rows_layer.hpp), and so do the gradients and what the rule remembers; the first one in
// columns where that wastes little (see first_columns.hpp). Where a mini-batch is one row, its gradient is never
// stored: the sweep that sends error signals down moves the weights.
#pragma once

#include <memory>

#include "first_columns.hpp"
#include "outputs.hpp"

namespace deltarule::DELTARULE_ISA {

template <class V, class Rule>
struct MovedRows {
    using T = lane_of<V>;
    RowsLayer<V> layer;  // all but its weights
    Moved<V, Rule> moved, biases;

    void shape(std::int64_t n_in, std::int64_t n_out, int activation) {
        layer.shape(n_in, n_out, activation, false);
        moved.shape(std::size_t(n_out * layer.stride));
        biases.shape(std::size_t(padded<V>(n_out)));
    }

    void exchange(T* w, T* memory, std::int64_t p, bool in) {
        const std::int64_t n_in = layer.n_in, n_out = layer.n_out;
        for (int m = -1; m < Rule::n_memory; ++m)
            for (std::int64_t o = 0; o <= n_out; ++o) {
                T* ours = o < n_out ? moved.stream(m) + o * layer.stride : biases.stream(m);
                T* theirs = (m < 0 ? w : memory + m * p) + o * n_in;
                const auto bytes = std::size_t(o < n_out ? n_in : n_out) * sizeof(T);
                __builtin_memcpy(in ? ours : theirs, in ? theirs : ours, bytes);
            }
    }

    void receive(const T* x) {
        matrix_vector<V>(moved.stream(-1), layer.stride, layer.n_out, x, biases.stream(-1), layer.e.data());
    }
};

template <class V, class Rule>
class RowByRow {
  public:
    using T = lane_of<V>;
    static constexpr int L = lanes<V>;

    RowByRow(const EpochArguments<T>& a)
        : a_(a), visits_{a.X, a.order, a.n_visits, a.network.sizes[0]}, depth_(a.network.depth),
          columns_(depth_ > 1 && columns_serve<V>(a.network.sizes[0], a.network.sizes[1])),
          layers_(new MovedRows<V, Rule>[depth_]), outputs_(a.network), x_(padded<V>(a.network.sizes[0])) {
        const NetworkView& net = a.network;
        if (columns_) first_.shape(net.sizes[0], net.sizes[1], net.activations[0]);
        for (int l = columns_; l < depth_; ++l) layers_[l].shape(net.sizes[l], net.sizes[l + 1], net.activations[l]);
        exchange(true);
    }

    EpochResult run() {
        std::int64_t count = a_.count;
        double total = 0;
        for (std::int64_t start = 0; start < a_.n_visits; start += a_.batch_size) {
            const std::int64_t left = a_.n_visits - start, size = left < a_.batch_size ? left : a_.batch_size;
            const Rule rule(a_.hyper, pace(a_.rule, a_.hyper, a_.rate, ++count));
            for (std::int64_t r = start; r < start + size; ++r) {
                const std::int64_t row = visits_.row(r);
                const T s = a_.s ? a_.s[row] : T(1);
                total += double(s) * double(forward(r, a_.targets + row * a_.network.sizes[depth_], T(rule.share) * s));
                for (int l = depth_ - 1; l >= columns_; --l)
                    size == 1 ? backward<true>(l, rule) : backward<false>(l, rule);
                if (columns_) size == 1 ? learn_first(r, rule) : first_.add(visits_.x(r));
            }
            if (size > 1) apply(rule, T(1) / T(size));
        }
        exchange(false);
        return {count, total};
    }

  private:
    void exchange(bool in) {
        std::int64_t p = 0, at = 0;
        for (int l = 0; l < depth_; ++l) p += (a_.network.sizes[l] + 1) * a_.network.sizes[l + 1];
        for (int l = 0; l < depth_; ++l) {
            if (l < columns_)
                first_.exchange(a_.w, a_.memory, p, in);
            else
                layers_[l].exchange(a_.w + at, a_.memory + at, p, in);
            at += (a_.network.sizes[l] + 1) * a_.network.sizes[l + 1];
        }
    }

    RowsLayer<V>& layer(int l) { return l < columns_ ? first_.layer : layers_[l].layer; }
    const T* below(int l) { return l ? layer(l - 1).y.data() : x_.data(); }

    T forward(std::int64_t r, const T* target, T factor) {
        if (!columns_)
            __builtin_memcpy(x_.data(), visits_.x(r), std::size_t(visits_.n_in) * sizeof(T));
        else if (!arrived_)
            first_.receive(visits_.x(r));
        for (int l = 0; l < depth_; ++l) {
            if (l >= columns_) layers_[l].receive(below(l));
            RowsLayer<V>& own = layer(l);
            if (l + 1 < depth_) own.activate(own.e.data(), own.y.data(), own.slope.data(), own.n_out);
        }
        RowsLayer<V>& out = layer(depth_ - 1);
        return outputs_(out, target, factor, out.g.data());
    }

    void learn_first(std::int64_t r, const Rule& rule) {
        arrived_ = r + 1 < visits_.n;
        if (r + 2 < visits_.n) fetch(visits_.x(r + 2), visits_.n_in);
        first_.learn(rule, visits_.x(r), visits_.x(arrived_ ? r + 1 : r), T(rule.share * a_.l2), r % 2 != 0);
    }

    // A sweep over C vectors of columns: error signals go down, and weights move at once or gradients are added to.
    // Row after row, so that the lines of all streams are taken in the order in which they lie.
    template <bool at_once, bool down, int C>
    [[gnu::always_inline]] void sweep(MovedRows<V, Rule>& own, const Rule rule, const T* y, RowsLayer<V>* under,
                                      std::int64_t first) {
        const T *g = own.layer.g.data(), l2 = T(rule.share * a_.l2);
        const std::int64_t stride = own.layer.stride;
        T *W = own.moved.stream(-1), *m0 = own.moved.stream(0), *m1 = own.moved.stream(1);
        T* gradient = own.moved.gradient.data();
        V sums[C] = {}, ys[C];
        each<C>([&](int c) { ys[c] = load<V>(y + first + c * L); });
        std::int64_t row = first + own.layer.n_out * stride;
        for (std::int64_t o = own.layer.n_out - 1; o >= 0; --o) {  // the way up left the last rows in the cache
            row -= stride;
            const V go = splat<V>(g[o]);
            each<C>([&](int c) __attribute__((always_inline)) {
                const std::int64_t at = row + c * L;
                if constexpr (down) sums[c] = fma(load<V>(W + at), go, sums[c]);
                if constexpr (at_once)
                    move<V>(rule, W + at, m0 + at, m1 + at, ys[c] * go, l2);
                else
                    store<V>(gradient + at, multiply_add_to_store(ys[c], go, load<V>(gradient + at)));
            });
        }
        if constexpr (down)
            each<C>([&](int c) {
                store<V>(&under->g[first + c * L], sums[c] * load<V>(&under->slope[first + c * L]));
            });
    }

    template <bool at_once, bool down, int C = 4>
    [[gnu::always_inline]] void sweeps(MovedRows<V, Rule>& own, const Rule& rule, const T* y, RowsLayer<V>* under,
                                       std::int64_t first = 0) {
        for (; first + C * L <= own.layer.stride; first += C * L)
            sweep<at_once, down, C>(own, rule, y, under, first);
        if constexpr (C > 1) sweeps<at_once, down, C / 2>(own, rule, y, under, first);
    }

    // Error signals go down from layer l; its weights move at once, or their gradient is added to.
    template <bool at_once>
    [[gnu::noinline]] void backward(int l, const Rule& rule) {
        MovedRows<V, Rule>& own = layers_[l];
        if (l > 0)
            sweeps<at_once, true>(own, rule, below(l), &layer(l - 1));
        else
            sweeps<at_once, false>(own, rule, below(l), nullptr);
        const T* g = own.layer.g.data();
        T *b = own.biases.stream(-1), *b0 = own.biases.stream(0), *b1 = own.biases.stream(1);
        T* sums = own.biases.gradient.data();
        for (std::int64_t o = 0; o < own.layer.n_out; o += L) {
            if constexpr (at_once)
                move<V>(rule, b + o, b0 + o, b1 + o, load<V>(g + o), T(0));
            else
                store<V>(sums + o, load<V>(sums + o) + load<V>(g + o));
        }
    }

    void apply(const Rule& rule, T share) {
        const T l2 = T(rule.share * a_.l2);
        if (columns_) first_.apply(rule, share, l2);
        arrived_ = false;
        for (int l = columns_; l < depth_; ++l) {
            layers_[l].moved.apply(rule, share, l2);
            layers_[l].biases.apply(rule, share, T(0));
        }
    }

    const EpochArguments<T>& a_;
    const Visits<T> visits_;
    const int depth_;
    const bool columns_;     // whether the first layer is first_
    bool arrived_ = false;   // whether first_ has what arrives there for the next visit
    FirstColumns<V, Rule> first_;
    const std::unique_ptr<MovedRows<V, Rule>[]> layers_;
    const Outputs<V> outputs_;
    Buffer<T> x_;  // one row of inputs, padded with 0
};

}  // namespace deltarule::DELTARULE_ISA
