// The first layer of online training by the plain rule. Its inputs are known in advance, which buys two things.
//
// Weights lie in columns, for each input one contiguous padded vector of its weights to all neurons, so that
// e = Σ x_i W[i] needs no sums across lanes. And a weight is read once for several rows: a sweep adds the
// updates of the K rows before and takes the products with K rows to come. What a row's e then lacks are
// the updates of the few rows in between, and those are inner products of inputs:
//
//     (W + g₁ x₁ᵀ) x₂ = W x₂ + (x₁ · x₂) g₁
//
// which is exact. With a sweep one block ahead, no row waits for the sweep: only the last term, one
// multiplication per vector, depends on the row just before.
#pragma once

#include "memory.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
struct Visits {
    const T* X;
    const std::int64_t* order;
    std::int64_t n, n_in;
    std::int64_t row(std::int64_t r) const { return order ? order[r] : r; }
    const T* x(std::int64_t r) const { return X + row(r) * n_in; }
};

// Asks for a row that will soon be read: rows come in any order, and no processor foresees where the next one lies.
template <class T>
[[gnu::always_inline]] inline void fetch(const T* x, std::int64_t n) {
    for (std::int64_t i = 0; i < n; i += std::int64_t(cache_line / sizeof(T))) __builtin_prefetch(x + i);
}

template <class V>
[[gnu::always_inline]] inline lane_of<V> dot(const lane_of<V>* a, const lane_of<V>* b, std::int64_t n) {
    constexpr int L = lanes<V>;
    V even{}, odd{};
    std::int64_t i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
        even = fma(load<V>(a + i), load<V>(b + i), even);
        odd = fma(load<V>(a + i + L), load<V>(b + i + L), odd);
    }
    for (; i < n; i += L) {
        const int part = n - i < L ? int(n - i) : L;
        even = fma(load_part<V>(a + i, part), load_part<V>(b + i, part), even);
    }
    return sum(even + odd);
}

template <class V, int K, bool Ahead>
class FirstLayer {
  public:
    using T = lane_of<V>;
    static constexpr int ring = 2 * K;

    FirstLayer(const Visits<T>& visits, std::int64_t n_out, T decay)
        : visits_(visits), n_in_(visits.n_in), n_out_(n_out), stride_(padded<V>(n_out)), decay_(decay),
          W_(n_in_ * stride_), b_(stride_), g_(ring * stride_), base_(ring * stride_), zeros_(n_in_ + stride_),
          unused_(stride_) {
        power_[0] = 1;
        for (int k = 1; k <= ring; ++k) power_[k] = power_[k - 1] * decay;
    }

    void pack(const T* flat) {
        for (std::int64_t o = 0; o < n_out_; ++o)
            for (std::int64_t i = 0; i < n_in_; ++i) W_[i * stride_ + o] = flat[o * n_in_ + i];
        __builtin_memcpy(b_.data(), flat + n_out_ * n_in_, n_out_ * sizeof(T));
    }

    // Ends the epoch: what is still pending is applied.
    void unpack(T* flat) {
        sweep(last_block_start(), visits_.n, visits_.n);
        for (std::int64_t o = 0; o < n_out_; ++o)
            for (std::int64_t i = 0; i < n_in_; ++i) flat[o * n_in_ + i] = W_[i * stride_ + o];
        __builtin_memcpy(flat + n_out_ * n_in_, b_.data(), n_out_ * sizeof(T));
    }

    void start() {
        if constexpr (Ahead) sweep(0, 0, 0);
    }

    // What arrives at the neurons for visit r.
    void receive(std::int64_t r, T* e) {
        const std::int64_t block = r - r % K;
        if constexpr (!Ahead)
            if (r == block) sweep(block - K, block, block);
        std::int64_t since = Ahead ? block - K : block;
        if (since < 0) since = 0;
        T overlap[ring];
        const T* x = visits_.x(r);
        for (std::int64_t i = since; i < r; ++i) overlap[i - since] = dot<V>(visits_.x(i), x, n_in_) * power_[r - 1 - i];
        const T* base = base_of(r);
        const T kept = power_[r - since];
        for (std::int64_t v = 0; v < stride_; v += lanes<V>) {
            V arriving = fma(load<V>(base + v), splat<V>(kept), load<V>(&b_[v]));
            for (std::int64_t i = since; i < r; ++i)
                arriving = fma(load<V>(g(i) + v), splat<V>(overlap[i - since]), arriving);
            store<V>(e + v, arriving);
        }
    }

    // To be called between receiving row r and learning from it.
    void prepare(std::int64_t r) {
        if constexpr (Ahead)
            if (r % K == 0) sweep(r - K, r, r + K);
    }

