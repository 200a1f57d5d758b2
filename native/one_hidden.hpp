// Online training by the plain rule of one hidden layer and one output, the smallest useful network and the
// commonest. A row is one pass over the neurons, a few vectors at a time, in which each vector
//
//     learns from row r − 1     g = δ q,  w₂ ← w₂ + δ y              (q = w₂ f′ and y are row r − 1's, δ its output's)
//     receives row r            e = base + Σ (1 + x_i · x_r) g_i     y = f(e)   q = w₂ f′(e)
//     sweeps its weights        W ← W + Σ g_i x_i,  base = W x + b, every K-th row, for the K rows before and
//                               the K rows after the next K
//
// so that the only thing that waits for row r − 1's output is one multiplication, and the sweep, which does not
// wait for row r's, fills the time its activation function takes. See first_layer.hpp for why this is exact.
#pragma once

#include "outputs.hpp"

namespace deltarule::DELTARULE_ISA {

template <class V, class A, int K, int B, bool Decay>
class OneHidden {
  public:
    using T = lane_of<V>;
    static constexpr int L = lanes<V>;
    static_assert(K == 1 || K == 2);
    // Where few registers would spill, the sweep is a pass of its own, `wide` vectors at a time.
    static constexpr bool fused = vector_bytes == 64;
    static constexpr int wide = 4;

    OneHidden(const EpochArguments<T>& a)
        : visits_{a.X, a.order, a.n_visits, a.network.sizes[0]}, n_hidden_(a.network.sizes[1]),
          stride_(padded<V>(n_hidden_)), decay_(T(1 - a.rate * a.l2)), W_(visits_.n_in * stride_), b_(stride_),
          w2_(stride_), y_(stride_), q_(stride_), g_(K * stride_), base_(2 * K * stride_), inside_(stride_),
          zeros_(visits_.n_in) {
        const T* flat = a.w;
        for (std::int64_t o = 0; o < n_hidden_; ++o)
            for (std::int64_t i = 0; i < visits_.n_in; ++i) W_[i * stride_ + o] = *flat++;
        for (std::int64_t o = 0; o < n_hidden_; ++o) b_[o] = *flat++;
        for (std::int64_t o = 0; o < n_hidden_; ++o) w2_[o] = *flat++;
        b2_ = *flat;
        for (std::int64_t o = 0; o < n_hidden_; ++o) inside_[o] = ~integer_of<T>(0);
    }

    double run(const EpochArguments<T>& a) {
        const Outputs<V> outputs(a.network);
        RowsLayer<V> out;
        out.shape(0, 1, a.network.activations[1], false);
        const bool plain = Activation(a.network.activations[1]) == Activation::identity &&
                           Loss(a.network.loss) == Loss::squared_error;
        double total = 0;
        T delta = 0;
        step<0>(-K, delta);
        for (std::int64_t r = 0; r < visits_.n; ++r) {
            const std::int64_t row = visits_.row(r);
            const T s = a.s ? a.s[row] : T(1), factor = T(a.rate) * s;
            const T e = b2_ + (r % K == 0 ? step<0>(r, delta) : step<K - 1>(r, delta));
            if (plain) {
                const T error = a.targets[row] - e;
                total += double(s) * double(T(0.5) * error * error);
                delta = factor * error;
            } else {
                out.e[0] = e;
                total += double(s) * double(outputs(out, a.targets + row, factor, out.g.data()));
                delta = out.g[0];
            }
            b2_ += delta;
        }
        for (std::int64_t r = visits_.n; r < visits_.n + K; ++r) {  // what is pending is applied
            r % K == 0 ? step<0>(r, delta) : step<K - 1>(r, delta);
            delta = 0;
        }
        return total;
    }

    void unpack(T* flat) const {
        for (std::int64_t o = 0; o < n_hidden_; ++o)
            for (std::int64_t i = 0; i < visits_.n_in; ++i) *flat++ = W_[i * stride_ + o];
        for (std::int64_t o = 0; o < n_hidden_; ++o) *flat++ = b_[o];
        for (std::int64_t o = 0; o < n_hidden_; ++o) *flat++ = w2_[o];
        *flat = b2_;
    }

