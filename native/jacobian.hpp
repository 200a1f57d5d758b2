// The rows of L' J themselves (see gauss_newton.hpp), for networks so small that their symmetric product costs less
// than building the factors of the layered one: H += J'J by tiles of dot products over the upper triangle.
#pragma once

#include "batch.hpp"

namespace deltarule::DELTARULE_ISA {

// J of one panel for one output: p × panel, in the order of w; d(l) are its signals at layer l.
template <class T, class Signals>
inline void jacobian_panel(const PanelView<T>& at, const Signals& d, T* J) {
    using V = typename simd<T>::V;
    constexpr int W = lanes<V>, R = panel_rows<T>;
    for (int l = 0; l < at.plan.network.depth; ++l) {
        const BatchLayer& layer = at.plan.layers[l];
        const T *y = at.y(l - 1), *signal = d(l);
        T *weights = J + layer.w * R, *biases = J + layer.b * R;
        for (int j = 0; j < layer.n_out; ++j, signal += R, biases += R)
            for (int v = 0; v < R; v += W) {
                const V s = load<V>(signal + v);
                store(biases + v, s);
                T* to = weights + j * layer.n_in * R + v;
                for (int i = 0; i < layer.n_in; ++i) store(to + i * R, s * load<V>(y + i * R + v));
            }
    }
}

// H += J'J in the tiles that touch the upper triangle; J in panels.
template <class T>
inline void symmetric_dots(Panels<const T> J, int p, int panels, T* H) {
    constexpr int R = panel_rows<T>;
    const Tiles down(p, dot_height), across(p, dot_width);
    for (int i = 0; i < across.count; ++i)
        for (int j = 0; j < down.count && down.start(j) < across.start(i + 1); ++j) {
            const int m = down.start(j), n = across.start(i);
            with_constant<dot_height>(down.size(j), [&](auto height) {
                with_constant<dot_width>(across.size(i), [&](auto width) {
                    dot_tile<height(), width()>({J.at + m * R, J.stride}, {J.at + n * R, J.stride}, panels,
                                                H + std::ptrdiff_t(m) * p + n, p);
                });
            });
        }
}

template <class T>
inline void mirror_upper(std::ptrdiff_t p, const T* sums, T* H) {
    for (std::ptrdiff_t i = 0; i < p; ++i)
        for (std::ptrdiff_t j = 0; j < p; ++j) H[i * p + j] = i <= j ? sums[i * p + j] : sums[j * p + i];
}

}  // namespace deltarule::DELTARULE_ISA
