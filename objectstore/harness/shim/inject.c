/* Makes system calls on files below one directory fail: preloaded into a child of the harness.
 *
 * STOREHOUSE_HARNESS_DIR names the directory, STOREHOUSE_HARNESS_CONTROL a file that holds a `struct control`, which is shared
 * with the parent; `src/shim.rs` knows the same layout. STOREHOUSE_HARNESS_UNDO, if it is there, names a file that takes what
 * each page held before it was written, and when files were synced; `src/unsynced.rs` reads it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum class { OPEN = 1, READ, WRITE, SYNC, RENAME, LINK, UNLINK, TRUNCATE, MMAP, MKDIR };

/* What a call may fail with. */
enum fit { FIT_IO = 1, FIT_NOSPC = 2, FIT_MFILE = 4, FIT_NFILE = 8, FIT_INTR = 16, FIT_SHORT = 32, FIT_NOMEM = 64, FIT_KILL = 128 };

enum mode { COUNT, NTH, FROM_NTH, RATE, SYNCS_LIE };

/* A transfer of half the bytes rather than an error. */
#define SHORT 0x10000

/* The end of the process rather than an error. */
#define KILL 0x20000

#define TRACED 200000

struct control {
    uint64_t armed;
    uint64_t mode;
    uint64_t classes; /* a bit for each class */
    uint64_t nth;     /* the first is 1 */
    uint64_t error;   /* 0: any that fits */
    uint64_t rate;    /* of a million */
    uint64_t seed;
    uint64_t calls;
    uint64_t injected;
    uint64_t first_class;
    uint64_t first_error;
    char first_path[256];
    uint16_t trace[TRACED]; /* class << 8 | fits */
};

static struct control *control;
static char dir[PATH_MAX];
static size_t dir_len;
static int undo = -1;

#define REAL(name)                                                                                                                 \
    static __typeof__(name) *real;                                                                                                 \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static long raw(long number, long a, long b, long c, long d, long e, long f) {
    REAL(syscall);
    return real(number, a, b, c, d, e, f);
}

__attribute__((constructor)) static void begin(void) {
    const char *directory = getenv("STOREHOUSE_HARNESS_DIR"), *file = getenv("STOREHOUSE_HARNESS_CONTROL");
    if (!directory || !file || strlen(directory) >= sizeof dir) return;
    strcpy(dir, directory);
    dir_len = strlen(dir);
    int fd = (int)raw(SYS_openat, AT_FDCWD, (long)file, O_RDWR | O_CLOEXEC, 0, 0, 0);
    if (fd < 0) abort();
    void *mapped = (void *)raw(SYS_mmap, 0, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) abort();
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
    control = mapped;
    const char *undo_file = getenv("STOREHOUSE_HARNESS_UNDO");
    if (undo_file) {
        undo = (int)raw(SYS_openat, AT_FDCWD, (long)undo_file, O_WRONLY | O_APPEND | O_CLOEXEC, 0, 0, 0);
        if (undo < 0) abort();
    }
}

static int active(void) { return control && (control->armed || undo >= 0); }

static int below(const char *path) {
    return !strncmp(path, dir, dir_len) && (path[dir_len] == 0 || path[dir_len] == '/' || path[dir_len] == ' ');
}

/* The path of an open file, if it is below the directory. */
static const char *of_fd(int fd, char *path) {
    if (!active() || fd < 0) return NULL;
    char name[40];
    char *at = name + sizeof name - 1;
    *at = 0;
    do *--at = (char)('0' + fd % 10);
    while (fd /= 10);
    at -= 14;
    memcpy(at, "/proc/self/fd/", 14);
    int saved = errno;
    long len = raw(SYS_readlinkat, AT_FDCWD, (long)at, (long)path, PATH_MAX - 1, 0, 0);
    errno = saved;
    if (len <= 0) return NULL;
    path[len] = 0;
    return below(path) ? path : NULL;
}

/* The same for a path. A relative one is told by its directory. */
static const char *of_path(int fd, const char *given, char *path) {
    if (!active() || !given) return NULL;
    if (given[0] == '/') return below(given) ? given : NULL;
    const char *parent = of_fd(fd, path);
    if (parent && given[0] && strlen(path) + strlen(given) + 2 < PATH_MAX) {
        strcat(path, "/");
        strcat(path, given);
    }
    return parent;
}

