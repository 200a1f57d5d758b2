// Small mini-batches, and rules other than the plain one: row after row, gradients summed over a mini-batch.
//
// All layers lie in rows (see rows_layer.hpp), and so do the gradients and what the rule remembers. Where a
// mini-batch is one row, its gradient is never stored: the sweep that sends error signals down moves the weights.
#pragma once

#include <memory>

#include "outputs.hpp"
#include "rules.hpp"

namespace deltarule::DELTARULE_ISA {

template <class V>
struct Remembering {
    using T = lane_of<V>;
    RowsLayer<V> layer;
    Buffer<T> gradient, gradient_b;      // of the mini-batch, with the sign of descent
    Buffer<T> memory[2], memory_b[2];    // the rule's vectors
    Buffer<integer_of<T>> inside;        // of a row of weights: all ones, 0 in the padding

    void shape(std::int64_t n_in, std::int64_t n_out, int activation, int n_memory) {
        layer.shape(n_in, n_out, activation, true);
        const auto weights = std::size_t(n_out * layer.stride), width = std::size_t(padded<V>(n_out));
        gradient.resize(weights);
        gradient_b.resize(width);
        for (int m = 0; m < n_memory; ++m) {
            memory[m].resize(weights);
            memory_b[m].resize(width);
        }
        inside.resize(std::size_t(layer.stride));
        for (std::int64_t i = 0; i < n_in; ++i) inside[i] = ~integer_of<T>(0);
    }

    // The k-th vector the rule remembers; anything that exists where it has none, and never looks.
    T* m(int k, T* none) const { return memory[k].data() ? memory[k].data() : none; }
    T* m_b(int k, T* none) const { return memory_b[k].data() ? memory_b[k].data() : none; }

    void copy(Buffer<T>& W, Buffer<T>& b, T* flat, bool in) {
        const std::int64_t n_in = layer.n_in, n_out = layer.n_out;
        for (std::int64_t o = 0; o <= n_out; ++o) {
            T* ours = o < n_out ? &W[o * layer.stride] : b.data();
            T* theirs = flat + o * n_in;
            const auto bytes = std::size_t(o < n_out ? n_in : n_out) * sizeof(T);
            in ? __builtin_memcpy(ours, theirs, bytes) : __builtin_memcpy(theirs, ours, bytes);
        }
    }
};

// One vector of weights of which `descent` is the direction of descent, before the penalty.
template <class V, class Rule>
[[gnu::always_inline]] inline void move(const Rule& rule, lane_of<V>* w, lane_of<V>* m0, lane_of<V>* m1, V descent,
                                        lane_of<V> l2, ints_of<V> inside) {
    V weight = load<V>(w), first{}, second{};
    if constexpr (Rule::n_memory > 0) first = load<V>(m0);
    if constexpr (Rule::n_memory > 1) second = load<V>(m1);
    rule(weight, V(l2 * weight - descent), first, second);
    store<V>(w, bits_as<V>(bits_as<ints_of<V>>(weight) & inside));  // 0 / 0 in the padding stays out
    if constexpr (Rule::n_memory > 0) store<V>(m0, first);
    if constexpr (Rule::n_memory > 1) store<V>(m1, second);
}

template <class V, class Rule>
class RowByRow {
  public:
    using T = lane_of<V>;
    static constexpr int L = lanes<V>;

    RowByRow(const EpochArguments<T>& a)
        : a_(a), depth_(a.network.depth), layers_(new Remembering<V>[depth_]), outputs_(a.network),
          x_(padded<V>(a.network.sizes[0])) {
        for (int l = 0; l < depth_; ++l)
            layers_[l].shape(a.network.sizes[l], a.network.sizes[l + 1], a.network.activations[l], Rule::n_memory);
        exchange(true);
    }

    EpochResult run() {
        const Visits<T> visits{a_.X, a_.order, a_.n_visits, a_.network.sizes[0]};
        std::int64_t count = a_.count;
        double total = 0;
        for (std::int64_t start = 0; start < a_.n_visits; start += a_.batch_size) {
            const std::int64_t left = a_.n_visits - start, size = left < a_.batch_size ? left : a_.batch_size;
            const Rule rule(a_.hyper, a_.rate, ++count);
            for (std::int64_t r = start; r < start + size; ++r) {
                const std::int64_t row = visits.row(r);
                const T s = a_.s ? a_.s[row] : T(1);
                total += double(s) * double(forward(visits.x(r), a_.targets + row * a_.network.sizes[depth_], s));
                for (int l = depth_ - 1; l >= 0; --l) size == 1 ? backward<true>(l, rule) : backward<false>(l, rule);
            }
            if (size > 1)
                for (int l = 0; l < depth_; ++l) apply(layers_[l], rule, T(1) / T(size));
        }
        exchange(false);
        return {count, total};
    }

