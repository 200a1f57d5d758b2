// An epoch of mini-batches: memory, and rows and neurons shared among threads that live as long as the epoch.
#pragma once

#include "batch_driver.hpp"
#include "mini_batch_table.hpp"
#include "team.hpp"

namespace deltarule {

// From here on a mini-batch is worth the batch kernels' packing of the weights.
inline constexpr std::int64_t rows_for_mini_batches = 12;
inline constexpr double least_shared_seconds = 15e-6;  // of a mini-batch for each thread: it is shared out twice

template <class T>
EpochResult epoch_of_mini_batches(const MiniBatchTable<T>& table, const EpochArguments<T>& a, int n_threads) {
    EpochResult result{a.count, 0};
    const std::int64_t most = std::min(a.batch_size, a.n_visits);
    if (most == 0) return result;
    std::vector<BatchLayer> layers(std::size_t(a.network.depth));
    const MiniBatchPlan plan = table.plan(a.network, most, layers.data());
    const std::int64_t block = plan.batch.block_rows, chunks = (block + plan.chunk_rows - 1) / plan.chunk_rows;

    double neurons = 0;
    for (const BatchLayer& layer : layers) neurons += layer.n_out;
    const double of_row = 6.0 * double(plan.batch.n_weights) + operations_of_neuron * neurons;
    const int shared = sensible_threads(n_threads, chunks, of_row * double(most), least_shared_seconds);
    const int threads = sensible_threads(shared, chunks, of_row * double(a.n_visits));

    std::ptrdiff_t total = 0;
    const auto take = [&](std::ptrdiff_t n) {
        const std::ptrdiff_t at = total;
        total += (n + 15) / 16 * 16;
        return at;
    };
    const std::ptrdiff_t packed = take(plan.batch.n_packed), workspace = take(plan.batch.n_workspace);
    const std::ptrdiff_t totals = take(chunks * plan.n_totals), gradient = take(plan.batch.n_weights);
    const std::ptrdiff_t spacing = (plan.n_own + 15) / 16 * 16, own = take(threads * spacing);
    Numbers<T> memory(total);
    T* const at = memory.data();
    std::fill_n(at + gradient, plan.batch.n_weights, T(0));
    table.pack(plan.batch, a.w, at + packed);

    std::vector<double> losses(std::size_t(chunks), 0.0);
    std::vector<Nanoseconds> of_chunk(std::size_t(chunks), 0), of_part(std::size_t(plan.n_parts), 0);
    Team team(threads);
    for (std::int64_t start = 0; start < a.n_visits; start += a.batch_size) {
        const std::int64_t size = std::min(a.batch_size, a.n_visits - start);
        for (std::int64_t done = 0; done < size; done += block) {
            const std::int64_t rows = std::min(block, size - done);
            const bool last = done + rows == size;
            const MiniBatch<T> m{plan, a, at + packed, at + workspace, at + totals, at + gradient, start + done, int(rows),
                                 last ? size : 0,
                                 last ? table.pace(a.rule, a.hyper, a.rate, ++result.count) : 0};
            team.share(m.chunks(), of_chunk.data(), [&](int chunk, int thread) {
                losses[std::size_t(chunk)] = table.pass(m, chunk, at + own + thread * spacing);
            });
            for (int chunk = 0; chunk < m.chunks(); ++chunk) result.loss_sum += losses[std::size_t(chunk)];
            team.share(plan.n_parts, of_part.data(), [&](int part, int) { table.update(m, part); });
        }
    }
    return result;
}

}  // namespace deltarule