static uint64_t mix(uint64_t z) {
    z += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static unsigned fit_of(uint64_t error) {
    switch (error) {
    case EIO: return FIT_IO;
    case ENOSPC: return FIT_NOSPC;
    case EMFILE: return FIT_MFILE;
    case ENFILE: return FIT_NFILE;
    case EINTR: return FIT_INTR;
    case ENOMEM: return FIT_NOMEM;
    case SHORT: return FIT_SHORT;
    case KILL: return FIT_KILL;
    default: return 0;
    }
}

/* What a call is to fail with: 0 if it is to go on. */
static uint64_t decide(enum class class, unsigned fits, const char *path) {
    static const uint64_t all[] = {EIO, ENOSPC, EMFILE, ENFILE, EINTR, ENOMEM, SHORT};
    if (!path || !control->armed || !(control->classes >> class & 1)) return 0;
    fits |= FIT_KILL;
    uint64_t number = __atomic_add_fetch(&control->calls, 1, __ATOMIC_SEQ_CST);
    if (number <= TRACED) control->trace[number - 1] = (uint16_t)(class << 8 | fits);
    uint64_t random = mix(control->seed ^ mix(number));
    switch (control->mode) {
    case NTH:
        if (number != control->nth) return 0;
        break;
    case FROM_NTH:
        if (number < control->nth) return 0;
        break;
    case RATE:
        if (random % 1000000 >= control->rate) return 0;
        break;
    default: return 0;
    }
    uint64_t error = control->error;
    for (unsigned at = (unsigned)(random >> 40); !error; at++)
        if (fit_of(all[at % 7]) & fits) error = all[at % 7];
    if (!(fit_of(error) & fits)) return 0;
    if (__atomic_add_fetch(&control->injected, 1, __ATOMIC_SEQ_CST) == 1) {
        control->first_class = class;
        control->first_error = error;
        strncpy(control->first_path, path, sizeof control->first_path - 1);
    }
    if (error == KILL) raw(SYS_kill, raw(SYS_getpid, 0, 0, 0, 0, 0, 0), SIGKILL, 0, 0, 0, 0);
    return error;
}

#define FAIL_IF(class, fits, path)                                                                                                 \
    do {                                                                                                                           \
        uint64_t error = decide(class, fits, path);                                                                                \
        if (error) {                                                                                                               \
            errno = (int)error;                                                                                                    \
            return -1;                                                                                                             \
        }                                                                                                                          \
    } while (0)

/* What a power cut would take. */

enum note { WRITTEN = 1, SYNCED, NOT_SYNCED, ALL_SYNCED, NONE_SYNCED };

#define PAGE 4096

struct record {
    uint64_t note;
    uint64_t inode;
    uint64_t born; /* ns since 1970: inodes' numbers are used again */
    uint64_t page;
    uint64_t len; /* of the page as it was */
    char old[PAGE];
};

static void put(struct record *record) {
    raw(SYS_write, undo, (long)record, (long)(sizeof *record - PAGE + record->len), 0, 0, 0);
}

/* Fills in which file it is; 0 if it is none that keeps bytes. */
static int which(int fd, struct record *record, uint64_t *size) {
    struct statx found;
    if (raw(SYS_statx, fd, (long)"", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, (long)&found, 0)) return 0;
    record->inode = found.stx_ino;
    record->born = (uint64_t)found.stx_btime.tv_sec * 1000000000 + found.stx_btime.tv_nsec;
    *size = found.stx_size;
    return S_ISREG(found.stx_mode);
}

/* `count` bytes are about to be written at `at`, or at the file's position if that is negative. */
static void note_write(int fd, int64_t at, size_t count) {
    char path[PATH_MAX];
    struct record record = {.note = WRITTEN};
    uint64_t size;
    if (undo < 0 || count == 0 || !of_fd(fd, path)) return;
    int saved = errno;
    if (which(fd, &record, &size)) {
        long flags = raw(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
        if (flags & O_APPEND) at = (int64_t)size;
        if (at < 0) at = raw(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0);
        char name[40] = "/proc/self/fd/";
        int readable = fd, place = 14;
        for (int digit = 1000000; digit; digit /= 10)
            if (fd >= digit || digit == 1) name[place++] = (char)('0' + fd / digit % 10);
        if ((flags & O_ACCMODE) == O_WRONLY) readable = (int)raw(SYS_openat, AT_FDCWD, (long)name, O_RDONLY | O_CLOEXEC, 0, 0, 0);
        for (uint64_t page = (uint64_t)at / PAGE; page <= ((uint64_t)at + count - 1) / PAGE; page++) {
            record.page = page;
            record.len = 0;
            if (page * PAGE < size) {
                long got = raw(SYS_pread64, readable, (long)record.old, PAGE, (long)(page * PAGE), 0, 0);
                if (got > 0) record.len = (uint64_t)got;
            }
            put(&record);
        }
        if (readable != fd && readable >= 0) raw(SYS_close, readable, 0, 0, 0, 0, 0);
    }
    errno = saved;
}

static void note_sync(int fd, enum note note) {
    char path[PATH_MAX];
    struct record record = {.note = note};
    uint64_t size;
    if (undo < 0 || !of_fd(fd, path)) return;
    int saved = errno;
    if (which(fd, &record, &size) || note >= ALL_SYNCED) put(&record);
    errno = saved;
}

/* Descriptors that were open when the sync of a file system failed: the next sync of each tells it once more. */
static unsigned char owed[65536];

static void owe(void) {
    for (size_t fd = 0; fd < sizeof owed; fd++) owed[fd] = 1;
}

static int opened(int fd) {
    if (fd >= 0 && (size_t)fd < sizeof owed) owed[fd] = 0;
    return fd;
}

static int exists(int fd, const char *file) {
    int saved = errno;
    long found = raw(SYS_faccessat, fd, (long)file, F_OK, 0, 0, 0);
    errno = saved;
    return found == 0;
}

/* Opening. */

/* What is there takes no space. */
static unsigned opening(int fd, const char *file, int flags) {
    int makes = (flags & __O_TMPFILE) == __O_TMPFILE || ((flags & O_CREAT) && control && control->armed && !exists(fd, file));
    return FIT_IO | FIT_MFILE | FIT_NFILE | FIT_INTR | (makes ? FIT_NOSPC : 0);
}

#define MODE_OF(flags)                                                                                                             \
    mode_t mode = 0;                                                                                                               \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                                                         \
        va_list list;                                                                                                              \
        va_start(list, flags);                                                                                                     \
        mode = va_arg(list, mode_t);                                                                                               \
        va_end(list);                                                                                                              \
    }

#define OPEN_BY(name)                                                                                                              \
    int name(const char *file, int flags, ...) {                                                                                   \
        MODE_OF(flags)                                                                                                             \
        char path[PATH_MAX];                                                                                                       \
        FAIL_IF(OPEN, opening(AT_FDCWD, file, flags), of_path(AT_FDCWD, file, path));                                              \
        REAL(name);                                                                                                                \
        return opened(real(file, flags, mode));                                                                                            \
    }
OPEN_BY(open)
OPEN_BY(open64)

#define OPENAT_BY(name)                                                                                                            \
    int name(int fd, const char *file, int flags, ...) {                                                                           \
        MODE_OF(flags)                                                                                                             \
        char path[PATH_MAX];                                                                                                       \
        FAIL_IF(OPEN, opening(fd, file, flags), of_path(fd, file, path));                                                          \
        REAL(name);                                                                                                                \
        return opened(real(fd, file, flags, mode));                                                                                        \
    }
OPENAT_BY(openat)
OPENAT_BY(openat64)

#define CREAT_BY(name)                                                                                                             \
    int name(const char *file, mode_t mode) {                                                                                      \
        char path[PATH_MAX];                                                                                                       \
        FAIL_IF(OPEN, opening(AT_FDCWD, file, O_CREAT), of_path(AT_FDCWD, file, path));                                            \
        REAL(name);                                                                                                                \
        return opened(real(file, mode));                                                                                                   \
    }
CREAT_BY(creat)
CREAT_BY(creat64)

DIR *opendir(const char *file) {
    char path[PATH_MAX];
    uint64_t error = decide(OPEN, opening(AT_FDCWD, file, 0), of_path(AT_FDCWD, file, path));
    if (error) {
        errno = (int)error;
        return NULL;
    }
    REAL(opendir);
    return real(file);
}

/* Transfers. */

#define READING (FIT_IO | FIT_INTR | FIT_SHORT)
#define WRITING (FIT_IO | FIT_NOSPC | FIT_INTR | FIT_SHORT)

/* One byte cannot be halved. */
#define HALVE(class, fits, fd, count)                                                                                              \
    do {                                                                                                                           \
        char path[PATH_MAX];                                                                                                       \
        uint64_t error = decide(class, count > 1 ? (fits) : (fits) & ~(unsigned)FIT_SHORT, of_fd(fd, path));                       \
        if (error == SHORT) {                                                                                                      \
            count /= 2;                                                                                                            \
        } else if (error) {                                                                                                        \
            errno = (int)error;                                                                                                    \
            return -1;                                                                                                             \
        }                                                                                                                          \
    } while (0)

ssize_t read(int fd, void *buffer, size_t count) {
    HALVE(READ, READING, fd, count);
    REAL(read);
    return real(fd, buffer, count);
}

ssize_t write(int fd, const void *buffer, size_t count) {
    HALVE(WRITE, WRITING, fd, count);
    note_write(fd, -1, count);
    REAL(write);
    return real(fd, buffer, count);
}

#define PREAD_BY(name, offset_type)                                                                                                \
    ssize_t name(int fd, void *buffer, size_t count, offset_type offset) {                                                         \
        HALVE(READ, READING, fd, count);                                                                                           \
        REAL(name);                                                                                                                \
        return real(fd, buffer, count, offset);                                                                                    \
    }
PREAD_BY(pread, off_t)
PREAD_BY(pread64, off64_t)

#define PWRITE_BY(name, offset_type)                                                                                               \
    ssize_t name(int fd, const void *buffer, size_t count, offset_type offset) {                                                   \
        HALVE(WRITE, WRITING, fd, count);                                                                                          \
        note_write(fd, offset, count);                                                                                             \
        REAL(name);                                                                                                                \
        return real(fd, buffer, count, offset);                                                                                    \
    }
PWRITE_BY(pwrite, off_t)
PWRITE_BY(pwrite64, off64_t)

/* Vectors: a short transfer is half of the first piece. */
static size_t sum(const struct iovec *vector, int count) {
    size_t bytes = 0;
    for (int at = 0; at < count; at++) bytes += vector[at].iov_len;
    return bytes;
}

#define VECTOR_BY(name, class, fits, note, parameters, ...)                                                                        \
    ssize_t name parameters {                                                                                                      \
        struct iovec first = {0};                                                                                                  \
        if (count > 0) first = vector[0];                                                                                          \
        size_t whole = first.iov_len;                                                                                              \
        HALVE(class, fits, fd, first.iov_len);                                                                                     \
        if (first.iov_len != whole) {                                                                                              \
            vector = &first;                                                                                                       \
            count = 1;                                                                                                             \
        }                                                                                                                          \
        note;                                                                                                                      \
        REAL(name);                                                                                                                \
        return real(__VA_ARGS__);                                                                                                  \
    }
#define READ_BY(name, parameters, ...) VECTOR_BY(name, READ, READING, (void)0, parameters, __VA_ARGS__)
#define WRITE_BY(name, at, parameters, ...) VECTOR_BY(name, WRITE, WRITING, note_write(fd, at, sum(vector, count)), parameters, __VA_ARGS__)
READ_BY(readv, (int fd, const struct iovec *vector, int count), fd, vector, count)
READ_BY(preadv, (int fd, const struct iovec *vector, int count, off_t at), fd, vector, count, at)
READ_BY(preadv64, (int fd, const struct iovec *vector, int count, off64_t at), fd, vector, count, at)
READ_BY(preadv2, (int fd, const struct iovec *vector, int count, off_t at, int how), fd, vector, count, at, how)
READ_BY(preadv64v2, (int fd, const struct iovec *vector, int count, off64_t at, int how), fd, vector, count, at, how)
WRITE_BY(writev, -1, (int fd, const struct iovec *vector, int count), fd, vector, count)
WRITE_BY(pwritev, at, (int fd, const struct iovec *vector, int count, off_t at), fd, vector, count, at)
WRITE_BY(pwritev64, at, (int fd, const struct iovec *vector, int count, off64_t at), fd, vector, count, at)
WRITE_BY(pwritev2, at, (int fd, const struct iovec *vector, int count, off_t at, int how), fd, vector, count, at, how)
WRITE_BY(pwritev64v2, at, (int fd, const struct iovec *vector, int count, off64_t at, int how), fd, vector, count, at, how)

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t count, unsigned flags) {
    char path[PATH_MAX];
    FAIL_IF(WRITE, FIT_IO | FIT_NOSPC, of_fd(out, path));
    note_write(out, to ? *to : -1, count);
    REAL(copy_file_range);
    return real(in, from, out, to, count, flags);
}

