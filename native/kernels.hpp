// What the bindings see of the kernels: plain arguments, and a table of functions per instruction set.
#pragma once

#include <cstdint>

namespace deltarule {

// Sizes from inputs to outputs (depth + 1 of them), an activation per layer after the inputs, the loss:
// codes in the order of ACTIVATIONS and LOSSES in Python.
struct NetworkView {
    const std::int64_t* sizes;
    const int* activations;
    int depth;
    int loss;
    double parameter;  // of the loss
    bool fused;        // the loss's signal is the local gradient itself
};

enum class RuleCode : int { plain, momentum, nesterov, rmsprop, adam };
inline constexpr int n_memory[] = {0, 1, 1, 1, 2};  // vectors like w that each remembers

template <class T>
struct EpochArguments {
    NetworkView network;
    T* w;       // (p,), moved in place
    T* memory;  // (n_memory, p), moved in place
    std::int64_t count;  // updates so far
    const T* X;          // (n, n_in)
    const T* targets;    // (n, n_out)
    const T* s;          // (n,) or null: all 1
    const std::int64_t* order;  // (n_visits,) or null: the rows as they come
    std::int64_t n_visits;
    std::int64_t batch_size;
    RuleCode rule;
    double hyper[3];
    double rate;
    double l2;
};

struct EpochResult {
    std::int64_t count;
    double loss_sum;
};

struct OnlineTable {
    EpochResult (*epoch64)(const EpochArguments<double>&);
    EpochResult (*epoch32)(const EpochArguments<float>&);
    // y = function(x) for the functions of math.hpp and the activations, for tests; false if there is none
    bool (*evaluate64)(const char* name, const double* x, double* y, std::int64_t n);
    bool (*evaluate32)(const char* name, const float* x, float* y, std::int64_t n);
};

namespace baseline {
OnlineTable online_table();
}
#if defined(DELTARULE_X86)
namespace avx2 {
OnlineTable online_table();
}
namespace avx512 {
OnlineTable online_table();
}
#else  // never chosen: see isa.hpp
namespace avx2 {
using baseline::online_table;
}
namespace avx512 {
using baseline::online_table;
}
#endif

}  // namespace deltarule
