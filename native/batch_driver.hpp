// Batch calls over all rows: memory, packed weights, and rows in groups of blocks, which threads share.
// Borders of blocks and groups depend on the network and the number of rows alone, and groups are added in order:
// any number of threads gives the same bits.
#pragma once

#include <memory>
#include <new>
#include <vector>

#include "batch_table.hpp"
#include "threads.hpp"

namespace deltarule {

// Uninitialised numbers at the start of a cache line.
template <class T>
class Numbers {
  public:
    explicit Numbers(std::ptrdiff_t n = 0)
        : at_(static_cast<T*>(::operator new(std::size_t(n > 0 ? n : 1) * sizeof(T), std::align_val_t(64)))) {}
    T* data() { return at_.get(); }

  private:
    struct Free {
        void operator()(T* p) const { ::operator delete(p, std::align_val_t(64)); }
    };
    std::unique_ptr<T, Free> at_;
};

// A group has a total of its own. Clearing and adding one that the second-level cache does not hold costs as much as
// some 20 rows, so that groups are then larger and fewer.
inline constexpr std::int64_t most_groups = 64, most_large = 16, least_large = 2, rows_of_large = 512;
inline constexpr std::ptrdiff_t large_total = 1 << 14, largest_totals = 1 << 25;  // numbers: in one, in all together

inline std::int64_t groups_for(std::ptrdiff_t numbers, std::int64_t n) {
    if (numbers < large_total) return most_groups;
    const std::int64_t fit = std::clamp<std::int64_t>(largest_totals / numbers, least_large, most_large);
    return std::clamp<std::int64_t>(n / rows_of_large, 1, fit);
}

template <class T>
class BatchCall {
  public:
    // n_targets: columns of the targets, where they are not those of the network but of a layer that follows.
    BatchCall(const BatchTable<T>& table, const NetworkView& network, const T* w, BatchRows<T> rows, int n_targets = 0)
        : table_(table), layers_(std::size_t(network.depth)),
          plan_(table.plan(network, rows.n, layers_.data())), w_(w), rows_(rows),
          n_targets_(n_targets > 0 ? n_targets : plan_.layers[network.depth - 1].n_out) {}

    double value(int n_threads) {
        const Groups groups = cut(most_groups);
        const int threads = sensible_threads(n_threads, groups.count, operations(2));
        std::vector<double> parts(std::size_t(groups.count));
        T* const workspaces = begin(threads * plan_.n_workspace);
        share(groups.count, threads, [&](std::int64_t g, int thread) {
            T* workspace = workspaces + thread * plan_.n_workspace;
            parts[std::size_t(g)] = table_.value(plan_, weights_, part(groups, g), workspace);
        });
        return in_order(parts);
    }

    double value_grad(int n_threads, T* grad) {
        return reduce(n_threads, operations(6), plan_.n_workspace, plan_.n_weights, grad,
                      [&](BatchRows<T> rows, T* workspace, T* out) {
                          return table_.value_grad(plan_, weights_, rows, workspace, out);
                      });
    }

    double gauss_newton(int n_threads, T* grad, T* H) {
        const std::ptrdiff_t p = plan_.n_weights, n_sums = table_.gauss_newton_sums(plan_);
        Numbers<T> total(p + n_sums);
        const double loss = reduce(n_threads, operations(6) + 2.0 * double(n_sums) * double(rows_.n),
                                   table_.gauss_newton_workspace(plan_), p + n_sums, total.data(),
                                   [&](BatchRows<T> rows, T* workspace, T* out) {
                                       return table_.gauss_newton(plan_, weights_, rows, workspace, out, out + p);
                                   });
        std::copy_n(total.data(), p, grad);
        table_.spread(plan_, total.data() + p, H);
        return loss;
    }

    void gauss_newton_product(int n_threads, const T* v, T* out) {
        Numbers<T> packed(plan_.n_packed);
        table_.pack(plan_, v, packed.data());
        reduce(n_threads, operations(10), table_.product_workspace(plan_), plan_.n_weights, out,
               [&](BatchRows<T> rows, T* workspace, T* to) {
                   table_.product(plan_, weights_, {v, packed.data()}, rows, workspace, to);
                   return 0.0;
               });
    }

