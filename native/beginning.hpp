// A last layer to begin with, from rows and weights: ridge.hpp in double, for numbers of any type.
#pragma once

#include "batch_driver.hpp"
#include "ridge.hpp"

namespace deltarule {

// The weighted mean and variance of each column of the targets.
template <class T>
Moments moments(const BatchRows<T>& rows, std::size_t n_out) {
    std::vector<double> means(n_out, 0.0), variances(n_out, 0.0);
    const auto add = [&](std::vector<double>& to, auto&& term) {
        double weight = 0;
        const T* t = rows.targets;
        for (std::int64_t r = 0; r < rows.n; ++r) {
            const double s = rows.s ? double(rows.s[r]) : 1.0;
            weight += s;
            for (std::size_t j = 0; j < n_out; ++j) to[j] += s * term(double(*t++), j);
        }
        for (double& each : to) each /= weight;
    };
    add(means, [](double t, std::size_t) { return t; });
    add(variances, [&](double t, std::size_t j) { return (t - means[j]) * (t - means[j]); });
    return {std::move(means), std::move(variances)};
}

// The last layer of all weights, which begins `before` numbers after w, as (n_out, width + 1); and back.
template <class T>
RidgeAround::Layer last_layer_of(const T* w, std::ptrdiff_t before, std::ptrdiff_t width, std::ptrdiff_t n_out) {
    RidgeAround::Layer found;
    for (std::ptrdiff_t j = 0; j < n_out; ++j) {
        const T* const weights = w + before + j * width;
        found.insert(found.end(), weights, weights + width);
        found.push_back(double(w[before + n_out * width + j]));
    }
    return found;
}

template <class T>
void put_last_layer(const RidgeAround::Layer& layer, std::ptrdiff_t before, std::ptrdiff_t width, std::ptrdiff_t n_out,
                    T* w) {
    const double* from = layer.data();
    for (std::ptrdiff_t j = 0; j < n_out; ++j, ++from) {
        for (std::ptrdiff_t i = 0; i < width; ++i) w[before + j * width + i] = T(*from++);
        w[before + n_out * width + j] = T(*from);
    }
}

// Writes all weights w, those of the last layer the best to begin with; returns whether that lowers the objective. The
// call is one of the layers before it.
template <class T>
bool begun(BatchCall<T>& call, const BatchRows<T>& rows, std::ptrdiff_t before, std::ptrdiff_t width,
           std::ptrdiff_t n_out, RidgeSettings settings, int n_threads, const T* w, T* kept, T* out) {
    const std::ptrdiff_t k = width + 1;
    const double n = double(rows.n);
    std::vector<T> sums(std::size_t(k * (k + n_out)));
    call.last_layer_sums(n_threads, kept, sums.data());
    RidgeAround::Layer M;
    for (std::ptrdiff_t i = 0; i < k; ++i)
        for (std::ptrdiff_t j = 0; j < k; ++j) M.push_back(double(sums[std::size_t(i * (k + n_out) + j)]) / n);
    const RidgeAround ridge(std::move(M), moments(rows, std::size_t(n_out)), std::move(settings));
    std::copy_n(w, before + k * n_out, out);
    if (!ridge.is_possible()) return false;
    const RidgeAround::Layer given = last_layer_of(w, before, width, n_out), wanted = ridge.centre(given);
    const std::vector<T> rounded(wanted.begin(), wanted.end());
    std::vector<T> leaves(rounded.size());
    call.last_layer_left(n_threads, rounded.data(), kept, leaves.data());
    RidgeAround::Layer centre(rounded.begin(), rounded.end()), left(leaves.begin(), leaves.end());
    for (double& each : left) each /= n;
    const RidgeAround::Layer best = ridge.around(centre, left);
    if (!(ridge.gain(given, best, centre, left) > 0)) return false;
    put_last_layer(best, before, width, n_out, out);
    return true;
}

}  // namespace deltarule