/* Syncs. */

#define ON_FD(name, class, fits, parameters, ...)                                                                                  \
    int name parameters {                                                                                                          \
        char path[PATH_MAX];                                                                                                       \
        FAIL_IF(class, fits, of_fd(fd, path));                                                                                     \
        REAL(name);                                                                                                                \
        return real(__VA_ARGS__);                                                                                                  \
    }
#define SYNCING (FIT_IO | FIT_NOSPC | FIT_INTR)
#define SIZING (FIT_IO | FIT_NOSPC | FIT_INTR)
#define SYNC_BY(name, fits, done, failed)                                                                                          \
    int name(int fd) {                                                                                                             \
        char path[PATH_MAX];                                                                                                       \
        uint64_t error = decide(SYNC, fits, of_fd(fd, path));                                                                      \
        if (error) {                                                                                                               \
            /* An interrupted one has not lost anything. */                                                                        \
            if (error != EINTR) note_sync(fd, failed);                                                                             \
            if (failed == NONE_SYNCED) owe();                                                                                      \
            errno = (int)error;                                                                                                    \
            return -1;                                                                                                             \
        }                                                                                                                          \
        if (control && control->armed && control->mode == SYNCS_LIE && of_fd(fd, path)) return 0;                                  \
        if (done == SYNCED && fd >= 0 && (size_t)fd < sizeof owed && owed[fd]) {                                                   \
            owed[fd] = 0;                                                                                                          \
            if (of_fd(fd, path)) {                                                                                                 \
                errno = EIO;                                                                                                       \
                return -1;                                                                                                         \
            }                                                                                                                      \
        }                                                                                                                          \
        REAL(name);                                                                                                                \
        int result = real(fd);                                                                                                     \
        note_sync(fd, result == 0 ? done : failed);                                                                                \
        return result;                                                                                                             \
    }
