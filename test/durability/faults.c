// Preloaded into a process: lets one call on files of one name fail, and all that follow it if asked to.
//
//   LICHEN_FAULT_FILE   part of the path
//   LICHEN_FAULT_CALL   which call fails, counted from 1
//   LICHEN_FAULT_ERROR  errno
//   LICHEN_FAULT_LASTS  1: all calls that come after it fail as well
//
// A write that fails has written half of its bytes in the call before, as a full disk lets it.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

static long number(const char* name) {
  const char* text = getenv(name);
  return text == NULL ? 0 : atol(text);
}

static int is_ours(const char* path) {
  const char* part = getenv("LICHEN_FAULT_FILE");
  return part != NULL && strstr(path, part) != NULL;
}

static int is_our_file(int file) {
  char link[64];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_ours(path);
}

// -1: not now. 0: half of it. 1: it fails.
static int due(void) {
  const long call = atomic_fetch_add(&calls, 1) + 1;
  const long wanted = number("LICHEN_FAULT_CALL");
  if (call == wanted) return 0;
  if (call == wanted + 1 || (call > wanted && number("LICHEN_FAULT_LASTS") == 1)) return 1;
  return -1;
}

static int fail(void) {
  errno = (int)number("LICHEN_FAULT_ERROR");
  return -1;
}

typedef ssize_t (*Pwrite)(int, const void*, size_t, off_t);

static ssize_t faulty_write(const char* name, int file, const void* data, size_t bytes,
                            off_t offset) {
  const Pwrite real = (Pwrite)dlsym(RTLD_NEXT, name);
  if (is_our_file(file)) {
    const int now = due();
    if (now == 1) return fail();
    if (now == 0 && bytes > 1) bytes /= 2;
  }
  return real(file, data, bytes, offset);
}

ssize_t pwrite(int file, const void* data, size_t bytes, off_t offset) {
  return faulty_write("pwrite", file, data, bytes, offset);
}
ssize_t pwrite64(int file, const void* data, size_t bytes, off_t offset) {
  return faulty_write("pwrite64", file, data, bytes, offset);
}

static int faulty_sync(const char* name, int file) {
  if (is_our_file(file) && due() == 1) return fail();
  return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}

int fdatasync(int file) { return faulty_sync("fdatasync", file); }
int fsync(int file) { return faulty_sync("fsync", file); }

static int faulty_truncate(const char* name, int file, off_t bytes) {
  if (is_our_file(file) && due() == 1) return fail();
  return ((int (*)(int, off_t))dlsym(RTLD_NEXT, name))(file, bytes);
}

int ftruncate(int file, off_t bytes) { return faulty_truncate("ftruncate", file, bytes); }
int ftruncate64(int file, off_t bytes) { return faulty_truncate("ftruncate64", file, bytes); }

int rename(const char* from, const char* to) {
  if (is_ours(to) && due() == 1) return fail();
  return ((int (*)(const char*, const char*))dlsym(RTLD_NEXT, "rename"))(from, to);
}
