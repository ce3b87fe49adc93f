// Counts every allocation of the process it is loaded into (LD_PRELOAD), for `Tests/Benchmarks/allocations`.
// The counters lie in the file that MESH_ALLOCATIONS names: two 64-bit integers, calls and bytes, which a reader may
// map or read at any time. glibc's own names of the allocator are called, so no symbol has to be looked up while one
// allocates.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

struct counters {
  uint64_t calls, bytes;
};

static struct counters unmapped;
static struct counters *counters = &unmapped;

__attribute__((constructor)) static void map_counters(void) {
  const char *path = getenv("MESH_ALLOCATIONS");
  if (!path) return;
  int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return;
  if (ftruncate(descriptor, sizeof(struct counters)) == 0) {
    void *mapped = mmap(0, sizeof(struct counters), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapped != MAP_FAILED) counters = mapped;
  }
  close(descriptor);
}

static void count(size_t bytes) {
  __atomic_fetch_add(&counters->calls, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&counters->bytes, bytes, __ATOMIC_RELAXED);
}

void *malloc(size_t size) {
  count(size);
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count(number * size);
  return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
  count(size);
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  count(size);
  void *made = __libc_memalign(alignment, size);
  if (!made) return ENOMEM;
  *result = made;
  return 0;
}
