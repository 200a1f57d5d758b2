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
#include <numeric>

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

// What loops take, shared and not, in terms of the least that their pieces have taken; and until when none is shared. It
// holds for all calls of a thread: the next one, of an epoch of two milliseconds say, would find the same.
struct Gain {
    Nanoseconds took = 0, least = 0, alone_until = 0;
    int loops = 0;
    double usual = 1;  // of a loop that is not shared

    bool none_expected() const { return clock_now() < alone_until; }

    void note_alone(Nanoseconds loop, Nanoseconds least_of_loop) {
        if (least_of_loop > 0) usual += (std::min(double(loop) / double(least_of_loop), most_usual) - usual) / loops_noted;
    }

    void note_shared(Nanoseconds loop, Nanoseconds least_of_loop) {
        took += loop;
        least += least_of_loop;
        ++loops;
        const double alone = usual * double(least), gain = alone - double(took);
        if (loops < loops_noted && !(loops >= loops_of_loss && gain < -alone / 4)) return;
        if (gain < alone / 20) rest(std::max(-gain, alone / 20));
        loops = 0;
        took = least = 0;
    }

    // At the end of a call: how long it was waited for the others to end.
    void note_end(Nanoseconds waited) {
        if (waited > most_to_end) rest(double(waited));
    }

    static Gain& of_thread() {
        static thread_local Gain gain;
        return gain;
    }

  private:
    void rest(double lost) { alone_until = clock_now() + Nanoseconds(times_alone * lost); }

    static constexpr Nanoseconds most_to_end = 200'000;  // threads that get a processor at once take 20 to 50 µs
    static constexpr int loops_noted = 32, loops_of_loss = 8;
    static constexpr double times_alone = 64, most_usual = 2;
};

class Team {
  public:
    // As many threads, the calling one included, as the system gives; one where others are not expected to help.
    explicit Team(int n_threads) : wanted_(n_threads) {
        if (wanted_ < 2 || gain_.none_expected()) return;
        others_.reserve(std::size_t(wanted_ - 1));
        try {
            for (int thread = 1; thread < wanted_; ++thread) others_.emplace_back([this, thread] { help(thread); });
        } catch (const std::exception&) {
            // the system gives no more threads, or no memory for them: those there are do the work
        }
    }
    ~Team() {
        if (others_.empty()) return;
        ended_.store(true);
        tell();
        const Nanoseconds start = clock_now();
        for (auto& other : others_) other.join();
        gain_.note_end(clock_now() - start);
    }
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    // Calls work(piece, thread) for every piece and returns when all are done; who takes which is open. `least` holds
    // the least time that each piece has taken in any loop of this kind, 0 at first.
    template <class Work>
    void share(int pieces, Nanoseconds* least, const Work& work) {
        if (wanted_ < 2) {
            for (int piece = 0; piece < pieces; ++piece) work(piece, 0);
            return;
        }
        const auto timed = [&](int piece, int thread) {
            const Nanoseconds start = clock_now();
            work(piece, thread);
            const Nanoseconds took = clock_now() - start;
            if (least[piece] == 0 || took < least[piece]) least[piece] = took;
        };
        const Nanoseconds start = clock_now();
        const bool shared = !others_.empty() && pieces > 1 && pieces <= most_pieces && start >= gain_.alone_until;
        const bool helped = shared && arrived_.load() > 0;
        if (shared)
            share_out(pieces, timed);
        else
            for (int piece = 0; piece < pieces; ++piece) timed(piece, 0);
        const Nanoseconds took = clock_now() - start, least_of_loop = std::accumulate(least, least + pieces, Nanoseconds(0));
        if (helped)
            gain_.note_shared(took, least_of_loop);
        else if (!shared)
            gain_.note_alone(took, least_of_loop);
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

    template <class Work>
    void share_out(int pieces, const Work& work) {
        call_ = [](const void* of, int piece, int thread) { (*static_cast<const Work*>(of))(piece, thread); };
        work_ = &work;
        undone_.store(pieces);
        untaken_.store(++loop_ << 32 | std::uint64_t(pieces));
        tell();
        while (take(0)) {}
        if (!spin_until([this] { return undone_.load() == 0; }))
            while (const int undone = undone_.load()) undone_.wait(undone);
        if (failed_.load()) std::rethrow_exception(failure_);
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

    const int wanted_;
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
