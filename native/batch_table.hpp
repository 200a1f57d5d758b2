// What the batch kernels offer, as plain data and function pointers: the door between the drivers, compiled
// once, and the kernels, compiled once for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels.hpp"

namespace deltarule {

// Where a layer's parts lie: in w, in the packed weights and in a thread's workspace (of one block of rows).
struct BatchLayer {
    int n_in, n_out, activation;
    std::ptrdiff_t w, b;               // in w
    std::ptrdiff_t forward, backward;  // in the packed weights
    std::ptrdiff_t y, slope, bias;     // in the workspace: outputs, slopes (later local gradients), sums of those
    std::ptrdiff_t panel;              // numbers from one panel of slopes to the next
    std::ptrdiff_t y_panel;            // the same of outputs; 0: there is one only
    std::ptrdiff_t strips;             // in the workspace: inputs for the gradient; below 0: it takes them in panels
};

struct BatchPlan {
    NetworkView network;
    BatchLayer* layers;
    int block_rows, held_rows;  // of a block; that the workspace has room for, less if there are few rows
    bool by_rows;       // the gradient of the first layer takes X as it is, row after row
    bool forward_rows;  // the way forward through it, too
    std::ptrdiff_t predict_row;  // predictions: the longest row of a layer's outputs; 0: they go in panels
    std::ptrdiff_t x, columns, scratch;  // in the workspace
    std::ptrdiff_t x_panel;              // numbers from one panel of inputs to the next
    // numbers; the workspace begins with what each thread has of its own where several share the rest
    std::ptrdiff_t n_weights, n_packed, n_own, n_workspace;
};

template <class T>
struct BatchRows {
    const T *X, *targets, *s;  // s may be null: all 1
    std::int64_t n;
};

template <class T>
struct BatchWeights {
    const T *w, *packed;
};

inline constexpr std::int64_t few_rows = 8;
inline constexpr std::ptrdiff_t few_extra = 64;  // numbers: the widest panel, less than two lines more than a row

// Every sum is over the rows given, which the driver cuts at the borders of blocks.
template <class T>
struct BatchTable {
    BatchPlan (*plan)(const NetworkView&, std::int64_t n, BatchLayer* layers);
    void (*pack)(const BatchPlan&, const T* w, T* packed);
    double (*value)(const BatchPlan&, BatchWeights<T>, BatchRows<T>, T* workspace);
    double (*value_grad)(const BatchPlan&, BatchWeights<T>, BatchRows<T>, T* workspace, T* grad);  // adds to grad
    // adds to grad and to sums, which `spread` writes into H (p, p)
    double (*gauss_newton)(const BatchPlan&, BatchWeights<T>, BatchRows<T>, T* workspace, T* grad, T* sums);
    std::ptrdiff_t (*gauss_newton_workspace)(const BatchPlan&);
    std::ptrdiff_t (*gauss_newton_sums)(const BatchPlan&);
    void (*spread)(const BatchPlan&, const T* sums, T* H);
    // adds to out; `along` is v, packed as the weights are
    void (*product)(const BatchPlan&, BatchWeights<T>, BatchWeights<T> along, BatchRows<T>, T* workspace, T* out);
    std::ptrdiff_t (*product_workspace)(const BatchPlan&);
    // writes r and the derivatives of squared error; from one output to the next are `stride` rows
    void (*residuals)(const BatchPlan&, BatchWeights<T>, BatchRows<T>, T* workspace, std::int64_t stride, T* r, T* J);
    std::ptrdiff_t (*residuals_workspace)(const BatchPlan&);
    // adds to out what squared_derivatives.hpp says, n_in + 1 numbers for each layer
    void (*squared_derivatives)(const BatchPlan&, BatchWeights<T>, BatchRows<T>, T* workspace, T* out);
    // of the linear layer that follows this network: see last_layer.hpp; `kept` holds the rows, or is null
    void (*last_layer_sums)(const BatchPlan&, BatchWeights<T>, BatchRows<T>, int n_targets, T* workspace, T* kept,
                            T* sums);
    void (*last_layer_left)(const BatchPlan&, BatchWeights<T>, BatchRows<T>, int n_targets, const T* B, T* workspace,
                            T* kept, T* left);
    // for a network of one layer, and where rows are kept
    double (*last_layer_value_grad)(const BatchPlan&, BatchWeights<T>, BatchRows<T>, int n_targets, const T* B,
                                    T* workspace, T* kept, T* grad);
    std::ptrdiff_t (*last_layer_workspace)(const BatchPlan&, int n_targets);
    std::ptrdiff_t (*last_layer_kept)(const BatchPlan&, int n_targets, std::int64_t n);
    void (*pack_to_predict)(const BatchPlan&, const T* w, T* packed);
    void (*predict)(const BatchPlan&, BatchWeights<T>, BatchRows<T>, T* workspace, T* out);
    // for so few rows that packing the weights would cost more; the workspace holds 2 (widest layer + few_extra)
    void (*predict_few)(const NetworkView&, const T* w, const T* X, std::int64_t n, T* workspace, T* out);
};

struct BatchTables {
    BatchTable<double> of_double;
    BatchTable<float> of_float;
};

namespace baseline {
BatchTables batch_tables();
}
#if defined(DELTARULE_X86)
namespace avx2 {
BatchTables batch_tables();
}
namespace avx512 {
BatchTables batch_tables();
}
#else  // never chosen: see isa.hpp
namespace avx2 {
using baseline::batch_tables;
}
namespace avx512 {
using baseline::batch_tables;
}
#endif

}  // namespace deltarule
