// The batch kernels as functions of deltarule.engines._native.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "batch_driver.hpp"
#include "isa.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace deltarule {
namespace {

template <class T>
using Read = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T>
using Write = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Sizes = std::vector<std::int64_t>;
using Codes = std::vector<int>;

template <class T>
BatchTable<T> table(const std::string& isa) {
    const BatchTables both = choose(isa, baseline::batch_tables, avx2::batch_tables, avx512::batch_tables);
    if constexpr (sizeof(T) == 8)
        return both.of_double;
    else
        return both.of_float;
}

// What Python code could get wrong would be read or written beyond an array: refused here.
void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(std::string("_native: ") + what);
}

template <class A>
void require_shape(const A& a, std::initializer_list<std::int64_t> shape, const char* what) {
    bool fits = a.ndim() == shape.size();
    for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = std::int64_t(a.shape(i)) == shape.begin()[i];
    require(fits, what);
}

std::int64_t checked_weights(const Sizes& sizes, const Codes& activations) {
    require(sizes.size() >= 2 && activations.size() + 1 == sizes.size(), "sizes and activations do not fit");
    std::int64_t p = 0;
    for (std::size_t l = 0; l < activations.size(); ++l) {
        require(sizes[l] >= 1 && sizes[l + 1] >= 1 && sizes[l] < (1 << 30) && sizes[l + 1] < (1 << 30),
                "a size below 1 or too large");
        require(0 <= activations[l] && activations[l] < 17, "an unknown activation");
        p += (sizes[l] + 1) * sizes[l + 1];
    }
    return p;
}

// Arguments that every function has, checked.
template <class T>
struct Arguments {
    NetworkView network;
    BatchTable<T> table;
    const T* w;
    BatchRows<T> rows;

    Arguments(const Sizes& sizes, const Codes& activations, int loss, double parameter, bool fused, const Read<T>& w,
              const Read<T>& X, const Read<T>* targets, const std::optional<Read<T>>& s, const std::string& isa)
        : network{sizes.data(), activations.data(), int(activations.size()), loss, parameter, fused},
          table(deltarule::table<T>(isa)), w(w.data()),
          rows{X.data(), targets ? targets->data() : nullptr, s ? s->data() : nullptr,
               X.ndim() == 2 ? std::int64_t(X.shape(0)) : 0} {
        require_shape(w, {checked_weights(sizes, activations)}, "w has the wrong shape");
        require(0 <= loss && loss < 8, "an unknown loss");
        require_shape(X, {rows.n, sizes.front()}, "X has the wrong shape");
        if (targets) require_shape(*targets, {rows.n, sizes.back()}, "T has the wrong shape");
        if (s) require_shape(*s, {rows.n}, "s has the wrong shape");
    }
    BatchCall<T> call() const { return {table, network, w, rows}; }
};

template <class T>
double value(const Sizes& sizes, const Codes& activations, int loss, double parameter, bool fused, Read<T> w, Read<T> X,
             Read<T> targets, std::optional<Read<T>> s, int n_threads, const std::string& isa) {
    nb::gil_scoped_release release;
    return Arguments<T>(sizes, activations, loss, parameter, fused, w, X, &targets, s, isa).call().value(n_threads);
}

template <class T>
double value_grad(const Sizes& sizes, const Codes& activations, int loss, double parameter, bool fused, Read<T> w,
                  Read<T> X, Read<T> targets, std::optional<Read<T>> s, Write<T> grad, int n_threads,
                  const std::string& isa) {
    nb::gil_scoped_release release;
    const Arguments<T> given(sizes, activations, loss, parameter, fused, w, X, &targets, s, isa);
    require_shape(grad, {std::int64_t(w.shape(0))}, "grad has the wrong shape");
    return given.call().value_grad(n_threads, grad.data());
}

