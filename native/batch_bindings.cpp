// The batch kernels as functions of deltarule.engines._native.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "batch_driver.hpp"
#include "binding.hpp"
#include "isa.hpp"

namespace deltarule {
namespace {

using Sizes = std::vector<std::int64_t>;
using Codes = std::vector<int>;

template <class T>
BatchTable<T> table(const std::string& isa) {
    return of_type<T>(choose(isa, baseline::batch_tables, avx2::batch_tables, avx512::batch_tables));
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

// A network and rows, checked once: what a run evaluates again and again, at one vector of weights after another.
template <class T>
class Bound {
  public:
    Bound(const Bound&) = delete;  // the views point into it
    Bound& operator=(const Bound&) = delete;

  protected:
    // of_outputs: the targets are those of the network's outputs, and not of a layer that follows.
    Bound(Sizes sizes, Codes activations, int loss, double parameter, bool fused, Read<T> X, Read<T> targets,
          std::optional<Read<T>> s, const std::string& isa, bool of_outputs)
        : sizes_(std::move(sizes)), activations_(std::move(activations)), X_(std::move(X)),
          targets_(std::move(targets)), s_(std::move(s)), table_(deltarule::table<T>(isa)),
          p_(checked_weights(sizes_, activations_)),
          n_targets_(of_outputs ? sizes_.back() : targets_.ndim() == 2 ? std::int64_t(targets_.shape(1)) : 0) {
        const std::int64_t n = X_.ndim() == 2 ? std::int64_t(X_.shape(0)) : 0;
        require(0 <= loss && loss < 8, "an unknown loss");
        require_shape(X_, {n, sizes_.front()}, "X has the wrong shape");
        require_shape(targets_, {n, n_targets_}, "T has the wrong shape");
        require(n_targets_ > 0, "T has no columns");
        if (s_) require_shape(*s_, {n}, "s has the wrong shape");
        network_ = {sizes_.data(), activations_.data(), int(activations_.size()), loss, parameter, fused};
        rows_ = {X_.data(), targets_.data(), s_ ? s_->data() : nullptr, n};
    }

    BatchCall<T> at(const Read<T>& w) const {
        require_shape(w, {p_}, "w has the wrong shape");
        return {table_, network_, w.data(), rows_, int(n_targets_)};
    }

    const Sizes sizes_;
    const Codes activations_;
    const Read<T> X_, targets_;
    const std::optional<Read<T>> s_;
    const BatchTable<T> table_;
    const std::int64_t p_, n_targets_;
    NetworkView network_;
    BatchRows<T> rows_;
};

template <class T>
class BoundRows : private Bound<T> {
    using Bound<T>::sizes_, Bound<T>::network_, Bound<T>::rows_, Bound<T>::p_, Bound<T>::at;

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
};

// The least-squares problem of a linear last layer; the network is what comes before that layer.
template <class T>
class BoundLastLayer : private Bound<T> {
    using Bound<T>::sizes_, Bound<T>::table_, Bound<T>::network_, Bound<T>::rows_, Bound<T>::p_, Bound<T>::n_targets_,
        Bound<T>::at;

  public:
    BoundLastLayer(Sizes sizes, Codes activations, Read<T> X, Read<T> targets, std::optional<Read<T>> s,
                   const std::string& isa)
        : Bound<T>(std::move(sizes), std::move(activations), 0, 0.0, false, std::move(X), std::move(targets),
                   std::move(s), isa, false) {
        const BatchCall<T> call(table_, network_, nullptr, rows_, int(n_targets_));
        if (call.last_layer_kept() <= most_kept) kept_.emplace(call.last_layer_kept());
    }

    void sums(Read<T> w, Write<T> out, int n_threads) {
        nb::gil_scoped_release release;
        const std::int64_t with_bias = sizes_.back() + 1;
        require_shape(out, {with_bias, with_bias + n_targets_}, "out has the wrong shape");
        at(w).last_layer_sums(n_threads, kept(), out.data());
        summed_ = true;
    }
    void left(Read<T> w, Read<T> B, Write<T> out, int n_threads) {
        nb::gil_scoped_release release;
        const std::int64_t with_bias = sizes_.back() + 1;
        require(summed_, "left comes after sums, at the same w");
        require_shape(B, {n_targets_, with_bias}, "B has the wrong shape");
        require_shape(out, {n_targets_, with_bias}, "out has the wrong shape");
        at(w).last_layer_left(n_threads, B.data(), kept(), out.data());
    }

    bool gives_gradients() const { return kept_ && sizes_.size() == 2; }
    double value_grad(Read<T> w, Read<T> B, Write<T> grad, int n_threads) {
        nb::gil_scoped_release release;
        require(summed_ && gives_gradients(), "value_grad comes after sums, with one layer before and its rows kept");
        require_shape(B, {n_targets_, sizes_.back() + 1}, "B has the wrong shape");
        require_shape(grad, {p_}, "grad has the wrong shape");
        return at(w).last_layer_value_grad(n_threads, B.data(), kept(), grad.data());
    }

  private:
    static constexpr std::ptrdiff_t most_kept = 1 << 22;  // numbers
    T* kept() { return kept_ ? kept_->data() : nullptr; }

    std::optional<Numbers<T>> kept_;
    bool summed_ = false;
};

template <class T>
void predict(const Sizes& sizes, const Codes& activations, Read<T> w, Read<T> X, Write<T> out, int n_threads,
             const std::string& isa) {
    nb::gil_scoped_release release;
    const NetworkView network{sizes.data(), activations.data(), int(activations.size()), 0, 0.0, false};
    const BatchTable<T> table = deltarule::table<T>(isa);
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
             "n_threads"_a = 1, "Write sqrt(s) * (y - T), output by output, to r and its derivatives to J.");
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
    nb::class_<BoundLastLayer<T>>(m, (std::string("LastLayerOf") + type).c_str(),
                                  "The least-squares problem of a linear last layer, at the weights before it.")
        .def("sums", &BoundLastLayer<T>::sums, "w"_a.noconvert(), "out"_a.noconvert(), "n_threads"_a = 1,
             "Write [Y 1]' S [Y 1 T] to out.")
        .def("left", &BoundLastLayer<T>::left, "w"_a.noconvert(), "B"_a.noconvert(), "out"_a.noconvert(),
             "n_threads"_a = 1, "Write (T - [Y 1] B')' S [Y 1] to out, after sums at the same w.")
        .def_prop_ro("gives_gradients", &BoundLastLayer<T>::gives_gradients, "Whether value_grad can be called.")
        .def("value_grad", &BoundLastLayer<T>::value_grad, "w"_a.noconvert(), "B"_a.noconvert(), "grad"_a.noconvert(),
             "n_threads"_a = 1, "Return the sum of s * loss at B; write the gradient of w, after sums at the same w.");
    m.def(
        "last_layer",
        [](Sizes sizes, Codes activations, Read<T> X, Read<T> targets, std::optional<Read<T>> s,
           const std::string& isa) {
            return new BoundLastLayer<T>(std::move(sizes), std::move(activations), std::move(X), std::move(targets),
                                         std::move(s), isa);
        },
        nb::rv_policy::take_ownership, "sizes"_a, "activations"_a, "X"_a.noconvert(), "T"_a.noconvert(),
        "s"_a.noconvert().none(), "isa"_a = "", "Return the last layer's problem of rows of one number type.");
    m.def("predict", predict<T>, "sizes"_a, "activations"_a, "w"_a.noconvert(), "X"_a.noconvert(),
          "out"_a.noconvert(), "n_threads"_a = 1, "isa"_a = "", "Write the outputs to out.");
}

}  // namespace

void bind_batch(nb::module_& m) {
    bind_type<double>(m, "Double");
    bind_type<float>(m, "Float");
}

}  // namespace deltarule
