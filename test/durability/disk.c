// Preloaded into a process: keeps what a disk would have of a folder if the machine lost its power now, at the worst: of
// each file the bytes as of its last sync, and the names as of the last sync of the folder.
//
//   LICHEN_DISK_FOLDER  the folder
//   LICHEN_DISK_COPY    where: a file of each key, and `names` with lines KEY NAME
//
// A key is a file's number and the time of its birth, since numbers are used again. What is there at the start is synced.

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

typedef int (*Sync)(int);

static int key_of(int at, const char* name, char* key, size_t room) {
  struct statx about;
  const int flags = name[0] == 0 ? AT_EMPTY_PATH : 0;
  if (statx(at, name, flags, STATX_INO | STATX_BTIME | STATX_MODE, &about) != 0) return 0;
  snprintf(key, room, "%llu-%lld-%u", (unsigned long long)about.stx_ino,
           (long long)about.stx_btime.tv_sec, about.stx_btime.tv_nsec);
  return S_ISDIR(about.stx_mode) ? 2 : 1;
}

// A process may end anywhere in here, so what was there before stays until the whole is.
static void put(const char* name, const char* draft) {
  char path[4200];
  snprintf(path, sizeof path, "%s/%s", getenv("LICHEN_DISK_COPY"), name);
  rename(draft, path);
}

static FILE* begin(char* draft, size_t room) {
  snprintf(draft, room, "%s/draft-%d-%p", getenv("LICHEN_DISK_COPY"), (int)getpid(), (void*)&draft);
  return fopen(draft, "w");
}

static void keep_file(int file, const char* key) {
  char draft[4200];
  FILE* const copy = begin(draft, sizeof draft);
  if (copy == NULL) return;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const int from = open(link, O_RDONLY);
  char bytes[65536];
  for (ssize_t got; from >= 0 && (got = read(from, bytes, sizeof bytes)) > 0;) {
    fwrite(bytes, 1, (size_t)got, copy);
  }
  if (from >= 0) close(from);
  fclose(copy);
  put(key, draft);
}

// The names in a folder, and if asked to what is in the files.
static void keep_folder(const char* folder, int with_files) {
  char draft[4200];
  FILE* const names = begin(draft, sizeof draft);
  DIR* const entries = opendir(folder);
  if (names == NULL || entries == NULL) return;
  for (struct dirent* entry; (entry = readdir(entries)) != NULL;) {
    char path[4500];
    char key[100];
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (key_of(AT_FDCWD, path, key, sizeof key) != 1) continue;
    fprintf(names, "%s %s\n", key, entry->d_name);
    if (!with_files) continue;
    const int file = open(path, O_RDONLY);
    keep_file(file, key);
    close(file);
  }
  closedir(entries);
  fclose(names);
  put("names", draft);
}

__attribute__((constructor)) static void keep_all(void) {
  const char* const folder = getenv("LICHEN_DISK_FOLDER");
  if (folder == NULL) return;
  char names[4200];
  snprintf(names, sizeof names, "%s/names", getenv("LICHEN_DISK_COPY"));
  if (access(names, F_OK) != 0) keep_folder(folder, 1);
}

static int keeping_sync(const char* name, int file) {
  const int result = ((Sync)dlsym(RTLD_NEXT, name))(file);
  const char* const folder = getenv("LICHEN_DISK_FOLDER");
  char link[64];
  char path[4096];
  char key[100];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (result != 0 || folder == NULL || length < 0) return result;
  path[length] = 0;
  if (strncmp(path, folder, strlen(folder)) != 0) return result;
  const int kind = key_of(file, "", key, sizeof key);
  if (kind == 2) keep_folder(path, 0);
  if (kind == 1) keep_file(file, key);
  return result;
}

int fdatasync(int file) { return keeping_sync("fdatasync", file); }
int fsync(int file) { return keeping_sync("fsync", file); }
