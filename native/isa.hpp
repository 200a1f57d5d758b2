// Which instruction sets this processor has, and which one is in use.
#pragma once

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace deltarule {

enum class Isa { baseline, avx2, avx512 };
inline constexpr const char* isa_names[] = {"baseline", "avx2", "avx512"};

inline bool has(Isa isa) {
#if defined(DELTARULE_X86)
    __builtin_cpu_init();
    if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == Isa::avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
#endif
    return isa == Isa::baseline;
}

// From the least to the most capable.
inline std::vector<Isa> available() {
    std::vector<Isa> found;
    for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512})
        if (has(isa)) found.push_back(isa);
    return found;
}

inline Isa isa_named(const std::string& name) {
    std::string accepted;
    for (Isa isa : available()) {
        if (name == isa_names[int(isa)]) return isa;
        accepted += std::string(accepted.empty() ? "" : ", ") + isa_names[int(isa)];
    }
    throw std::invalid_argument("The instruction set was '" + name + "'; this processor has " + accepted + ".");
}

// The best one, or what the environment variable DELTARULE_ISA names.
inline Isa isa_in_use() {
    static const Isa chosen = [] {
        const char* forced = std::getenv("DELTARULE_ISA");
        return forced && *forced ? isa_named(forced) : available().back();
    }();
    return chosen;
}

// The table of that instruction set, made by the function of its namespace; an empty name: the one in use.
template <class Table>
Table choose(const std::string& name, Table (*baseline)(), [[maybe_unused]] Table (*avx2)(),
             [[maybe_unused]] Table (*avx512)()) {
    const Isa isa = name.empty() ? isa_in_use() : isa_named(name);
#if defined(DELTARULE_X86)
    if (isa == Isa::avx512) return avx512();
    if (isa == Isa::avx2) return avx2();
#endif
    (void)isa;
    return baseline();
}

}  // namespace deltarule
