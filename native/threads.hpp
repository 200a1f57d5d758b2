// Work shared among threads. Threads live for one call: nothing to lock, and nothing to break when a process forks.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace deltarule {

inline constexpr double least_seconds = 200e-6;  // of work for each thread: starting one takes 20 to 50 µs
inline constexpr double rate = 40e9;             // operations per second, roughly, to tell seconds from work
inline constexpr double operations_of_neuron = 40;  // an activation function takes as long as so many

// How many threads to use for so many operations, which come in so many pieces.
inline int sensible_threads(int wanted, std::int64_t pieces, double operations, double least = least_seconds) {
    const double most = std::min(operations / rate / least, double(pieces));
    return int(std::clamp(double(wanted), 1.0, std::max(1.0, most)));
}

// Calls work(piece, thread) for every piece, in ascending order within a thread; who takes which is open.
template <class Work>
void share(std::int64_t pieces, int n_threads, const Work& work) {
    std::atomic<std::int64_t> next{0};
    std::exception_ptr failure;
    std::atomic<bool> failed{false};
    const auto run = [&](int thread) {
        try {
            for (std::int64_t piece; (piece = next++) < pieces;) work(piece, thread);
        } catch (...) {
            if (!failed.exchange(true)) failure = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    try {
        for (int thread = 1; thread < n_threads; ++thread) others.emplace_back(run, thread);
    } catch (const std::exception&) {
        // the system gives no more threads, or no memory for them: those there are do the work
    }
    run(0);
    for (auto& other : others) other.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace deltarule