  private:
    void exchange(bool in) {
        std::int64_t p = 0, at = 0;
        for (int l = 0; l < depth_; ++l) p += (a_.network.sizes[l] + 1) * a_.network.sizes[l + 1];
        for (int l = 0; l < depth_; ++l) {
            Remembering<V>& own = layers_[l];
            own.copy(own.layer.W, own.layer.b, a_.w + at, in);
            for (int m = 0; m < Rule::n_memory; ++m) own.copy(own.memory[m], own.memory_b[m], a_.memory + m * p + at, in);
            at += (own.layer.n_in + 1) * own.layer.n_out;
        }
    }

    T forward(const T* x, const T* target, T s) {
        __builtin_memcpy(x_.data(), x, std::size_t(a_.network.sizes[0]) * sizeof(T));
        for (int l = 0; l < depth_; ++l) {
            RowsLayer<V>& layer = layers_[l].layer;
            layer.receive(below(l));
            if (l + 1 < depth_) layer.activate(layer.e.data(), layer.y.data(), layer.slope.data(), layer.n_out);
        }
        RowsLayer<V>& out = layers_[depth_ - 1].layer;
        return outputs_(out, target, s, out.g.data());
    }

    const T* below(int l) const { return l ? layers_[l - 1].layer.y.data() : x_.data(); }

    // Error signals go down from layer l; its weights move at once, or their gradient is added to.
    template <bool at_once>
    [[gnu::noinline]] void backward(int l, const Rule& rule) {
        Remembering<V>& own = layers_[l];
        const RowsLayer<V>& layer = own.layer;
        const RowsLayer<V>* under = l ? &layers_[l - 1].layer : nullptr;
        // local copies: stores of weights cannot change them
        const T *y = below(l), *g = layer.g.data(), l2 = T(a_.l2);
        T *W = layer.W.data(), *gradient = own.gradient.data(), *m0 = own.m(0, W), *m1 = own.m(1, W);
        const std::int64_t n = layer.n_out, stride = layer.stride;
        for (std::int64_t v = 0; v < stride; v += L) {
            const V yv = load<V>(y + v);
            const auto inside = bits_as<ints_of<V>>(load<V>(reinterpret_cast<const T*>(&own.inside[v])));
            V down{};
            std::int64_t at = v;
            for (std::int64_t o = 0; o < n; ++o, at += stride) {
                const V go = splat<V>(g[o]);
                if (under) down = fma(load<V>(W + at), go, down);
                if constexpr (at_once)
                    move<V>(rule, W + at, m0 + at, m1 + at, yv * go, l2, inside);
                else
                    store<V>(gradient + at, fma(yv, go, load<V>(gradient + at)));
            }
            if (under) store<V>(&under->g[v], down * load<V>(&under->slope[v]));
        }
        T *b = layer.b.data(), *b0 = own.m_b(0, b), *b1 = own.m_b(1, b), *sums = own.gradient_b.data();
        for (std::int64_t o = 0; o < n; o += L) {
            if constexpr (at_once)
                move<V>(rule, b + o, b0 + o, b1 + o, load<V>(g + o), T(0), ~ints_of<V>{});
            else
                store<V>(sums + o, load<V>(sums + o) + load<V>(g + o));
        }
    }

    [[gnu::noinline]] void apply(Remembering<V>& own, const Rule& rule, T share) {
        const RowsLayer<V>& layer = own.layer;
        T *W = layer.W.data(), *gradient = own.gradient.data(), *m0 = own.m(0, W), *m1 = own.m(1, W);
        const std::int64_t n = layer.n_out, stride = layer.stride;
        for (std::int64_t at = 0; at < n * stride; at += stride)
            for (std::int64_t v = 0; v < stride; v += L) {
                const auto inside = bits_as<ints_of<V>>(load<V>(reinterpret_cast<const T*>(&own.inside[v])));
                const V descent = load<V>(gradient + at + v) * share;
                move<V>(rule, W + at + v, m0 + at + v, m1 + at + v, descent, T(a_.l2), inside);
                store<V>(gradient + at + v, V{});
            }
        T *b = layer.b.data(), *b0 = own.m_b(0, b), *b1 = own.m_b(1, b), *sums = own.gradient_b.data();
        for (std::int64_t o = 0; o < n; o += L) {
            move<V>(rule, b + o, b0 + o, b1 + o, load<V>(sums + o) * share, T(0), ~ints_of<V>{});
            store<V>(sums + o, V{});
        }
    }

    const EpochArguments<T>& a_;
    const int depth_;
    const std::unique_ptr<Remembering<V>[]> layers_;
    const Outputs<V> outputs_;
    Buffer<T> x_;  // one row of inputs, padded with 0
};

}  // namespace deltarule::DELTARULE_ISA
