#pragma once
// shared_loop: the turns of a loop shared out between the calling thread and those of the pool that
// have nothing else to do. For work that the caller waits for: a busy pool costs it nothing, it
// then does all of it.

#include <cstddef>
#include <functional>

namespace lichen {

// Threads that a loop may use, the calling one among them: as many as the pool has, at most one a
// usable processor.
std::size_t loop_threads();
// Other than that; 0 for that again. For tests.
void set_loop_threads(std::size_t threads);

// Calls turn(i) once for each i < turns, in any order, and returns when all are done. What a turn
// throws is thrown again here, after all others are done.
void shared_loop(std::size_t turns, const std::function<void(std::size_t)>& turn);

// Calls body(first, last) for ranges that make up [0, count), each of at least `grain` but the
// last; alone, on the calling thread, if there is but one.
void shared_ranges(std::size_t count, std::size_t grain,
                   const std::function<void(std::size_t, std::size_t)>& body);

}  // namespace lichen
