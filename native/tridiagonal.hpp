// A symmetric matrix as Q T Q', T tridiagonal, by Householder's reflections: what the systems (A + r) x = b have in
// common for many r. With T each takes as many operations as it has equations.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace deltarule {

class Tridiagonal {
  public:
    // A (n, n), row after row.
    Tridiagonal(std::vector<double> A, std::ptrdiff_t n)
        : n_(n), A_(std::move(A)), share_(std::size_t(n)), diagonal_(std::size_t(n)), beside_(std::size_t(n)) {
        std::vector<double> p(std::size_t(n_), 0.0);
        for (std::ptrdiff_t k = 0; k < n_; ++k) {
            diagonal_[std::size_t(k)] = row(k)[k];
            if (k + 1 < n_) reflect(k, p.data());
        }
    }

    // b becomes Q' b, or Q b.
    void turn(double* b) const {
        for (std::ptrdiff_t k = 0; k + 1 < n_; ++k) mirror(k, b);
    }
    void turn_back(double* b) const {
        for (std::ptrdiff_t k = n_ - 2; k >= 0; --k) mirror(k, b);
    }

    // Factors T + r, which is positive definite, for `solve`; returns the trace of its inverse, the derivative of its
    // determinant's logarithm.
    double factor(double r) {
        factors_.resize(std::size_t(n_));
        double slope = 1, total = 0;
        for (std::size_t k = 0; k < std::size_t(n_); ++k) {
            const double before = k ? factors_[k - 1] : 1, b = k ? beside_[k - 1] : 0;
            factors_[k] = diagonal_[k] + r - b / before * b;
            slope = 1 + (b / before) * (b / before) * slope;
            total += slope / factors_[k];
        }
        return total;
    }

    // b becomes (T + r)⁻¹ b, for the r that was last factored.
    void solve(double* b) const {
        for (std::ptrdiff_t k = 1; k < n_; ++k) b[k] -= multiplier(k - 1) * b[k - 1];
        for (std::ptrdiff_t k = n_ - 1; k >= 0; --k)
            b[k] = b[k] / factors_[std::size_t(k)] - (k + 1 < n_ ? multiplier(k) * b[k + 1] : 0);
    }

  private:
    double* row(std::ptrdiff_t k) { return A_.data() + k * n_; }
    const double* row(std::ptrdiff_t k) const { return A_.data() + k * n_; }
    double multiplier(std::ptrdiff_t k) const { return beside_[std::size_t(k)] / factors_[std::size_t(k)]; }

    // Makes row and column k those of T; what reflects lies in the row from then on.
    void reflect(std::ptrdiff_t k, double* p) {
        double *const v = row(k), largest = 0, length = 0;
        for (std::ptrdiff_t i = k + 1; i < n_; ++i) largest = std::max(largest, std::abs(v[i]));
        beside_[std::size_t(k)] = v[k + 1];
        if (k + 2 == n_ || largest == 0) return;  // it is as it should be
        for (std::ptrdiff_t i = k + 1; i < n_; ++i) length += v[i] / largest * (v[i] / largest);
        length = largest * std::sqrt(length);
        const double end = beside_[std::size_t(k)] = v[k + 1] > 0 ? -length : length;
        for (std::ptrdiff_t i = k + 1; i < n_; ++i) v[i] /= length;
        v[k + 1] -= end / length;
        double square = 0, bent = 0;
        for (std::ptrdiff_t i = k + 1; i < n_; ++i) square += v[i] * v[i];
        const double share = share_[std::size_t(k)] = 2 / square;
        for (std::ptrdiff_t i = k + 1; i < n_; ++i) p[i] = 0;
        for (std::ptrdiff_t j = k + 1; j < n_; ++j) {
            const double* const from = row(j);
            for (std::ptrdiff_t i = k + 1; i < n_; ++i) p[i] += v[j] * from[i];
        }
        for (std::ptrdiff_t i = k + 1; i < n_; ++i) bent += (p[i] *= share) * v[i];
        for (std::ptrdiff_t i = k + 1; i < n_; ++i) p[i] -= 0.5 * share * bent * v[i];
        for (std::ptrdiff_t j = k + 1; j < n_; ++j) {
            double* const to = row(j);
            for (std::ptrdiff_t i = k + 1; i < n_; ++i) to[i] -= v[j] * p[i] + p[j] * v[i];
        }
    }

    void mirror(std::ptrdiff_t k, double* b) const {
        const double *const v = row(k), share = share_[std::size_t(k)];
        double along = 0;
        for (std::ptrdiff_t i = k + 1; i < n_; ++i) along += v[i] * b[i];
        for (std::ptrdiff_t i = k + 1; i < n_; ++i) b[i] -= share * along * v[i];
    }

    std::ptrdiff_t n_;
    std::vector<double> A_, share_, diagonal_, beside_, factors_;
};

}  // namespace deltarule
