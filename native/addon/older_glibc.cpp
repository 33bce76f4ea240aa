// Lets the addons that the package ships load where the C library is older than the one that they
// are linked against: down to glibc 2.28, which Node.js itself needs. Functions that got a newer
// version since (most by moving from libpthread and libdl into libc) are taken in the version that
// all have; the linker leads every call of NAME here, to
// __wrap_NAME (--wrap), those of the C++ library, which is linked statically, too. Part of no other
// build.

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

// The first version that each processor's C library has.
#if defined(__x86_64__)
#define LICHEN_FIRST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define LICHEN_FIRST "GLIBC_2.17"
#else
#error "prebuilt addons are for x64 and arm64"
#endif

// `type first_name parameters` is the first version of `name`.
#define LICHEN_FIRST_VERSION(type, name, parameters) \
  type first_##name parameters;                      \
  __asm__(".symver first_" #name "," #name "@" LICHEN_FIRST)

extern "C" {

LICHEN_FIRST_VERSION(double, log, (double));
LICHEN_FIRST_VERSION(double, pow, (double, double));
LICHEN_FIRST_VERSION(double, exp, (double));
double __wrap_log(double x) { return first_log(x); }
double __wrap_pow(double x, double y) { return first_pow(x, y); }
double __wrap_exp(double x) { return first_exp(x); }

LICHEN_FIRST_VERSION(void*, dlopen, (const char*, int));
LICHEN_FIRST_VERSION(void*, dlsym, (void*, const char*));
LICHEN_FIRST_VERSION(char*, dlerror, ());
void* __wrap_dlopen(const char* file, int mode) { return first_dlopen(file, mode); }
void* __wrap_dlsym(void* handle, const char* name) { return first_dlsym(handle, name); }
char* __wrap_dlerror() { return first_dlerror(); }

LICHEN_FIRST_VERSION(int, pthread_create,
                     (pthread_t*, const pthread_attr_t*, void* (*)(void*), void*));
LICHEN_FIRST_VERSION(int, pthread_join, (pthread_t, void**));
LICHEN_FIRST_VERSION(int, pthread_detach, (pthread_t));
LICHEN_FIRST_VERSION(int, pthread_once, (pthread_once_t*, void (*)()));
int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*work)(void*),
                          void* argument) {
  return first_pthread_create(thread, attributes, work, argument);
}
int __wrap_pthread_join(pthread_t thread, void** result) {
  return first_pthread_join(thread, result);
}
int __wrap_pthread_detach(pthread_t thread) { return first_pthread_detach(thread); }
int __wrap_pthread_once(pthread_once_t* once, void (*work)()) {
  return first_pthread_once(once, work);
}

LICHEN_FIRST_VERSION(int, pthread_key_create, (pthread_key_t*, void (*)(void*)));
LICHEN_FIRST_VERSION(int, pthread_key_delete, (pthread_key_t));
LICHEN_FIRST_VERSION(void*, pthread_getspecific, (pthread_key_t));
LICHEN_FIRST_VERSION(int, pthread_setspecific, (pthread_key_t, const void*));
int __wrap_pthread_key_create(pthread_key_t* key, void (*end)(void*)) {
  return first_pthread_key_create(key, end);
}
int __wrap_pthread_key_delete(pthread_key_t key) { return first_pthread_key_delete(key); }
void* __wrap_pthread_getspecific(pthread_key_t key) { return first_pthread_getspecific(key); }
int __wrap_pthread_setspecific(pthread_key_t key, const void* value) {
  return first_pthread_setspecific(key, value);
}

LICHEN_FIRST_VERSION(int, pthread_rwlock_rdlock, (pthread_rwlock_t*));
LICHEN_FIRST_VERSION(int, pthread_rwlock_wrlock, (pthread_rwlock_t*));
LICHEN_FIRST_VERSION(int, pthread_rwlock_unlock, (pthread_rwlock_t*));
int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
  return first_pthread_rwlock_rdlock(lock);
}
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
  return first_pthread_rwlock_wrlock(lock);
}
int __wrap_pthread_rwlock_unlock(pthread_rwlock_t* lock) {
  return first_pthread_rwlock_unlock(lock);
}

// Older ones have these as inline functions only. On both processors the kernel's structure is the
// library's.
int __wrap_stat(const char* path, struct stat* status) {
  return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, status, 0));
}
int __wrap_fstat(int file, struct stat* status) {
  return static_cast<int>(syscall(SYS_fstat, file, status));
}
int __wrap_stat64(const char* path, struct stat* status) { return __wrap_stat(path, status); }
int __wrap_fstat64(int file, struct stat* status) { return __wrap_fstat(file, status); }

// std::random_device: where there is no randomness, nothing can go on.
std::uint32_t __wrap_arc4random() {
  std::uint32_t value = 0;
  if (getentropy(&value, sizeof value) != 0) std::abort();
  return value;
}

// Whether shared_ptr may count without atomics; Node.js always has several threads.
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;

}  // extern "C"
