// Threads that live for one call and share one loop of work after another, each of some ten microseconds and more.
//
// Whoever is free takes the next piece of a loop, the calling thread too, and it takes all that nobody else has: a
// thread to which the system has given no processor yet costs nothing. Whether sharing pays is measured all the time,
// against the least that each piece has taken: where processors have other things to do, a thread may lose its own with
// a piece in its hands, or several have to share one. The caller then works alone for a multiple of the time in which
// that was found out, longer each time, so that it loses a small share at most.
#pragma once

#include <chrono>
#include <cstdint>

#include "threads.hpp"

namespace deltarule {

using Nanoseconds = std::int64_t;

inline Nanoseconds clock_now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// Tells the processor that somebody waits.
inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// What shared loops took against what one thread would have taken, and until when none is shared. It holds for all
// calls of a thread: the next one, of an epoch of two milliseconds say, would find the same.
struct Gain {
    Nanoseconds took = 0, alone = 0, alone_until = 0;
    int loops = 0, times_alone = least_times;

    bool none_expected() const { return clock_now() < alone_until; }

    void note(Nanoseconds shared, Nanoseconds one_thread) {
        took += shared;
        alone += one_thread;
        if (++loops < loops_noted) return;
        if (double(took) > least_gain * double(alone)) {
            alone_until = clock_now() + times_alone * took;
            times_alone = std::min(2 * times_alone, most_times);
        } else {
            times_alone = least_times;
        }
        loops = 0;
        took = alone = 0;
    }

    static Gain& of_thread() {
        static thread_local Gain gain;
        return gain;
    }

  private:
    static constexpr int loops_noted = 32, least_times = 16, most_times = 128;
    static constexpr double least_gain = 0.95;
};

class Team {
  public:
    // As many threads, the calling one included, as the system gives; one where others are not expected to help.
    explicit Team(int n_threads) {
        if (n_threads < 2 || gain_.none_expected()) return;
        others_.reserve(std::size_t(n_threads - 1));
        try {
            for (int thread = 1; thread < n_threads; ++thread) others_.emplace_back([this, thread] { help(thread); });
        } catch (const std::system_error&) {
            // the system gives no more threads: those there are do the work
        }
    }
    ~Team() {
        ended_.store(true);
        tell();
        for (auto& other : others_) other.join();
    }
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    // Calls work(piece, thread) for every piece and returns when all are done; who takes which is open. `least` holds
    // the least time that each piece has taken in any loop of this kind, 0 at first.
    template <class Work>
    void share(int pieces, Nanoseconds* least, const Work& work) {
        if (others_.empty() || pieces < 2 || pieces > most_pieces || gain_.none_expected()) {
            for (int piece = 0; piece < pieces; ++piece) work(piece, 0);
            return;
        }
        const auto timed = [&](int piece, int thread) {
            const Nanoseconds start = clock_now();
            work(piece, thread);
            const Nanoseconds took = clock_now() - start;
            if (least[piece] == 0 || took < least[piece]) least[piece] = took;
        };
        using Timed = decltype(timed);
        const Nanoseconds start = clock_now();
        call_ = [](const void* of, int piece, int thread) { (*static_cast<const Timed*>(of))(piece, thread); };
        work_ = &timed;
        undone_.store(pieces);
        untaken_.store(++loop_ << 32 | std::uint64_t(pieces));
        const int started = arrived_.load();
        tell();
        while (take(0)) {}
        const auto done = [this] { return undone_.load() == 0; };
        if (!spin_until(done))
            while (const int undone = undone_.load()) undone_.wait(undone);
        Nanoseconds alone = 0;
        for (int piece = 0; piece < pieces; ++piece) alone += least[piece];
        if (started > 0) gain_.note(clock_now() - start, alone);
        if (failed_.load()) std::rethrow_exception(failure_);
    }

  private:
    static constexpr int most_pieces = 0xffff;
    static constexpr int spins = 1000;  // some 30 µs, about as long as others may still be at their last pieces

    template <class Done>
    static bool spin_until(const Done& done) {
        for (int spin = 0; spin < spins; ++spin, pause())
            if (done()) return true;
        return false;
    }

    void tell() {
        news_.fetch_add(1);
        news_.notify_all();
    }

    // Does one piece, if there is one left: the calling thread from the front, others from the back, so that each mostly
    // gets those it had before, and has their numbers in its cache.
    bool take(int thread) {
        std::uint64_t there = untaken_.load();
        int front, back;
        do {
            front = int(there >> 16 & 0xffff), back = int(there & 0xffff);
            if (front == back) return false;
        } while (!untaken_.compare_exchange_weak(there, thread == 0 ? there + (1 << 16) : there - 1));
        try {
            call_(work_, thread == 0 ? front : back - 1, thread);
        } catch (...) {
            if (!failed_.exchange(true)) failure_ = std::current_exception();
        }
        if (undone_.fetch_sub(1) == 1) undone_.notify_one();
        return true;
    }

    void help(int thread) {
        arrived_.fetch_add(1);
        for (std::uint32_t seen = 0; !ended_.load();) {
            while (take(thread)) {}
            if (!spin_until([&] { return news_.load() != seen; })) news_.wait(seen);
            seen = news_.load();
        }
    }

    std::vector<std::thread> others_;
    Gain& gain_ = Gain::of_thread();
    void (*call_)(const void*, int, int) = nullptr;
    const void* work_ = nullptr;
    std::uint64_t loop_ = 0;
    // the number of the loop, and the first of its pieces that nobody has taken and the one after the last: who takes one
    // knows what loop it is of
    alignas(64) std::atomic<std::uint64_t> untaken_{0};
    alignas(64) std::atomic<int> undone_{0};
    alignas(64) std::atomic<std::uint32_t> news_{0};
    std::atomic<int> arrived_{0};  // threads that are there by now
    std::atomic<bool> ended_{false}, failed_{false};
    std::exception_ptr failure_;
};

}  // namespace deltarule
