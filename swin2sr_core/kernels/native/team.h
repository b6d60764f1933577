// Threads that wait without spinning, and share out numbered pieces of work.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

class Team {
public:
    // Calls work(piece) for every piece below `pieces`, on at most `threads` threads, of which the
    // caller is one; returns when all are done. Only one call at a time may be made.
    void run(int threads, int pieces, const std::function<void(int)> &work) {
        const int helpers = (threads < pieces ? threads : pieces) - 1;
        if (helpers < 1) {
            for (int piece = 0; piece < pieces; piece++) work(piece);
            return;
        }
        grow(helpers);
        {
            std::lock_guard<std::mutex> hold(lock_);
            next_ = 0;
            pieces_ = pieces;
            work_ = &work;
            wanted_ = active_ = helpers;
            round_++;
        }
        wake_.notify_all();
        take_all(pieces, work);
        std::unique_lock<std::mutex> hold(lock_);
        done_.wait(hold, [&] { return active_ == 0; });
    }

private:
    void take_all(int pieces, const std::function<void(int)> &work) {
        for (int piece = next_++; piece < pieces; piece = next_++) work(piece);
    }

    void grow(int helpers) {
        while (static_cast<int>(threads_.size()) < helpers)
            threads_.emplace_back(&Team::help, this, static_cast<int>(threads_.size()));
    }

    void help(int number) {
        uint64_t seen = 0;
        std::unique_lock<std::mutex> hold(lock_);
        for (;;) {
            wake_.wait(hold, [&] { return round_ != seen; });
            seen = round_;
            if (number >= wanted_) continue;
            const auto *work = work_;
            const int pieces = pieces_;
            hold.unlock();
            take_all(pieces, *work);
            hold.lock();
            if (--active_ == 0) done_.notify_one();
        }
    }

    std::mutex lock_;
    std::condition_variable wake_, done_;
    std::vector<std::thread> threads_;
    std::atomic<int> next_{0};
    const std::function<void(int)> *work_ = nullptr;
    int pieces_ = 0, wanted_ = 0, active_ = 0;
    uint64_t round_ = 0;
};
