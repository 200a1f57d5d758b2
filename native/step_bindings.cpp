// The kernels of steps as functions of deltarule.engines._native.
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <vector>

#include "binding.hpp"
#include "isa.hpp"
#include "step_table.hpp"

namespace deltarule {
namespace {

template <class T>
StepTable<T> table(const std::string& isa) {
    return of_type<T>(choose(isa, baseline::step_tables, avx2::step_tables, avx512::step_tables));
}

// Lets other threads of Python run meanwhile, where it takes long enough to be worth it.
class Released {
  public:
    explicit Released(std::int64_t numbers) {
        if (numbers >= 1 << 14) released_.emplace();
    }

  private:
    std::optional<nb::gil_scoped_release> released_;
};

// The new w, sizes, signs and moves are the rows of `made`: one array takes less time to hand over than four.
template <class T>
void rprop(std::array<double, 4> settings, bool forgets, bool returns, Read<T> grad, Read<T> w, Read<T> sizes,
           Read<T> signs, Read<T> move, Write<T> made, const std::string& isa) {
    const std::size_t p = w.size();
    for (std::size_t size : {grad.size(), sizes.size(), signs.size(), move.size()})
        require(size == p, "arrays of Rprop differ in size");
    require(made.ndim() == 2 && made.shape(0) == 4 && made.shape(1) == p, "there is no room for what Rprop makes");
    const Released others(static_cast<std::int64_t>(p));
    T* const to = made.data();
    table<T>(isa).rprop({settings[0], settings[1], settings[2], settings[3], forgets, returns}, std::int64_t(p),
                        grad.data(), {w.data(), sizes.data(), signs.data(), move.data()},
                        {to, to + p, to + 2 * p, to + 3 * p});
}

template <class Matrix>
auto pairs_of(const Matrix& A, const Matrix& Y, std::int64_t n) {
    require(A.ndim() == 2 && Y.ndim() == 2 && A.shape(0) == Y.shape(0) && A.shape(1) == Y.shape(1),
            "A and Y differ in shape");
    const std::int64_t memory = std::int64_t(A.shape(0));
    require(0 <= n && n <= memory, "more pairs than there is room for");
    using T = std::remove_pointer_t<decltype(A.data())>;
    return Pairs<T>{A.data(), Y.data(), memory, std::int64_t(A.shape(1)), memory - n};
}

template <class T>
void direction(Read<T> A, Read<T> Y, std::int64_t n, Read<T> grad, Read<T> preconditioner, double gamma, Write<T> out,
               const std::string& isa) {
    const auto pairs = pairs_of(A, Y, n);
    for (std::size_t size : {grad.size(), preconditioner.size(), out.size()})
        require(std::int64_t(size) == pairs.p, "a vector is not as long as the pairs");
    std::vector<T> scratch(std::size_t(pairs.memory + pairs.p));
    const Released others(pairs.memory * pairs.p);
    table<T>(isa).direction(pairs, grad.data(), preconditioner.data(), gamma, scratch.data(), out.data());
}

// Returns s · s and y · y in the variables w / √P.
template <class T>
std::array<double, 2> add_pair(Read<T> A, Read<T> Y, std::int64_t n, Read<T> direction, Read<T> grad,
                               Read<T> new_grad, Read<T> preconditioner, double step, double scale, Write<T> new_A,
                               Write<T> new_Y, const std::string& isa) {
    const auto from = pairs_of(A, Y, n);
    require(from.memory >= 1, "there is no room for a pair");
    const auto to = pairs_of(new_A, new_Y, n < from.memory ? n + 1 : n);
    require(to.memory == from.memory && to.p == from.p, "the new pairs differ in shape from the old");
    for (std::size_t size : {direction.size(), grad.size(), new_grad.size(), preconditioner.size()})
        require(std::int64_t(size) == from.p, "a vector is not as long as the pairs");
    const Released others(from.memory * from.p);
    return table<T>(isa).add_pair(
        from, {direction.data(), grad.data(), new_grad.data(), preconditioner.data(), step, scale}, to);
}

template <class T>
void bind_type(nb::module_& m) {
    m.def("rprop", rprop<T>, "settings"_a, "forgets"_a, "returns"_a, "grad"_a.noconvert(), "w"_a.noconvert(),
          "sizes"_a.noconvert(), "signs"_a.noconvert(), "move"_a.noconvert(), "made"_a.noconvert(), "isa"_a = "",
          "Write w, sizes, signs and moves after a step of Rprop to the rows of made; settings are increase, decrease, "
          "smallest and largest step.");
    m.def("lbfgs_direction", direction<T>, "A"_a.noconvert(), "Y"_a.noconvert(), "n"_a, "grad"_a.noconvert(),
          "preconditioner"_a.noconvert(), "gamma"_a, "out"_a.noconvert(), "isa"_a = "",
          "Write -H g to out; the last n rows of A and Y count.");
    m.def("lbfgs_pair", add_pair<T>, "A"_a.noconvert(), "Y"_a.noconvert(), "n"_a, "direction"_a.noconvert(),
          "grad"_a.noconvert(), "new_grad"_a.noconvert(), "preconditioner"_a.noconvert(), "step"_a, "scale"_a,
          "new_A"_a.noconvert(), "new_Y"_a.noconvert(), "isa"_a = "",
          "Write A and Y with the pair of a step along a direction to the new arrays, the last n rows of the old ones "
          "count; return the squares of both, measured by the preconditioner.");
}

}  // namespace

void bind_steps(nb::module_& m) {
    bind_type<double>(m);
    bind_type<float>(m);
}

}  // namespace deltarule
