/* Stands between a process and its disk and clock (LD_PRELOAD).

   It records what is written, synced and renamed below one folder, makes chosen calls fail, and moves the clock. What to
   do is in a page of memory that the tests share with the process, so it can change while that runs. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { READ = 1, WRITE = 2, SYNC = 4, OPEN = 8, RESIZE = 16, NAMES = 32 };                 /* calls */
enum { DATABASE = 1, WAL = 2, MEMORY = 4, KEYS = 8, FOLDER = 16, OTHER = 32 };              /* files */
enum { CREATE = 1, PWRITE, TRUNCATE, FSYNC, RENAME, LINK, UNLINK, MKDIR };                  /* records */

struct control {
    _Atomic int64_t calls, files, error, skip, count; /* fail these calls: skip so many, then fail so many (-1: all) */
    _Atomic int64_t seen, failed;                     /* calls that were meant, and those that failed */
    _Atomic int64_t clock;                            /* seconds by which the clock is ahead */
    _Atomic int64_t lie;                              /* a sync does nothing and succeeds */
};

struct record {
    uint32_t kind, first, second, pad; /* lengths of two paths, which follow, and then the data */
    uint64_t inode, offset, length;
};

#define DESCRIPTORS 65536
static struct { unsigned char kind; uint64_t inode; } known[DESCRIPTORS];
static struct control *control;
static const char *folder;
static size_t folder_length;
static int log_file = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name); real; })

__attribute__((constructor)) static void set_up(void) {
    const char *page = getenv("TORTURE_CONTROL"), *file = getenv("TORTURE_LOG");
    folder = getenv("TORTURE_FOLDER");
    if (!page || !folder) return;
    folder_length = strlen(folder);
    int descriptor = syscall(SYS_openat, AT_FDCWD, page, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) return;
    void *found = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    syscall(SYS_close, descriptor);
    if (found != MAP_FAILED) control = found;
    if (file) log_file = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static int ends(const char *path, const char *end) {
    size_t length = strlen(path), other = strlen(end);
    return length >= other && !strcmp(path + length - other, end);
}

/* What a path is; 0: not below the folder. */
static int kind_of(const char *path) {
    if (!control || !path || strncmp(path, folder, folder_length)) return 0;
    struct stat found;
    if (ends(path, "-wal")) return WAL;
    if (ends(path, "-shm")) return MEMORY;
    if (ends(path, "keys") || ends(path, ".key")) return KEYS;
    if (ends(path, ".sqlite3")) return DATABASE;
    if (!stat(path, &found) && S_ISDIR(found.st_mode)) return FOLDER;
    return OTHER;
}

/* Whether this call is to fail. */
static int fails(int call, int kind) {
    if (!control || !kind || !(control->calls & call) || !(control->files & kind)) return 0;
    control->seen++;
    if (control->skip > 0) {
        control->skip--;
        return 0;
    }
    if (!control->count) return 0;
    if (control->count > 0) control->count--;
    control->failed++;
    errno = control->error;
    return 1;
}

static void note(uint32_t kind, uint64_t inode, uint64_t offset, uint64_t length, const void *data,
                 const char *first, const char *second) {
    if (log_file < 0) return;
    struct record record = {kind, first ? strlen(first) : 0, second ? strlen(second) : 0, 0, inode, offset, length};
    struct iovec parts[] = {{&record, sizeof record},
                            {(void *)first, record.first},
                            {(void *)second, record.second},
                            {(void *)data, data ? length : 0}};
    int saved = errno;
    if (syscall(SYS_writev, log_file, parts, 4) < 0) abort();
    errno = saved;
}

static int kind_of_descriptor(int descriptor) {
    return descriptor >= 0 && descriptor < DESCRIPTORS ? known[descriptor].kind : 0;
}

static int opened(const char *path, int flags, mode_t mode, int at) {
    int kind = at == AT_FDCWD ? kind_of(path) : 0;
    if (kind && fails(OPEN, kind)) return -1;
    pthread_mutex_lock(&lock);
    struct stat found;
    int is_new = kind && (flags & O_CREAT) && stat(path, &found);
    int descriptor = syscall(SYS_openat, at, path, flags, mode), saved = errno;
    if (descriptor >= 0 && descriptor < DESCRIPTORS) known[descriptor].kind = kind;
    if (descriptor >= 0 && descriptor < DESCRIPTORS && kind) {
        fstat(descriptor, &found);
        known[descriptor].inode = found.st_ino;
        if (is_new) note(CREATE, found.st_ino, 0, 0, NULL, path, NULL);
        else if (flags & O_TRUNC) note(TRUNCATE, found.st_ino, 0, 0, NULL, NULL, NULL);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return descriptor;
}

#define MODE(flags) ({ mode_t mode = 0; if ((flags) & (O_CREAT | __O_TMPFILE)) { \
    va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } mode; })

