// The kernels of mini-batches of one instruction set: compiled once for each.
#include "mini_batch.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
static MiniBatchTable<T> mini_batch_table() {
    return {
        .plan = plan_mini_batch<T>,
        .pack = pack_weights<T>,
        .pass = pass_chunk<T>,
        .update = update_part<T>,
        .pace = pace,
    };
}

MiniBatchTables mini_batch_tables() {
    return {mini_batch_table<double>(), mini_batch_table<float>()};
}

}  // namespace deltarule::DELTARULE_ISA
