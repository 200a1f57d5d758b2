// A network and rows as they come from Python: what the bindings of batch kernels share.
#pragma once

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "batch_driver.hpp"
#include "binding.hpp"
#include "isa.hpp"

namespace deltarule {

using Sizes = std::vector<std::int64_t>;
using Codes = std::vector<int>;

template <class T>
BatchTable<T> batch_table(const std::string& isa) {
    return of_type<T>(choose(isa, baseline::batch_tables, avx2::batch_tables, avx512::batch_tables));
}

template <class A>
void require_shape(const A& a, std::initializer_list<std::int64_t> shape, const char* what) {
    bool fits = a.ndim() == shape.size();
    for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = std::int64_t(a.shape(i)) == shape.begin()[i];
    require(fits, what);
}

inline std::int64_t checked_weights(const Sizes& sizes, const Codes& activations) {
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
          targets_(std::move(targets)), s_(std::move(s)), table_(batch_table<T>(isa)),
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

}  // namespace deltarule
