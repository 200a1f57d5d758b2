// Memory of a kernel call: aligned, zeroed, freed at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include "simd.hpp"

namespace deltarule::DELTARULE_ISA {

inline constexpr std::size_t cache_line = 64;

template <class T>
class Buffer {
  public:
    explicit Buffer(std::size_t n = 0) : p_(nullptr) { resize(n); }
    ~Buffer() { release(); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    void resize(std::size_t n) {
        release();
        size_ = n;
        if (n == 0) return;
        p_ = static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(cache_line)));
        __builtin_memset(static_cast<void*>(p_), 0, n * sizeof(T));
    }
    T* data() const { return p_; }
    std::size_t size() const { return size_; }
    T& operator[](std::size_t i) const { return p_[i]; }

  private:
    void release() {
        if (p_) ::operator delete(p_, std::align_val_t(cache_line));
        p_ = nullptr;
    }
    T* p_;
    std::size_t size_ = 0;
};

// n rounded up to whole vectors of V.
template <class V>
constexpr std::int64_t padded(std::int64_t n) {
    return (n + lanes<V> - 1) / lanes<V> * lanes<V>;
}

}  // namespace deltarule::DELTARULE_ISA