    void residuals(int n_threads, T* r, T* J) {
        const Groups groups = cut(most_groups);
        const std::ptrdiff_t size = table_.residuals_workspace(plan_);
        const double n_out = double(plan_.layers[plan_.network.depth - 1].n_out);
        const int threads = sensible_threads(n_threads, groups.count, operations(2 + 4 * n_out));
        T* const workspaces = begin(threads * size);
        share(groups.count, threads, [&](std::int64_t g, int thread) {
            const std::int64_t first = groups.start(g);
            table_.residuals(plan_, weights_, part(groups, g), workspaces + thread * size, rows_.n, r + first,
                             J + first * plan_.n_weights);
        });
    }

    // Writes what squared_derivatives.hpp says, `numbers` of them, for targets that are local gradients of the outputs.
    void squared_derivatives(int n_threads, std::ptrdiff_t numbers, T* out) {
        reduce(n_threads, operations(6), plan_.n_workspace, numbers, out,
               [&](BatchRows<T> rows, T* workspace, T* to) {
                   table_.squared_derivatives(plan_, weights_, rows, workspace, to);
                   return 0.0;
               });
    }

    // Writes [Y 1]' [Y 1 T], (with_bias, with_bias + n_targets), of the layer that follows.
    void last_layer_sums(int n_threads, T* kept, T* out) {
        const std::ptrdiff_t with_bias = plan_.layers[plan_.network.depth - 1].n_out + 1, p = with_bias + n_targets_;
        Numbers<T> sums(p * p);
        reduce(n_threads, operations(2) + double(p * p) * double(rows_.n), table_.last_layer_workspace(plan_, n_targets_),
               p * p, sums.data(), [&](BatchRows<T> rows, T* workspace, T* to) {
                   table_.last_layer_sums(plan_, weights_, rows, n_targets_, workspace, of_rows(kept, rows), to);
                   return 0.0;
               });
        for (std::ptrdiff_t i = 0; i < with_bias; ++i)
            for (std::ptrdiff_t j = 0; j < p; ++j)
                out[i * p + j] = sums.data()[i <= j ? i * p + j : j * p + i];
    }

    // Writes ([Y 1]' (T − [Y 1] B'))', (n_targets, with_bias), for B (n_targets, with_bias).
    void last_layer_left(int n_threads, const T* B, T* kept, T* out) {
        const std::ptrdiff_t with_bias = plan_.layers[plan_.network.depth - 1].n_out + 1;
        const double own = 4.0 * double(with_bias * n_targets_) * double(rows_.n);
        reduce(n_threads, kept ? own : own + operations(2), table_.last_layer_workspace(plan_, n_targets_),
               with_bias * n_targets_, out, [&](BatchRows<T> rows, T* workspace, T* to) {
                   table_.last_layer_left(plan_, weights_, rows, n_targets_, B, workspace, of_rows(kept, rows), to);
                   return 0.0;
               });
    }
    // Returns Σ s · loss at B and writes the gradient of the one layer before, from what `last_layer_sums` has kept.
    double last_layer_value_grad(int n_threads, const T* B, T* kept, T* grad) {
        return reduce(n_threads, operations(4), table_.last_layer_workspace(plan_, n_targets_), plan_.n_weights, grad,
                      [&](BatchRows<T> rows, T* workspace, T* to) {
                          return table_.last_layer_value_grad(plan_, weights_, rows, n_targets_, B, workspace,
                                                              of_rows(kept, rows), to);
                      });
    }
    std::ptrdiff_t last_layer_kept() const { return table_.last_layer_kept(plan_, n_targets_, rows_.n); }

    void predict(int n_threads, T* out) {
        const Groups groups = cut(most_groups);
        const int threads = sensible_threads(n_threads, groups.count, operations(2));
        const std::int64_t n_out = plan_.layers[plan_.network.depth - 1].n_out;
        T* const workspaces = begin(threads * plan_.n_workspace, table_.pack_to_predict);
        share(groups.count, threads, [&](std::int64_t g, int thread) {
            table_.predict(plan_, weights_, part(groups, g), workspaces + thread * plan_.n_workspace,
                           out + groups.start(g) * n_out);
        });
    }

