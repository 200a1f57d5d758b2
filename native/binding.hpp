// What all bindings share: arrays as they come from Python, and checks of them.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string>

namespace deltarule {

namespace nb = nanobind;
using namespace nb::literals;

template <class T>
using Read = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T>
using Write = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// What Python code could get wrong would be read or written beyond an array: refused here.
inline void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(std::string("_native: ") + what);
}

// The half of a pair of tables that is for numbers of type T.
template <class T, class Tables>
auto of_type(const Tables& both) {
    if constexpr (sizeof(T) == 8)
        return both.of_double;
    else
        return both.of_float;
}

}  // namespace deltarule