  private:
    struct Around {
        const T *before[K], *after[K];
        T overlap[2 * K];  // of visit r with the visits its base lacks, the oldest first
        T kept_w2, kept[K + 1], due[K];
        // local copies of the members, which stores of weights cannot change
        std::int64_t n, stride;
        T *W, *b, *w2, *y, *q, *g, *now, *next;  // now, next: where base is read and written
        const integer_of<T>* inside;
    };

    bool exists(std::int64_t r) const { return 0 <= r && r < visits_.n; }
    const T* x(std::int64_t r) const { return exists(r) ? visits_.x(r) : zeros_.data(); }

    // The pass for visit r, phase = r mod K; returns w₂ · y. Visits that do not exist have inputs 0 and δ 0.
    template <int phase>
    [[gnu::noinline]] T step(std::int64_t r, T delta) {
        Around at;
        for (int k = 0; k < K; ++k) {
            at.before[k] = x(r - K + k);
            at.after[k] = x(r + K + k);
        }
        const std::int64_t now = (r - phase) % (2 * K) == 0 ? 0 : K * stride_;
        at.n = visits_.n_in;
        at.stride = stride_;
        at.W = W_.data();
        at.b = b_.data();
        at.w2 = w2_.data();
        at.y = y_.data();
        at.q = q_.data();
        at.g = g_.data();
        at.now = &base_[now];
        at.next = &base_[K * stride_ - now];
        at.inside = inside_.data();
        constexpr int lacking = K + phase;
        T power = 1;
        for (int i = lacking - 1; i >= 0; --i) {
            at.overlap[i] = 1 + power * dot<V>(x(r - lacking + i), x(r), visits_.n_in);
            if constexpr (Decay) power *= decay_;
        }
        if constexpr (Decay) {
            at.kept_w2 = exists(r - 1) ? decay_ : T(1);
            at.kept[K] = 1;
            for (int k = K - 1; k >= 0; --k) at.kept[k] = exists(r - K + k) ? at.kept[k + 1] * decay_ : at.kept[k + 1];
            for (int k = 0; k < K; ++k) {
                at.due[k] = 1;
                for (std::int64_t i = r < 0 ? 0 : r; i < r + K + k; ++i) at.due[k] *= decay_;
            }
        }
        V sums[B] = {};
        blocks<phase, B>(0, delta, at, sums);
        for (int k = 1; k < B; ++k) sums[0] += sums[k];
        if constexpr (phase == 0 && !fused) sweeps<wide>(0, at);
        return sum(sums[0]);
    }

    // All vectors from `first` on, N at a time and then fewer; `sweeps` the same.
    template <int phase, int N>
    [[gnu::always_inline]] void blocks(std::int64_t first, T delta, const Around& at, V (&sums)[B]) {
        for (; first + N * L <= at.stride; first += N * L) block<phase, N>(first, delta, at, sums);
        if constexpr (N > 1) blocks<phase, N / 2>(first, delta, at, sums);
    }

    template <int N>
    [[gnu::always_inline]] void sweeps(std::int64_t first, const Around& at) {
        for (; first + N * L <= at.stride; first += N * L) {
            V g[K][N];
            each<K>([&](int j) __attribute__((always_inline)) {
                each<N>([&](int k) __attribute__((always_inline)) {
                    g[j][k] = load<V>(at.g + j * at.stride + first + k * L);
                });
            });
            sweep<N>(first, at, g);
        }
        if constexpr (N > 1) sweeps<N / 2>(first, at);
    }