SYNC_BY(fsync, SYNCING, SYNCED, NOT_SYNCED)
SYNC_BY(fdatasync, SYNCING, SYNCED, NOT_SYNCED)
SYNC_BY(syncfs, FIT_IO | FIT_NOSPC, ALL_SYNCED, NONE_SYNCED)
ON_FD(sync_file_range, SYNC, FIT_IO | FIT_NOSPC, (int fd, off64_t at, off64_t count, unsigned flags), fd, at, count, flags)
ON_FD(ftruncate, TRUNCATE, SIZING, (int fd, off_t size), fd, size)
ON_FD(ftruncate64, TRUNCATE, SIZING, (int fd, off64_t size), fd, size)
ON_FD(fallocate, TRUNCATE, SIZING, (int fd, int mode, off_t at, off_t count), fd, mode, at, count)
ON_FD(fallocate64, TRUNCATE, SIZING, (int fd, int mode, off64_t at, off64_t count), fd, mode, at, count)

#define POSIX_FALLOCATE_BY(name, offset_type)                                                                                      \
    int name(int fd, offset_type at, offset_type count) {                                                                          \
        char path[PATH_MAX];                                                                                                       \
        uint64_t error = decide(TRUNCATE, SIZING, of_fd(fd, path));                                                                \
        if (error) return (int)error;                                                                                              \
        REAL(name);                                                                                                                \
        return real(fd, at, count);                                                                                                \
    }
