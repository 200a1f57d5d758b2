// The batch kernels as functions of deltarule.engines._native.
#include "bound.hpp"

namespace deltarule {
namespace {

template <class T>
class BoundRows : private Bound<T> {
    using Bound<T>::sizes_, Bound<T>::activations_, Bound<T>::network_, Bound<T>::rows_, Bound<T>::p_, Bound<T>::at;

  public:
    BoundRows(Sizes sizes, Codes activations, int loss, double parameter, bool fused, Read<T> X, Read<T> targets,
              std::optional<Read<T>> s, const std::string& isa)
        : Bound<T>(std::move(sizes), std::move(activations), loss, parameter, fused, std::move(X), std::move(targets),
                   std::move(s), isa, true) {}

    double value(Read<T> w, int n_threads) const {
        nb::gil_scoped_release release;
        return at(w).value(n_threads);
    }
    double value_grad(Read<T> w, Write<T> grad, int n_threads) const {
        nb::gil_scoped_release release;
        require_shape(grad, {p_}, "grad has the wrong shape");
        return at(w).value_grad(n_threads, grad.data());
    }
    double gauss_newton(Read<T> w, Write<T> grad, Write<T> H, int n_threads) const {
        nb::gil_scoped_release release;
        require_shape(grad, {p_}, "grad has the wrong shape");
        require_shape(H, {p_, p_}, "H has the wrong shape");
        return at(w).gauss_newton(n_threads, grad.data(), H.data());
    }
    void gauss_newton_product(Read<T> w, Read<T> v, Write<T> out, int n_threads) const {
        nb::gil_scoped_release release;
        require_shape(v, {p_}, "v has the wrong shape");
        require_shape(out, {p_}, "out has the wrong shape");
        at(w).gauss_newton_product(n_threads, v.data(), out.data());
    }

    void residuals(Read<T> w, Write<T> r, Write<T> J, int n_threads) const {
        nb::gil_scoped_release release;
        const std::int64_t m = rows_.n * sizes_.back();
        require(network_.loss == 0, "residuals are those of squared error");
        require_shape(r, {m}, "r has the wrong shape");
        require_shape(J, {m, p_}, "J has the wrong shape");
        at(w).residuals(n_threads, r.data(), J.data());
    }

    void squared_derivatives(Read<T> w, Write<T> out, int n_threads) const {
        nb::gil_scoped_release release;
        std::int64_t numbers = 0;
        for (std::size_t l = 0; l < activations_.size(); ++l) numbers += sizes_[l] + 1;
        require_shape(out, {numbers}, "out has the wrong shape");
        at(w).squared_derivatives(n_threads, numbers, out.data());
    }
};

template <class T>
void predict(const Sizes& sizes, const Codes& activations, Read<T> w, Read<T> X, Write<T> out, int n_threads,
             const std::string& isa) {
    nb::gil_scoped_release release;
    const NetworkView network{sizes.data(), activations.data(), int(activations.size()), 0, 0.0, false};
    const BatchTable<T> table = batch_table<T>(isa);
    const std::int64_t n = X.ndim() == 2 ? std::int64_t(X.shape(0)) : 0;
    require_shape(w, {checked_weights(sizes, activations)}, "w has the wrong shape");
    require_shape(X, {n, sizes.front()}, "X has the wrong shape");
    require_shape(out, {n, sizes.back()}, "out has the wrong shape");
    if (n <= few_rows) return predict_few(table, network, w.data(), X.data(), n, out.data());
    BatchCall<T>(table, network, w.data(), {X.data(), nullptr, nullptr, n}).predict(n_threads, out.data());
}

template <class T>
void bind_type(nb::module_& m, const char* type) {
    nb::class_<BoundRows<T>>(m, (std::string("BoundRowsOf") + type).c_str(), "A network, a loss and rows, evaluated at weights.")
        .def("value", &BoundRows<T>::value, "w"_a.noconvert(), "n_threads"_a = 1, "Return the sum of s * loss.")
        .def("value_grad", &BoundRows<T>::value_grad, "w"_a.noconvert(), "grad"_a.noconvert(), "n_threads"_a = 1,
             "Return the sum of s * loss; write its gradient to grad.")
        .def("gauss_newton", &BoundRows<T>::gauss_newton, "w"_a.noconvert(), "grad"_a.noconvert(), "H"_a.noconvert(),
             "n_threads"_a = 1,
             "Return the sum of s * loss; write its gradient to grad and the sum of s * J' C J to H.")
        .def("gauss_newton_product", &BoundRows<T>::gauss_newton_product, "w"_a.noconvert(), "v"_a.noconvert(),
             "out"_a.noconvert(), "n_threads"_a = 1, "Write the sum of s * J' C J v to out.")
        .def("residuals", &BoundRows<T>::residuals, "w"_a.noconvert(), "r"_a.noconvert(), "J"_a.noconvert(),
             "n_threads"_a = 1, "Write sqrt(s) * (y - T), output by output, to r and its derivatives to J.")
        .def("squared_derivatives", &BoundRows<T>::squared_derivatives, "w"_a.noconvert(), "out"_a.noconvert(),
             "n_threads"_a = 1,
             "Write the sum of the squared derivatives by each input's weights, and of the biases, layer by layer; T "
             "holds local gradients of the outputs.");
    m.def(
        "bind",
        [](Sizes sizes, Codes activations, int loss, double parameter, bool fused, Read<T> X, Read<T> targets,
           std::optional<Read<T>> s, const std::string& isa) {
            return new BoundRows<T>(std::move(sizes), std::move(activations), loss, parameter, fused, std::move(X),
                                std::move(targets), std::move(s), isa);
        },
        nb::rv_policy::take_ownership, "sizes"_a, "activations"_a, "loss"_a, "parameter"_a, "fused"_a,
        "X"_a.noconvert(), "T"_a.noconvert(), "s"_a.noconvert().none(), "isa"_a = "",
        "Return a network and a loss bound to rows of one number type.");
    m.def("predict", predict<T>, "sizes"_a, "activations"_a, "w"_a.noconvert(), "X"_a.noconvert(),
          "out"_a.noconvert(), "n_threads"_a = 1, "isa"_a = "", "Write the outputs to out.");
}

}  // namespace

void bind_batch(nb::module_& m) {
    bind_type<double>(m, "Double");
    bind_type<float>(m, "Float");
}

}  // namespace deltarule