    template <int phase, int N>
    [[gnu::always_inline]] void block(const std::int64_t first, T delta, const Around& at, V (&sums)[B]) {
        V g[K][N], e[N], y[N], slope[N], w2[N];
        each<N>([&](int k) __attribute__((always_inline)) {
            const std::int64_t v = first + k * L;
            const V newest = load<V>(at.q + v) * delta;
            e[k] = load<V>(at.now + phase * at.stride + v);
            each<K>([&](int j) __attribute__((always_inline)) {
                if (phase == 0 && j == K - 1) return;
                g[j][k] = load<V>(at.g + j * at.stride + v);
                e[k] = fma(g[j][k], splat<V>(at.overlap[j]), e[k]);
            });
            e[k] = fma(newest, splat<V>(at.overlap[K + phase - 1]), e[k]);
            if constexpr (phase == 0) g[K - 1][k] = newest;
            if constexpr (K > 1 || !fused) store<V>(at.g + (phase == 0 ? K - 1 : 0) * at.stride + v, newest);
            w2[k] = load<V>(at.w2 + v);
            if constexpr (Decay) w2[k] *= at.kept_w2;
            w2[k] = multiply_add_to_store(load<V>(at.y + v), splat<V>(delta), w2[k]);
        });
        f_df<A, N>(e, y, slope);
        each<N>([&](int k) __attribute__((always_inline)) {
            const std::int64_t v = first + k * L;
            if constexpr (!std::is_same_v<A, Tanh>) {  // whose padding gives 0
                const auto inside = load<V>(reinterpret_cast<const T*>(at.inside + v));
                y[k] = bits_as<V>(bits_as<ints_of<V>>(y[k]) & bits_as<ints_of<V>>(inside));
            }
            sums[k] = fma(w2[k], y[k], sums[k]);
            store<V>(at.w2 + v, w2[k]);
            store<V>(at.y + v, y[k]);
            store<V>(at.q + v, w2[k] * slope[k]);
        });
        if constexpr (phase == 0 && fused) sweep<N>(first, at, g);
    }

    template <int N>
    [[gnu::always_inline]] void sweep(const std::int64_t first, const Around& at, const V (&g)[K][N]) {
        V next[K][N] = {}, step[K][N];
        const T *before[K], *after[K];
        for (int j = 0; j < K; ++j) {
            before[j] = at.before[j];
            after[j] = at.after[j];
            for (int k = 0; k < N; ++k) step[j][k] = Decay ? V(g[j][k] * at.kept[j + 1]) : g[j][k];
        }
        T* row = at.W + first;
        const std::int64_t n = at.n, stride = at.stride;
        for (std::int64_t i = 0; i < n; ++i, row += stride) {
            V ago[K], ahead[K];  // loaded once: the compiler cannot know that stores of weights leave them as they are
            each<K>([&](int j) __attribute__((always_inline)) {
                ago[j] = splat<V>(before[j][i]);
                ahead[j] = splat<V>(after[j][i]);
            });
            each<N>([&](int k) __attribute__((always_inline)) {
                V w = load<V>(row + k * L);
                if constexpr (Decay) w *= at.kept[0];
                each<K>([&](int j) __attribute__((always_inline)) {
                    w = j < K - 1 ? fma(step[j][k], ago[j], w) : multiply_add_to_store(step[j][k], ago[j], w);
                });
                store<V>(row + k * L, w);
                each<K>([&](int j) __attribute__((always_inline)) { next[j][k] = fma(w, ahead[j], next[j][k]); });
            });
        }
        each<N>([&](int k) __attribute__((always_inline)) {
            const std::int64_t v = first + k * L;
            V b = load<V>(at.b + v);
            each<K>([&](int j) __attribute__((always_inline)) { b += g[j][k]; });
            store<V>(at.b + v, b);
            each<K>([&](int j) __attribute__((always_inline)) {
                const V base = Decay ? fma(next[j][k], splat<V>(at.due[j]), b) : V(next[j][k] + b);
                store<V>(at.next + j * at.stride + v, base);
            });
        });
    }

    const Visits<T> visits_;
    const std::int64_t n_hidden_, stride_;
    const T decay_;
    Buffer<T> W_, b_, w2_, y_, q_;
    Buffer<T> g_;     // of the last K visits, where a sweep does not find them in registers
    Buffer<T> base_;  // of K visits and the K after them
    Buffer<integer_of<T>> inside_;  // a mask: all ones where there is a neuron, 0 in the padding
    Buffer<T> zeros_;
    T b2_;
};

}  // namespace deltarule::DELTARULE_ISA