POSIX_FALLOCATE_BY(posix_fallocate, off_t)
POSIX_FALLOCATE_BY(posix_fallocate64, off64_t)

/* Names. */

#define ON_PATH(name, class, fits, at, file, parameters, ...)                                                                      \
    int name parameters {                                                                                                          \
        char path[PATH_MAX];                                                                                                       \
        FAIL_IF(class, fits, of_path(at, file, path));                                                                             \
        REAL(name);                                                                                                                \
        return real(__VA_ARGS__);                                                                                                  \
    }
#define NAMING (FIT_IO | FIT_NOSPC)

static unsigned making(int fd, const char *file) {
    return control && control->armed && exists(fd, file) ? FIT_IO : NAMING;
}

ON_PATH(rename, RENAME, NAMING, AT_FDCWD, to, (const char *from, const char *to), from, to)
ON_PATH(renameat, RENAME, NAMING, to_dir, to, (int from_dir, const char *from, int to_dir, const char *to), from_dir, from, to_dir, to)
ON_PATH(renameat2, RENAME, NAMING, to_dir, to, (int from_dir, const char *from, int to_dir, const char *to, unsigned flags), from_dir, from,
        to_dir, to, flags)
ON_PATH(link, LINK, NAMING, AT_FDCWD, to, (const char *from, const char *to), from, to)
ON_PATH(linkat, LINK, NAMING, to_dir, to, (int from_dir, const char *from, int to_dir, const char *to, int flags), from_dir, from, to_dir,
        to, flags)