  private:
    struct Groups {
        std::int64_t n, block, n_blocks, count;
        std::int64_t start(std::int64_t g) const { return std::min(n, n_blocks * g / count * block); }
    };

    Groups cut(std::int64_t most) const {
        const std::int64_t blocks = (rows_.n + plan_.block_rows - 1) / plan_.block_rows;
        return {rows_.n, plan_.block_rows, blocks, std::min(blocks, most)};
    }
    BatchRows<T> part(const Groups& groups, std::int64_t g) const {
        const std::int64_t first = groups.start(g), n = groups.start(g + 1) - first;
        return {rows_.X + first * plan_.layers[0].n_in, rows_.targets ? rows_.targets + first * n_targets_ : nullptr,
                rows_.s ? rows_.s + first : nullptr, n};
    }
    // Where the panels of some of the rows are kept.
    T* of_rows(T* kept, const BatchRows<T>& rows) const {
        const std::int64_t first = (rows.X - rows_.X) / plan_.layers[0].n_in;
        return kept ? kept + table_.last_layer_kept(plan_, n_targets_, first) : nullptr;
    }
    double operations(double per_weight) const {
        double neurons = 0;
        for (const BatchLayer& layer : layers_) neurons += layer.n_out;
        return (per_weight * double(plan_.n_weights) + operations_of_neuron * neurons) * double(rows_.n);
    }
    // Packs the weights and returns room for so many numbers. All memory of a call is one piece: several would make
    // the C library give it back to the system and fetch it again, page by page, every time.
    T* begin(std::ptrdiff_t numbers) { return begin(numbers, table_.pack); }
    T* begin(std::ptrdiff_t numbers, void (*pack)(const BatchPlan&, const T*, T*)) {
        memory_ = Numbers<T>(plan_.n_packed + numbers);
        pack(plan_, w_, memory_.data());
        weights_ = {w_, memory_.data()};
        return memory_.data() + plan_.n_packed;
    }
    static double in_order(const std::vector<double>& parts) {
        double total = 0;
        for (double each : parts) total += each;
        return total;
    }

    // total = Σ over groups of what `work` adds to zeros; one thread needs one further total, several one a group.
    template <class Work>
    double reduce(int n_threads, double operations, std::ptrdiff_t workspace, std::ptrdiff_t numbers, T* total,
                  const Work& work) {
        const Groups groups = cut(groups_for(numbers, rows_.n));
        const int threads = sensible_threads(n_threads, groups.count, operations);
        std::vector<double> losses(std::size_t(groups.count));
        const std::int64_t further = (threads == 1 ? std::min<std::int64_t>(2, groups.count) : groups.count) - 1;
        const std::ptrdiff_t spacing = (numbers + 15) / 16 * 16;
        T* const workspaces = begin(threads * workspace + std::max<std::int64_t>(further, 0) * spacing);
        T* const partial = workspaces + threads * workspace;
        std::fill_n(total, numbers, T(0));
        const auto add = [&](const T* from) {
            for (std::ptrdiff_t i = 0; i < numbers; ++i) total[i] += from[i];
        };
        share(groups.count, threads, [&](std::int64_t g, int thread) {
            T* out = g == 0 ? total : partial + (threads == 1 ? 0 : g - 1) * spacing;
            if (g > 0) std::fill_n(out, numbers, T(0));
            losses[std::size_t(g)] = work(part(groups, g), workspaces + thread * workspace, out);
            if (threads == 1 && g > 0) add(out);
        });
        if (threads > 1)
            for (std::int64_t i = 0; i < further; ++i) add(partial + i * spacing);
        return in_order(losses);
    }

    BatchTable<T> table_;
    std::vector<BatchLayer> layers_;
    BatchPlan plan_;
    const T* w_;
    Numbers<T> memory_;
    BatchRows<T> rows_;
    int n_targets_;
    BatchWeights<T> weights_{};
};

template <class T>
void predict_few(const BatchTable<T>& table, const NetworkView& network, const T* w, const T* X, std::int64_t n,
                 T* out) {
    const std::int64_t widest = *std::max_element(network.sizes + 1, network.sizes + network.depth + 1);
    Numbers<T> workspace(2 * (widest + few_extra));
    table.predict_few(network, w, X, n, workspace.data(), out);
}

}  // namespace deltarule
