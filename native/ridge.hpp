// Ridge regression around the last layer that is given, as strong as generalised cross-validation says. The formulas are
// those of src/deltarule/beginning.py.
#pragma once

#include "tridiagonal.hpp"

namespace deltarule {

struct RidgeSettings {
    double l2, n_rows, cost;     // penalty; rows as far as noise is concerned; what a degree of freedom counts for
    std::vector<double> shares;  // ridges that are compared, as shares of the mean diagonal
};

// Of each output's targets.
struct Moments {
    std::vector<double> means, variances;
};

// Layers are (n_out, width + 1), biases last, as are what they leave of the targets: ([Y 1]' (T − [Y 1] B'))' / n.
class RidgeAround {
  public:
    using Layer = std::vector<double>;

    // M = [Y 1]' [Y 1] / n (width + 1, width + 1).
    RidgeAround(Layer M, Moments targets, RidgeSettings settings)
        : n_out_(std::ptrdiff_t(targets.means.size())), k_(std::ptrdiff_t(std::sqrt(double(M.size())) + 0.5)),
          width_(k_ - 1), M_(std::move(M)), targets_(std::move(targets)), by_(std::move(settings)) {
        for (std::ptrdiff_t i = 0; i < width_; ++i) size_ += at(i, i) / double(width_);
    }

    // Whether anything comes out of the hidden neurons, and not too much.
    bool is_possible() const { return size_ > 0 && std::isfinite(size_ * size_); }

    // The layer given, with the weights of outputs that vary more than their targets made so small that they do not. Its
    // biases are such that the means agree: what is left is then exact for targets far from 0.
    Layer centre(const Layer& given) const {
        Layer made = given;
        for (std::ptrdiff_t j = 0; j < n_out_; ++j) {
            double* const weights = made.data() + j * k_;
            const double varies = along(weights, apart(weights)), most = targets_.variances[std::size_t(j)];
            weights[width_] = targets_.means[std::size_t(j)];
            for (std::ptrdiff_t i = 0; i < width_; ++i) {
                if (varies > most) weights[i] *= std::sqrt(most / varies);
                weights[width_] -= weights[i] * mean(i);
            }
        }
        return made;
    }

    // The best layer around a centre that leaves `left`.
    Layer around(const Layer& centre, const Layer& left) const {
        Layer scaled(std::size_t(width_ * width_));
        for (std::ptrdiff_t i = 0; i < width_; ++i)
            for (std::ptrdiff_t j = 0; j < width_; ++j) scaled[std::size_t(i * width_ + j)] = apart(i, j) / size_;
        Tridiagonal modes(std::move(scaled), width_);
        const Layer best = best_change(modes, in_modes(modes, centre, left));
        Layer made = centre;
        for (std::ptrdiff_t j = 0; j < n_out_; ++j) {
            double* const to = made.data() + j * k_;
            double bias = left[std::size_t(j * k_ + width_)];
            for (std::ptrdiff_t i = 0; i < width_; ++i) {
                const double change = best[std::size_t(j * width_ + i)];
                to[i] += change;
                bias -= change * at(i, width_);
            }
            to[width_] += bias / at(width_, width_);
        }
        return made;
    }

    // How much lower the objective is at a layer than at another, given what the centre leaves: of a quadratic, the mean
    // of both slopes times the way.
    double gain(const Layer& from, const Layer& to, const Layer& centre, const Layer& left) const {
        double total = 0;
        for (std::ptrdiff_t j = 0; j < n_out_; ++j)
            for (std::ptrdiff_t i = 0; i < k_; ++i) {
                const std::size_t here = std::size_t(j * k_ + i);
                double slopes = 2 * left[here];
                for (std::ptrdiff_t m = 0; m < k_; ++m) {
                    const std::size_t there = std::size_t(j * k_ + m);
                    slopes -= (from[there] - centre[there] + to[there] - centre[there]) * at(m, i);
                }
                if (i < width_) slopes -= by_.l2 * (from[here] + to[here]);
                total += 0.5 * slopes * (to[here] - from[here]);
            }
        return total;
    }

  private:
    static constexpr double none_free = 1e-30;  // in place of what is left of the rows where a score takes more than all

    // What the centre leaves along the modes, (n_out, width) each: by the loss and by the objective; and Σ of squares.
    struct Left {
        Layer of_loss, of_objective;
        double squares;
    };

    Left in_modes(const Tridiagonal& modes, const Layer& centre, const Layer& left) const {
        Left found{Layer(std::size_t(n_out_ * width_)), Layer(std::size_t(n_out_ * width_)), 0};
        for (std::ptrdiff_t j = 0; j < n_out_; ++j) {
            const double *const weights = centre.data() + j * k_, *const of_output = left.data() + j * k_;
            double *const z = found.of_loss.data() + j * width_, *const asked = found.of_objective.data() + j * width_;
            const Layer bent = apart(weights);
            found.squares += targets_.variances[std::size_t(j)];
            for (std::ptrdiff_t i = 0; i < width_; ++i) {
                z[i] = of_output[i] - of_output[width_] * mean(i);
                asked[i] = z[i] - by_.l2 * weights[i];
                found.squares -= weights[i] * (2 * z[i] + bent[std::size_t(i)]);
            }
            modes.turn(z);
            modes.turn(asked);
        }
        return found;
    }

    // The change of the weights with the smallest mean square over (1 − cost · degrees of freedom / rows)².
    Layer best_change(Tridiagonal& modes, const Left& left) const {
        Layer best, tried;
        double least = 0, free = 0;
        for (const double share : by_.shares) {
            const double r = by_.l2 / size_ + share;
            free = 1 - by_.cost * (1 + double(width_) - r * modes.factor(r)) / by_.n_rows;
            tried = left.of_objective;
            for (std::ptrdiff_t j = 0; j < n_out_; ++j) modes.solve(tried.data() + j * width_);
            double lost = left.squares;
            for (std::size_t i = 0; i < tried.size(); ++i)
                lost -= tried[i] / size_ * (2 * left.of_loss[i] - left.of_objective[i] + r * tried[i]);
            const double there = std::max(free, none_free), score = std::max(lost, 0.0) / there / there;
            if (best.empty() || score < least) {
                best = tried;
                least = score;
            }
        }
        if (!(free > 0 && std::isfinite(least))) best = tried;  // the last is the strongest
        for (double& change : best) change /= size_;
        for (std::ptrdiff_t j = 0; j < n_out_; ++j) modes.turn_back(best.data() + j * width_);
        return best;
    }

    double at(std::ptrdiff_t i, std::ptrdiff_t j) const { return M_[std::size_t(i * k_ + j)]; }
    double mean(std::ptrdiff_t i) const { return at(i, width_) / at(width_, width_); }
    // M without what the biases explain
    double apart(std::ptrdiff_t i, std::ptrdiff_t j) const { return at(i, j) - at(i, width_) * mean(j); }
    Layer apart(const double* weights) const {
        Layer bent(std::size_t(width_), 0.0);
        for (std::ptrdiff_t i = 0; i < width_; ++i)
            for (std::ptrdiff_t j = 0; j < width_; ++j) bent[std::size_t(j)] += weights[i] * apart(i, j);
        return bent;
    }
    double along(const double* weights, const Layer& bent) const {
        double total = 0;
        for (std::ptrdiff_t i = 0; i < width_; ++i) total += weights[i] * bent[std::size_t(i)];
        return total;
    }

    std::ptrdiff_t n_out_, k_, width_;
    Layer M_;
    Moments targets_;
    RidgeSettings by_;
    double size_ = 0;
};

}  // namespace deltarule