ON_PATH(unlink, UNLINK, FIT_IO, AT_FDCWD, file, (const char *file), file)
ON_PATH(unlinkat, UNLINK, FIT_IO, fd, file, (int fd, const char *file, int flags), fd, file, flags)
ON_PATH(rmdir, UNLINK, FIT_IO, AT_FDCWD, file, (const char *file), file)
ON_PATH(mkdir, MKDIR, making(AT_FDCWD, file), AT_FDCWD, file, (const char *file, mode_t mode), file, mode)
ON_PATH(mkdirat, MKDIR, making(fd, file), fd, file, (int fd, const char *file, mode_t mode), fd, file, mode)

/* A disk that is full says so. */

static int is_full(void) {
    return control && control->armed && control->mode == FROM_NTH && control->error == ENOSPC &&
           __atomic_load_n(&control->calls, __ATOMIC_SEQ_CST) + 1 >= control->nth;
}

#define SPACE_OF(name, type, where, ...)                                                                                           \
    int name(where, struct type *space) {                                                                                          \
        REAL(name);                                                                                                                \
        int result = real(__VA_ARGS__, space);                                                                                     \
        if (result == 0 && is_full()) space->f_bfree = space->f_bavail = 0;                                                        \
        return result;                                                                                                             \
    }
SPACE_OF(statfs, statfs, const char *file, file)
SPACE_OF(statfs64, statfs64, const char *file, file)
SPACE_OF(fstatfs, statfs, int fd, fd)
SPACE_OF(fstatfs64, statfs64, int fd, fd)
SPACE_OF(statvfs, statvfs, const char *file, file)
SPACE_OF(statvfs64, statvfs64, const char *file, file)
SPACE_OF(fstatvfs, statvfs, int fd, fd)
SPACE_OF(fstatvfs64, statvfs64, int fd, fd)

/* Maps. */

#define MMAP_BY(name, offset_type)                                                                                                 \
    void *name(void *address, size_t len, int protection, int flags, int fd, offset_type at) {                                     \
        char path[PATH_MAX];                                                                                                       \
        uint64_t error = decide(MMAP, FIT_NOMEM | FIT_NFILE, flags & MAP_ANONYMOUS ? NULL : of_fd(fd, path));                      \
        if (error) {                                                                                                               \
            errno = (int)error;                                                                                                    \
            return MAP_FAILED;                                                                                                     \
        }                                                                                                                          \
        return (void *)raw(SYS_mmap, (long)address, (long)len, protection, flags, fd, (long)at);                                   \
    }
MMAP_BY(mmap, off_t)
MMAP_BY(mmap64, off64_t)

/* Calls without a function in the C library, or by number. */

long syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    char path[PATH_MAX];
    switch (number) {
    case SYS_openat2:
        FAIL_IF(OPEN, opening((int)a, (const char *)b, (int)*(uint64_t *)c), of_path((int)a, (const char *)b, path));
        return opened((int)raw(number, a, b, c, d, e, f));
    case SYS_openat: FAIL_IF(OPEN, opening((int)a, (const char *)b, (int)c), of_path((int)a, (const char *)b, path)); break;
    case SYS_preadv2: FAIL_IF(READ, FIT_IO | FIT_INTR, of_fd((int)a, path)); break;
    case SYS_pwritev2:
        FAIL_IF(WRITE, FIT_IO | FIT_NOSPC | FIT_INTR, of_fd((int)a, path));
        note_write((int)a, d, sum((const struct iovec *)b, (int)c));
        break;
    case SYS_syncfs: return syncfs((int)a);
    case SYS_renameat2: FAIL_IF(RENAME, NAMING, of_path((int)c, (const char *)d, path)); break;
    case SYS_linkat: FAIL_IF(LINK, NAMING, of_path((int)c, (const char *)d, path)); break;
    default: break;
    }
    return raw(number, a, b, c, d, e, f);
}
