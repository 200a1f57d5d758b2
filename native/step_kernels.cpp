// The kernels of steps of one instruction set: compiled once for each.
#include "quasi_newton.hpp"
#include "rprop.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
static StepTable<T> step_table() {
    return {.rprop = rprop_step<T>, .direction = direction<T>, .add_pair = add_pair<T>};
}

StepTables step_tables() { return {step_table<double>(), step_table<float>()}; }

}  // namespace deltarule::DELTARULE_ISA
