// One step of Rprop for every weight; the formulas are those of src/deltarule/methods/rprop.py.
#pragma once

#include <cstdint>

namespace deltarule {

struct RpropSettings {
    double increase, decrease, smallest, largest;
    bool forgets;  // a slope that has turned counts for nothing in the next step
    bool returns;  // where it has turned, the weight goes back to where it was
};

// Where the weights are, and what Rprop knows of each: p numbers each.
template <class T>
struct RpropPlace {
    T *w, *sizes, *signs, *move;
};

template <class T>
void rprop_step(const RpropSettings& by, std::int64_t p, const T* grad, const RpropPlace<const T>& from,
                const RpropPlace<T>& to) {
    const T up = T(by.increase), down = T(by.decrease), least = T(by.smallest), most = T(by.largest);
    for (std::int64_t i = 0; i < p; ++i) {
        const T sign = T(grad[i] > 0) - T(grad[i] < 0), agree = sign * from.signs[i];
        const bool turned = agree < 0;
        const T grown = from.sizes[i] * (agree > 0 ? up : turned ? down : T(1));
        const T below = grown < most ? grown : most, size = below > least ? below : least;
        const T counts = by.forgets && turned ? T(0) : sign;
        const T move = by.returns && turned ? -from.move[i] : counts * size;
        to.sizes[i] = size;
        to.signs[i] = counts;
        to.move[i] = move;
        to.w[i] = from.w[i] - move;
    }
}

}  // namespace deltarule