int open(const char *path, int flags, ...) { return opened(path, flags, MODE(flags), AT_FDCWD); }
int open64(const char *path, int flags, ...) { return opened(path, flags | O_LARGEFILE, MODE(flags), AT_FDCWD); }
int openat(int at, const char *path, int flags, ...) { return opened(path, flags, MODE(flags), at); }
int openat64(int at, const char *path, int flags, ...) { return opened(path, flags, MODE(flags), at); }

int close(int descriptor) {
    if (descriptor >= 0 && descriptor < DESCRIPTORS) known[descriptor].kind = 0;
    return REAL(close)(descriptor);
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t offset) {
    int kind = kind_of_descriptor(descriptor);
    if (!kind) return REAL(pwrite64)(descriptor, data, length, offset);
    if (fails(WRITE, kind)) return -1;
    pthread_mutex_lock(&lock);
    ssize_t written = REAL(pwrite64)(descriptor, data, length, offset);
    if (written > 0) note(PWRITE, known[descriptor].inode, offset, written, data, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) {
    return pwrite64(descriptor, data, length, offset);
}

ssize_t write(int descriptor, const void *data, size_t length) {
    int kind = kind_of_descriptor(descriptor);
    if (!kind) return REAL(write)(descriptor, data, length);
    if (fails(WRITE, kind)) return -1;
    pthread_mutex_lock(&lock);
    ssize_t written = REAL(write)(descriptor, data, length);
    if (written > 0)
        note(PWRITE, known[descriptor].inode, lseek(descriptor, 0, SEEK_CUR) - written, written, data, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t pread64(int descriptor, void *data, size_t length, off64_t offset) {
    if (fails(READ, kind_of_descriptor(descriptor))) return -1;
    return REAL(pread64)(descriptor, data, length, offset);
}

ssize_t pread(int descriptor, void *data, size_t length, off_t offset) {
    return pread64(descriptor, data, length, offset);
}

int ftruncate64(int descriptor, off64_t length) {
    int kind = kind_of_descriptor(descriptor);
    if (!kind) return REAL(ftruncate64)(descriptor, length);
    if (fails(RESIZE, kind)) return -1;
    pthread_mutex_lock(&lock);
    int result = REAL(ftruncate64)(descriptor, length);
    if (!result) note(TRUNCATE, known[descriptor].inode, length, 0, NULL, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

int posix_fallocate(int descriptor, off_t offset, off_t length) {
    if (fails(RESIZE, kind_of_descriptor(descriptor))) return errno;
    return REAL(posix_fallocate)(descriptor, offset, length);
}

static int synced(int descriptor, int (*real)(int)) {
    int kind = kind_of_descriptor(descriptor);
    if (!kind) return real(descriptor);
    if (fails(SYNC, kind)) return -1;
    if (control->lie) return 0;
    pthread_mutex_lock(&lock);
    int result = real(descriptor);
    if (!result) note(FSYNC, known[descriptor].inode, 0, 0, NULL, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int descriptor) { return synced(descriptor, REAL(fsync)); }
int fdatasync(int descriptor) { return synced(descriptor, REAL(fdatasync)); }

static int named(uint32_t record, const char *first, const char *second, int (*real)(const char *, const char *)) {
    int kind = kind_of(second);
    if (!kind) return real(first, second);
    if (fails(NAMES, kind)) return -1;
    pthread_mutex_lock(&lock);
    int result = real(first, second);
    if (!result) note(record, 0, 0, 0, NULL, first, second);
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *first, const char *second) { return named(RENAME, first, second, REAL(rename)); }
int link(const char *first, const char *second) { return named(LINK, first, second, REAL(link)); }

int unlink(const char *path) {
    int kind = kind_of(path);
    if (!kind) return REAL(unlink)(path);
    if (fails(NAMES, kind)) return -1;
    pthread_mutex_lock(&lock);
    int result = REAL(unlink)(path);
    if (!result) note(UNLINK, 0, 0, 0, NULL, path, NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

int mkdir(const char *path, mode_t mode) {
    int kind = kind_of(path);
    if (!kind) return REAL(mkdir)(path, mode);
    if (fails(NAMES, kind)) return -1;
    pthread_mutex_lock(&lock);
    struct stat found = {0};
    int result = REAL(mkdir)(path, mode);
    if (!result && !stat(path, &found)) note(MKDIR, found.st_ino, 0, 0, NULL, path, NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = REAL(clock_gettime)(clock, now);
    if (control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += control->clock;
    return result;
}

time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int result = REAL(gettimeofday)(now, zone);
    if (control) now->tv_sec += control->clock;
    return result;
}