template <class T>
double gauss_newton(const Sizes& sizes, const Codes& activations, int loss, double parameter, bool fused, Read<T> w,
                    Read<T> X, Read<T> targets, std::optional<Read<T>> s, Write<T> grad, Write<T> H, int n_threads,
                    const std::string& isa) {
    nb::gil_scoped_release release;
    const Arguments<T> given(sizes, activations, loss, parameter, fused, w, X, &targets, s, isa);
    const auto p = std::int64_t(w.shape(0));
    require_shape(grad, {p}, "grad has the wrong shape");
    require_shape(H, {p, p}, "H has the wrong shape");
    return given.call().gauss_newton(n_threads, grad.data(), H.data());
}

template <class T>
void gauss_newton_product(const Sizes& sizes, const Codes& activations, int loss, double parameter, bool fused,
                          Read<T> w, Read<T> X, Read<T> targets, std::optional<Read<T>> s, Read<T> v, Write<T> out,
                          int n_threads, const std::string& isa) {
    nb::gil_scoped_release release;
    const Arguments<T> given(sizes, activations, loss, parameter, fused, w, X, &targets, s, isa);
    require_shape(v, {std::int64_t(w.shape(0))}, "v has the wrong shape");
    require_shape(out, {std::int64_t(w.shape(0))}, "out has the wrong shape");
    given.call().gauss_newton_product(n_threads, v.data(), out.data());
}

template <class T>
void predict(const Sizes& sizes, const Codes& activations, Read<T> w, Read<T> X, Write<T> out, int n_threads,
             const std::string& isa) {
    nb::gil_scoped_release release;
    const Arguments<T> given(sizes, activations, 0, 0.0, false, w, X, nullptr, std::nullopt, isa);
    require_shape(out, {std::int64_t(X.shape(0)), sizes.back()}, "out has the wrong shape");
    if (given.rows.n <= few_rows)
        return predict_few(given.table, given.network, given.w, given.rows.X, given.rows.n, out.data());
    given.call().predict(n_threads, out.data());
}

template <class T>
void bind_type(nb::module_& m) {
    m.def("value", value<T>, "sizes"_a, "activations"_a, "loss"_a, "parameter"_a, "fused"_a, "w"_a.noconvert(),
          "X"_a.noconvert(), "T"_a.noconvert(), "s"_a.noconvert().none(), "n_threads"_a = 1, "isa"_a = "",
          "Return the sum of s * loss.");
    m.def("value_grad", value_grad<T>, "sizes"_a, "activations"_a, "loss"_a, "parameter"_a, "fused"_a,
          "w"_a.noconvert(), "X"_a.noconvert(), "T"_a.noconvert(), "s"_a.noconvert().none(), "grad"_a.noconvert(),
          "n_threads"_a = 1, "isa"_a = "", "Return the sum of s * loss; write its gradient to grad.");
    m.def("gauss_newton", gauss_newton<T>, "sizes"_a, "activations"_a, "loss"_a, "parameter"_a, "fused"_a,
          "w"_a.noconvert(), "X"_a.noconvert(), "T"_a.noconvert(), "s"_a.noconvert().none(), "grad"_a.noconvert(),
          "H"_a.noconvert(), "n_threads"_a = 1, "isa"_a = "",
          "Return the sum of s * loss; write its gradient to grad and the sum of s * J' C J to H.");
    m.def("gauss_newton_product", gauss_newton_product<T>, "sizes"_a, "activations"_a, "loss"_a, "parameter"_a,
          "fused"_a, "w"_a.noconvert(), "X"_a.noconvert(), "T"_a.noconvert(), "s"_a.noconvert().none(),
          "v"_a.noconvert(), "out"_a.noconvert(), "n_threads"_a = 1, "isa"_a = "",
          "Write the sum of s * J' C J v to out.");
    m.def("predict", predict<T>, "sizes"_a, "activations"_a, "w"_a.noconvert(), "X"_a.noconvert(),
          "out"_a.noconvert(), "n_threads"_a = 1, "isa"_a = "", "Write the outputs to out.");
}

}  // namespace

void bind_batch(nb::module_& m) {
    bind_type<double>(m);
    bind_type<float>(m);
}

}  // namespace deltarule
