// The online kernels of one instruction set.
#include "kernels.hpp"

#include "evaluate.hpp"
#include "online.hpp"

namespace deltarule::DELTARULE_ISA {

OnlineTable online_table() { return {epoch<double>, epoch<float>, evaluate<double>, evaluate<float>}; }

}  // namespace deltarule::DELTARULE_ISA
