// The outputs of a network: their activation, the loss, and the local gradients that start the way down.
#pragma once

#include "first_layer.hpp"
#include "kernels.hpp"
#include "rows_layer.hpp"

namespace deltarule::DELTARULE_ISA {

// The loss and the local gradients of a network's outputs.
template <class V>
class Outputs {
  public:
    using T = lane_of<V>;

    Outputs(const NetworkView& net)
        : parameter_(T(net.parameter)), fused_(net.fused),
          softmax_(Activation(net.activations[net.depth - 1]) == Activation::softmax),
          logs_(Loss(net.loss) == Loss::cross_entropy) {
        // few outputs: short vectors, whose divisions are faster
        using Short = typename simd<T, 16 / int(sizeof(T))>::V;
        const bool is_short = net.sizes[net.depth] <= lanes<Short>;
        activate_ = is_short ? activation_function<Short>(net.activations[net.depth - 1])
                             : activation_function<V>(net.activations[net.depth - 1]);
        loss_ = is_short ? loss_function<Short>(net.loss) : loss_function<V>(net.loss);
    }

    // Given what arrives in out.e: y, the local gradients times `factor` in g, and the loss.
    T operator()(RowsLayer<V>& out, const T* t, T factor, T* g) const {
        const std::int64_t n = out.n_out;
        T *e = out.e.data(), *y = out.y.data();
        if (!softmax_) {
            activate_(e, y, out.slope.data(), n);
        } else {
            const T log_sum = softmax_row<V>(e, y, int(n));
            if (logs_)
                for (std::int64_t k = 0; k < n; ++k) e[k] -= log_sum;
        }
        const T loss = loss_(e, y, out.slope.data(), t, g, n, parameter_, factor, fused_ || softmax_);
        if (softmax_ && !fused_) softmax_pull_back(y, g, int(n));
        return loss;
    }

  private:
    T parameter_;
    bool fused_, softmax_, logs_;
    Activate<T> activate_;
    LossRow<T> loss_;
};

}  // namespace deltarule::DELTARULE_ISA
