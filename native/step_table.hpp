// What the kernels of steps offer to their bindings: what methods compute between two passes over the rows.
#pragma once

#include <array>
#include <cstdint>

namespace deltarule {

struct RpropSettings {
    double increase, decrease, smallest, largest;
    bool forgets;  // a slope that has turned counts for nothing in the next step
    bool returns;  // where it has turned, the weight goes back to where it was
};

// Where the weights are, and what Rprop knows of each: p numbers each.
template <class T>
struct RpropPlace {
    T *w, *sizes, *signs, *move;
};

// The pairs of L-BFGS: the rows [first, memory) of two matrices (memory, p), the rows before them 0.
template <class T>
struct Pairs {
    T *A, *Y;
    std::int64_t memory, p, first;
};

// A step along a direction and the gradients at its ends, from which a pair is made.
template <class T>
struct Stride {
    const T *direction, *grad, *new_grad, *preconditioner;
    double step, scale;
};

template <class T>
struct StepTable {
    void (*rprop)(const RpropSettings&, std::int64_t p, const T* grad, const RpropPlace<const T>& from,
                  const RpropPlace<T>& to);
    void (*direction)(const Pairs<const T>&, const T* grad, const T* preconditioner, double gamma, T* scratch, T* out);
    // s · s and y · y of the new pair, in the variables w / √P
    std::array<double, 2> (*add_pair)(const Pairs<const T>& from, const Stride<T>& by, const Pairs<T>& to);
};

struct StepTables {
    StepTable<double> of_double;
    StepTable<float> of_float;
};

namespace baseline {
StepTables step_tables();
}
#if defined(DELTARULE_X86)
namespace avx2 {
StepTables step_tables();
}
namespace avx512 {
StepTables step_tables();
}
#else  // never chosen: see isa.hpp
namespace avx2 {
using baseline::step_tables;
}
namespace avx512 {
using baseline::step_tables;
}
#endif

}  // namespace deltarule