    // Where the local gradients of visit r go, times the learning rate.
    T* g(std::int64_t r) { return &g_[(r % ring) * stride_]; }

    void learn(std::int64_t r) {
        const T* own = g(r);
        for (std::int64_t v = 0; v < stride_; v += lanes<V>) store<V>(&b_[v], load<V>(&b_[v]) + load<V>(own + v));
    }

  private:
    T* base_of(std::int64_t r) { return &base_[(r % ring) * stride_]; }
    std::int64_t last_block_start() const { return visits_.n ? (visits_.n - 1) / K * K : 0; }

    // Adds the updates of visits [from, to) to the weights and takes their products with visits [next, next + K).
    void sweep(std::int64_t from, std::int64_t to, std::int64_t next) {
        const T *xs[K], *gs[K], *ahead[K];
        T* bases[K];
        T weight[K];
        const std::int64_t pending = from < 0 ? 0 : to - from;
        for (int k = 0; k < K; ++k) {
            xs[k] = k < pending ? visits_.x(from + k) : zeros_.data();
            gs[k] = k < pending ? g(from + k) : zeros_.data();
            weight[k] = k < pending ? power_[pending - 1 - k] : T(0);
            ahead[k] = next + k < visits_.n ? visits_.x(next + k) : zeros_.data();
            bases[k] = next + k < visits_.n ? base_of(next + k) : unused_.data();
        }
        if (decay_ == 1)
            columns<false, widest>(0, xs, gs, weight, 1, ahead, bases);
        else
            columns<true, widest>(0, xs, gs, weight, power_[pending], ahead, bases);
    }

    // As many vectors of neurons at once as the registers hold, for K rows of sums and K of gradients.
    static constexpr int widest = (vector_bytes == 64 ? 8 : 4) / K < 1 ? 1 : (vector_bytes == 64 ? 8 : 4) / K;

    template <bool Decay, int C>
    void columns(std::int64_t first, const T* const (&xs)[K], const T* const (&gs)[K], const T (&weight)[K],
                 T kept, const T* const (&ahead)[K], T* const (&bases)[K]) {
        for (; first + C * lanes<V> <= stride_; first += C * lanes<V>)
            column<Decay, C>(first, xs, gs, weight, kept, ahead, bases);
        if constexpr (C > 1) columns<Decay, C / 2>(first, xs, gs, weight, kept, ahead, bases);
    }

    template <bool Decay, int C>
    [[gnu::always_inline]] void column(std::int64_t first, const T* const (&xs)[K], const T* const (&gs)[K],
                                       const T (&weight)[K], T kept, const T* const (&ahead)[K],
                                       T* const (&bases)[K]) {
        constexpr int L = lanes<V>;
        V sums[K][C] = {}, gradients[K][C];
        const T *before[K], *after[K];  // local copies: stores of weights cannot change them
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) {
            before[k] = xs[k];
            after[k] = ahead[k];
#pragma GCC unroll 8
            for (int c = 0; c < C; ++c) {
                gradients[k][c] = load<V>(gs[k] + first + c * L);
                if constexpr (Decay) gradients[k][c] *= weight[k];
            }
        }
        T* row = W_.data() + first;
        const std::int64_t n = n_in_, stride = stride_;
        for (std::int64_t i = 0; i < n; ++i, row += stride) {
            V ago[K], coming[K];
#pragma GCC unroll 8
            for (int k = 0; k < K; ++k) {
                ago[k] = splat<V>(before[k][i]);
                coming[k] = splat<V>(after[k][i]);
            }
#pragma GCC unroll 8
            for (int c = 0; c < C; ++c) {
                V w = load<V>(row + c * L);
                if constexpr (Decay) w *= kept;
#pragma GCC unroll 8
                for (int k = 0; k + 1 < K; ++k) w = fma(ago[k], gradients[k][c], w);
                w = multiply_add_to_store(ago[K - 1], gradients[K - 1][c], w);
                store<V>(row + c * L, w);
#pragma GCC unroll 8
                for (int k = 0; k < K; ++k) sums[k][c] = fma(coming[k], w, sums[k][c]);
            }
        }
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k)
#pragma GCC unroll 8
            for (int c = 0; c < C; ++c) store<V>(bases[k] + first + c * L, sums[k][c]);
    }

    const Visits<T> visits_;
    const std::int64_t n_in_, n_out_, stride_;
    const T decay_;
    Buffer<T> W_, b_, g_, base_, zeros_, unused_;
    T power_[ring + 1];  // of the decay
};

}  // namespace deltarule::DELTARULE_ISA
