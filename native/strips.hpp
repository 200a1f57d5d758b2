// Inputs of a layer in strips: a few vectors of them side by side, row after row; one strip after the other. The
// gradient G += D' X then reads both factors in order, and a strip of some 200 rows stays in the first-level cache while
// the local gradients of many neurons pass by.
#pragma once

#include "sums.hpp"

namespace deltarule::DELTARULE_ISA {

// n inputs of at most `held` rows.
template <class T>
class Strips {
  public:
    Strips(T* at, int n, int held) : at_(at), n_(n), held_(held), across_(vectors_of<T>(n), panel_vectors) {}

    // Takes a panel of rows, from a row on.
    void keep_panel(int row, const T* panel) const {
        constexpr int R = panel_rows<T>;
        for (int i = 0; i < across_.count; ++i)
            for (int v = 0; v < across_.size(i); ++v) {
                const T* const from = panel + std::ptrdiff_t(column(i) + v * W) * R;
                T* const to = strip(i) + std::ptrdiff_t(row) * width(i) + v * W;
                const int there = n_ - column(i) - v * W;
                for (int r = 0; r < R; r += W) {
                    V square[W];
#pragma GCC unroll 16
                    for (int k = 0; k < W; ++k) square[k] = k < there ? load<V>(from + k * R + r) : V{};
                    transpose(square);
#pragma GCC unroll 16
                    for (int k = 0; k < W; ++k) store(to + std::ptrdiff_t(r + k) * width(i), square[k]);
                }
            }
    }

    // Takes rows, from a row on: x(r) is where the r-th lies.
    template <class Row>
    void keep_rows(int row, int rows, const Row& x) const {
        for (int i = 0; i < across_.count; ++i) {
            const int from = column(i), last = part(i);
            T* to = strip(i) + std::ptrdiff_t(row) * width(i);
            with_constant<panel_vectors>(across_.size(i), [&](auto vectors) {
                for (int r = 0; r < rows; ++r, to += vectors() * W) {
                    const T* const at = x(r) + from;
                    for (int v = 0; v + 1 < vectors(); ++v) store(to + v * W, load<V>(at + v * W));
                    const T* const end = at + (vectors() - 1) * W;
                    store(to + (vectors() - 1) * W, last == W ? load<V>(end) : load_part<V>(end, last));
                }
            });
        }
    }

    // Makes a panel of rows, from a row on.
    void make_panel(int row, int rows, T* panel) const {
        for (int i = 0; i < across_.count; ++i)
            to_panel<T>(strip(i) + std::ptrdiff_t(row) * width(i), width(i), rows,
                        n_ - column(i) < width(i) ? n_ - column(i) : width(i), panel + column(i) * panel_rows<T>);
    }

    // G (n_out, n) += Σ over rows of D (n_out) X (n).
    void sums(Panels<const T> D, int n_out, int rows, T* G) const {
        for (int i = 0; i < across_.count; ++i)
            outer_column(D, n_out, rows, static_cast<const T*>(strip(i)), width(i), true, across_.size(i), part(i),
                         G + column(i), n_, [](int, int) {});
    }

  private:
    using V = typename simd<T>::V;
    static constexpr int W = lanes<V>;
    int column(int i) const { return across_.start(i) * W; }
    int width(int i) const { return across_.size(i) * W; }
    T* strip(int i) const { return at_ + std::ptrdiff_t(column(i)) * held_; }
    int part(int i) const {  // of the last vector
        const int left = n_ - column(i) - (across_.size(i) - 1) * W;
        return left < W ? left : W;
    }

    T* at_;
    int n_, held_;
    Tiles across_;
};

}  // namespace deltarule::DELTARULE_ISA
