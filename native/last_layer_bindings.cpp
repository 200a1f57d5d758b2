// The kernels of a linear last layer as functions of deltarule.engines._native.
#include "beginning.hpp"
#include "bound.hpp"

namespace deltarule {
namespace {

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

    // Writes all weights w, those of the last layer the best to begin with; whether they are lower than the ones given.
    bool begun(Read<T> w, double l2, double n_rows, double cost, std::vector<double> shares, Write<T> out,
               int n_threads) {
        nb::gil_scoped_release release;
        const std::int64_t numbers = (sizes_.back() + 1) * n_targets_;
        require_shape(w, {p_ + numbers}, "w has the wrong shape");
        require_shape(out, {p_ + numbers}, "out has the wrong shape");
        require(!shares.empty() && rows_.n > 0, "there is nothing to choose from");
        BatchCall<T> call(table_, network_, w.data(), rows_, int(n_targets_));
        return deltarule::begun(call, rows_, p_, sizes_.back(), n_targets_, {l2, n_rows, cost, std::move(shares)},
                                n_threads, w.data(), kept(), out.data());
    }

  private:
    static constexpr std::ptrdiff_t most_kept = 1 << 22;  // numbers
    T* kept() { return kept_ ? kept_->data() : nullptr; }

    std::optional<Numbers<T>> kept_;
    bool summed_ = false;
};

template <class T>
void bind_type(nb::module_& m, const char* type) {
    nb::class_<BoundLastLayer<T>>(m, (std::string("LastLayerOf") + type).c_str(),
                                  "The least-squares problem of a linear last layer, at the weights before it.")
        .def("sums", &BoundLastLayer<T>::sums, "w"_a.noconvert(), "out"_a.noconvert(), "n_threads"_a = 1,
             "Write [Y 1]' S [Y 1 T] to out.")
        .def("left", &BoundLastLayer<T>::left, "w"_a.noconvert(), "B"_a.noconvert(), "out"_a.noconvert(),
             "n_threads"_a = 1, "Write (T - [Y 1] B')' S [Y 1] to out, after sums at the same w.")
        .def_prop_ro("gives_gradients", &BoundLastLayer<T>::gives_gradients, "Whether value_grad can be called.")
        .def("value_grad", &BoundLastLayer<T>::value_grad, "w"_a.noconvert(), "B"_a.noconvert(), "grad"_a.noconvert(),
             "n_threads"_a = 1, "Return the sum of s * loss at B; write the gradient of w, after sums at the same w.")
        .def("begun", &BoundLastLayer<T>::begun, "w"_a.noconvert(), "l2"_a, "n_rows"_a, "cost"_a, "shares"_a,
             "out"_a.noconvert(), "n_threads"_a = 1,
             "Write w, last layer and all, with the ridge regression around it that cross-validates best; return "
             "whether that lowers the objective.");
    m.def(
        "last_layer",
        [](Sizes sizes, Codes activations, Read<T> X, Read<T> targets, std::optional<Read<T>> s,
           const std::string& isa) {
            return new BoundLastLayer<T>(std::move(sizes), std::move(activations), std::move(X), std::move(targets),
                                         std::move(s), isa);
        },
        nb::rv_policy::take_ownership, "sizes"_a, "activations"_a, "X"_a.noconvert(), "T"_a.noconvert(),
        "s"_a.noconvert().none(), "isa"_a = "", "Return the last layer's problem of rows of one number type.");
}

}  // namespace

void bind_last_layer(nb::module_& m) {
    bind_type<double>(m, "Double");
    bind_type<float>(m, "Float");
}

}  // namespace deltarule
