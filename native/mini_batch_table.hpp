// What the kernels of mini-batches offer to their driver, as batch_table.hpp does.
//
// A mini-batch is some blocks of rows. Each is cut twice: into chunks of rows, which go forward and back, and, when all
// of them have, into some neurons each, whose gradient is summed over all rows of the block; after the last block these
// neurons' weights are moved and packed. Every sum has one order, whoever takes which piece.
#pragma once

#include "batch_table.hpp"

namespace deltarule {

struct MiniBatchPlan {
    BatchPlan batch;  // of one block
    int chunk_rows;
    int n_parts;                              // of the neurons
    std::ptrdiff_t n_totals;                  // numbers of the sums of local gradients of a chunk
    std::ptrdiff_t rows, targets, s;          // in a thread's own memory: a chunk's rows, brought together
    std::ptrdiff_t n_own;                     // numbers of it
};

// A block of a mini-batch, and the memory of an epoch.
template <class T>
struct MiniBatch {
    const MiniBatchPlan& plan;
    const EpochArguments<T>& a;
    T *packed, *workspace, *totals, *gradient;
    std::int64_t first;  // visit
    int rows;
    std::int64_t size;  // rows of the whole mini-batch if this is its last block, else 0
    double pace;        // see rules.hpp

    int chunks() const { return (rows + plan.chunk_rows - 1) / plan.chunk_rows; }
};

template <class T>
struct MiniBatchTable {
    MiniBatchPlan (*plan)(const NetworkView&, std::int64_t rows, BatchLayer* layers);
    void (*pack)(const BatchPlan&, const T* w, T* packed);
    double (*pass)(const MiniBatch<T>&, int chunk, T* own);
    void (*update)(const MiniBatch<T>&, int part);
    double (*pace)(RuleCode, const double* hyper, double rate, std::int64_t count);
};

struct MiniBatchTables {
    MiniBatchTable<double> of_double;
    MiniBatchTable<float> of_float;
};

namespace baseline {
MiniBatchTables mini_batch_tables();
}
#if defined(DELTARULE_X86)
namespace avx2 {
MiniBatchTables mini_batch_tables();
}
namespace avx512 {
MiniBatchTables mini_batch_tables();
}
#else  // never chosen: see isa.hpp
namespace avx2 {
using baseline::mini_batch_tables;
}
namespace avx512 {
using baseline::mini_batch_tables;
}
#endif

}  // namespace deltarule
