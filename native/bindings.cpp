// The module deltarule.engines._native.
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "binding.hpp"
#include "isa.hpp"
#include "kernels.hpp"
#include "mini_batch_driver.hpp"

namespace deltarule {

void bind_batch(nb::module_& m);
void bind_last_layer(nb::module_& m);
void bind_steps(nb::module_& m);

namespace {

using Order = nb::ndarray<const std::int64_t, nb::c_contig, nb::device::cpu, nb::ndim<1>>;

OnlineTable table(const std::string& isa) {
    return choose(isa, baseline::online_table, avx2::online_table, avx512::online_table);
}

std::int64_t n_weights(const std::vector<std::int64_t>& sizes) {
    std::int64_t p = 0;
    for (std::size_t l = 1; l < sizes.size(); ++l) p += (sizes[l - 1] + 1) * sizes[l];
    return p;
}

template <class T>
EpochResult run(const std::string& isa, const EpochArguments<T>& a, int n_threads) {
    if (a.batch_size >= rows_for_mini_batches) {
        const MiniBatchTables both =
            choose(isa, baseline::mini_batch_tables, avx2::mini_batch_tables, avx512::mini_batch_tables);
        return epoch_of_mini_batches(of_type<T>(both), a, n_threads);
    }
    const OnlineTable rows = table(isa);
    if constexpr (sizeof(T) == 8)
        return rows.epoch64(a);
    else
        return rows.epoch32(a);
}

template <class T>
std::pair<std::int64_t, double> epoch(const std::vector<std::int64_t>& sizes, const std::vector<int>& activations,
                                      int loss, double parameter, bool fused, Write<T> w, Write<T> memory,
                                      std::int64_t count, Read<T> X, Read<T> targets, std::optional<Read<T>> s,
                                      std::optional<Order> order, std::int64_t batch_size, int rule,
                                      std::array<double, 3> hyper, double rate, double l2, int n_threads,
                                      const std::string& isa) {
    require(sizes.size() >= 2 && activations.size() + 1 == sizes.size(), "sizes and activations do not fit");
    for (auto size : sizes) require(size >= 1, "a size below 1");
    for (int code : activations) require(0 <= code && code < 17, "an unknown activation");
    require(0 <= loss && loss < 8, "an unknown loss");
    require(0 <= rule && rule <= int(RuleCode::adam), "an unknown rule");
    require(batch_size >= 1, "a mini-batch of less than one row");
    const std::int64_t p = n_weights(sizes), n = X.ndim() == 2 ? std::int64_t(X.shape(0)) : -1;
    require(w.ndim() == 1 && std::int64_t(w.size()) == p, "w has the wrong shape");
    require(std::int64_t(memory.size()) == n_memory[rule] * p, "memory has the wrong shape");
    require(n >= 0 && std::int64_t(X.shape(1)) == sizes.front(), "X has the wrong shape");
    require(targets.ndim() == 2 && std::int64_t(targets.shape(0)) == n &&
                std::int64_t(targets.shape(1)) == sizes.back(), "T has the wrong shape");
    require(!s || std::int64_t(s->size()) == n, "s has the wrong shape");
    std::int64_t visits = n;
    if (order) {
        visits = std::int64_t(order->size());
        for (std::int64_t i = 0; i < visits; ++i)
            require(0 <= order->data()[i] && order->data()[i] < n, "order names a row that does not exist");
    }
    const EpochArguments<T> a{{sizes.data(), activations.data(), int(activations.size()), loss, parameter, fused},
                              w.data(), memory.data(), count, X.data(), targets.data(), s ? s->data() : nullptr,
                              order ? order->data() : nullptr, visits, batch_size, RuleCode(rule),
                              {hyper[0], hyper[1], hyper[2]}, rate, l2};
    nb::gil_scoped_release release;
    const EpochResult r = run(isa, a, n_threads);
    return {r.count, r.loss_sum};
}

template <class T>
void evaluate(const std::string& name, Read<T> x, Write<T> y, const std::string& isa) {
    require(x.size() == y.size(), "x and y differ in size");
    bool known;
    if constexpr (sizeof(T) == 8)
        known = table(isa).evaluate64(name.c_str(), x.data(), y.data(), std::int64_t(x.size()));
    else
        known = table(isa).evaluate32(name.c_str(), x.data(), y.data(), std::int64_t(x.size()));
    require(known, "no such function");
}

template <class T>
void bind_type(nb::module_& m) {
    m.def("epoch", epoch<T>, "sizes"_a, "activations"_a, "loss"_a, "parameter"_a, "fused"_a, "w"_a.noconvert(),
          "memory"_a.noconvert(), "count"_a, "X"_a.noconvert(), "T"_a.noconvert(), "s"_a.noconvert().none(),
          "order"_a.noconvert().none(), "batch_size"_a, "rule"_a, "hyper"_a, "rate"_a, "l2"_a, "n_threads"_a = 1,
          "isa"_a = "",
          "Visit the rows in `order`, moving w and memory in place; return (count, sum of s * loss).");
    m.def("evaluate", evaluate<T>, "name"_a, "x"_a.noconvert(), "y"_a.noconvert(), "isa"_a = "",
          "Write function(x) to y, for tests.");
}

}  // namespace

void bind_online(nb::module_& m) {
    m.def("isa", [] { return isa_names[int(isa_in_use())]; }, "Return the instruction set in use.");
    m.def("isas", [] {
        std::vector<std::string> names;
        for (Isa isa : available()) names.push_back(isa_names[int(isa)]);
        return names;
    }, "Return the instruction sets this processor has, from the least to the most capable.");
    bind_type<double>(m);
    bind_type<float>(m);
}

}  // namespace deltarule

NB_MODULE(_native, m) {
    m.doc() = "Compiled kernels: see native/ in the source.";
    deltarule::bind_online(m);
    deltarule::bind_batch(m);
    deltarule::bind_last_layer(m);
    deltarule::bind_steps(m);
}
