#include <malloc.h>
#include <nghttp2/nghttp2.h>

// How many bytes a block of the allocator's really has.
static inline size_t mesh_usable_size(void *block) { return malloc_usable_size(block); }

// Limits that came with later releases and that distributions ported back to earlier ones. Declared weak, so that the
// program links and runs with a library that has none of them. Each returns whether the limit was set.
__attribute__((weak)) void nghttp2_option_set_stream_reset_rate_limit(
    nghttp2_option *option, uint64_t burst, uint64_t rate);
__attribute__((weak)) void nghttp2_option_set_max_continuations(nghttp2_option *option, size_t count);

static inline int mesh_option_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst, uint64_t rate) {
    if (!nghttp2_option_set_stream_reset_rate_limit) return 0;
    nghttp2_option_set_stream_reset_rate_limit(option, burst, rate);
    return 1;
}

static inline int mesh_option_set_max_continuations(nghttp2_option *option, size_t count) {
    if (!nghttp2_option_set_max_continuations) return 0;
    nghttp2_option_set_max_continuations(option, count);
    return 1;
}
