// Linux calls that Swift's Glibc module does not show: namespaces, mounts, SO_ORIGINAL_DST, descriptor passing,
// and a spawn that is safe in a threaded process.
//
// Every function answers a non-negative value on success and a negated errno on failure, so that no caller
// reads errno across the language boundary.
#ifndef MESH_LINUX_H
#define MESH_LINUX_H

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

// Linux 2.4's getsockopt name, the same number for IPv4 (SOL_IP) and IPv6 (SOL_IPV6); the kernel's own header clashes
// with glibc's netinet/in.h, hence the literals.
#define MESH_SO_ORIGINAL_DST 80

/// Writes the address a redirected connection was meant for. IPv4-mapped sockets are asked as IPv4.
/// Fails with -ENOENT when netfilter never saw the connection.
static inline int mesh_original_destination(int fd, struct sockaddr_storage *address) {
    struct sockaddr_storage local;
    socklen_t length = sizeof(local);
    if (getsockname(fd, (struct sockaddr *)&local, &length) != 0) return -errno;
    int isV6 = 0;
    if (local.ss_family == AF_INET6) {
        isV6 = !IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&local)->sin6_addr);
    } else if (local.ss_family != AF_INET) {
        return -EAFNOSUPPORT;
    }
    length = sizeof(*address);
    int level = isV6 ? IPPROTO_IPV6 : IPPROTO_IP;
    if (getsockopt(fd, level, MESH_SO_ORIGINAL_DST, address, &length) != 0) return -errno;
    return 0;
}

// Namespace kinds, as bits for mesh_spawn_set_namespaces and mesh_join_namespace.
enum {
    MESH_NS_MOUNT = 0x00020000,
    MESH_NS_UTS = 0x04000000,
    MESH_NS_PID = 0x20000000,
    MESH_NS_NETWORK = 0x40000000,
};

// Mount flags that Glibc hides from Swift behind enum-macro pairs.
enum {
    MESH_MS_RDONLY = 1,
    MESH_MS_NOSUID = 2,
    MESH_MS_NODEV = 4,
    MESH_MS_NOEXEC = 8,
    MESH_MS_REMOUNT = 32,
    MESH_MS_BIND = 4096,
    MESH_MS_REC = 16384,
    MESH_MS_PRIVATE = 1 << 18,
};

int mesh_unshare(int namespaces);
int mesh_join_namespace(int fd, int kind);
/// Sends `signal` to this process when the thread that created it ends.
int mesh_parent_death_signal(int signal);
int mesh_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data);
/// Unmounts lazily: the mount leaves the tree at once, open files keep working.
int mesh_unmount(const char *target);
int mesh_pivot_root(const char *new_root, const char *put_old);
int mesh_set_hostname(const char *name);

/// Blocks SIGCHLD, SIGTERM, SIGINT and SIGHUP, ignores SIGPIPE, and answers a descriptor that reports the blocked ones.
int mesh_signal_descriptor(void);
/// The next pending signal's number, or -EAGAIN.
int mesh_read_signal(int fd);

/// One ended child: `signal` is 0 after a normal exit.
struct mesh_exit {
    int pid;
    int code;
    int signal;
};
/// Reaps one ended child. 1 when `ended` was filled, 0 when none is waiting.
int mesh_reap(struct mesh_exit *ended);
/// Waits for the child `pid` to end.
int mesh_wait(int pid, struct mesh_exit *ended);
/// Wall-clock time.
void mesh_now(int64_t *seconds, int32_t *nanoseconds);

/// Number of the calling thread, as the kernel counts processes and threads.
int mesh_thread_id(void);

/// Passes `fd` with one byte of data over a unix stream socket, and receives it on the other side (close-on-exec).
int mesh_send_descriptor(int socket, int fd);
int mesh_receive_descriptor(int socket);
/// Process id of the peer of a connected unix socket, seen from this process's PID namespace.
int mesh_peer_process(int socket);

int mesh_unix_listen(const char *path, int mode);
int mesh_unix_connect(const char *path);
/// The next connection of a non-blocking listener.
int mesh_accept(int fd);
/// Listening TCP socket on an IPv4 address; SO_REUSEADDR, close-on-exec.
int mesh_tcp_listen(const char *address, uint16_t port);
/// Connects to 127.0.0.1 (then ::1) in this process's network namespace.
int mesh_loopback_connect(uint16_t port);
/// A pipe, both ends close-on-exec; the read end is non-blocking.
int mesh_pipe(int *read_end, int *write_end);
int mesh_set_nonblocking(int fd);
/// An anonymous file in memory, close-on-exec.
int mesh_memory_file(void);
/// Takes an exclusive lock on an open file without waiting: -EWOULDBLOCK when another process holds it.
int mesh_lock_file(int fd);

// MARK: spawn

/// A process to start. Everything is allocated before the fork; the child makes only system calls.
typedef struct mesh_spawn mesh_spawn;

enum mesh_step_kind {
    MESH_STEP_MOUNT,
    MESH_STEP_MKDIR,
    MESH_STEP_TOUCH,
    MESH_STEP_SYMLINK,
    MESH_STEP_DEVICE,
    MESH_STEP_PIVOT,
    MESH_STEP_UNMOUNT,
    MESH_STEP_UNLINK,
};

mesh_spawn *mesh_spawn_create(void);
void mesh_spawn_destroy(mesh_spawn *spawn);
int mesh_spawn_add_argument(mesh_spawn *spawn, const char *argument);
int mesh_spawn_add_environment(mesh_spawn *spawn, const char *assignment);
/// Paths tried in order until one executes; looked up after the root has changed.
int mesh_spawn_add_executable(mesh_spawn *spawn, const char *path);
/// `from` in the parent becomes `to` in the child; every other descriptor above 2 is closed. 32 at most.
int mesh_spawn_add_descriptor(mesh_spawn *spawn, int from, int to);
int mesh_spawn_add_group(mesh_spawn *spawn, uint32_t group);
/// A namespace descriptor to join before anything else. 4 at most.
int mesh_spawn_add_join(mesh_spawn *spawn, int fd, int kind);
/// One file-system step, run in order in the child's new mount namespace. `number` is the mode of MKDIR and TOUCH,
/// major << 8 | minor of DEVICE; an optional step may fail.
int mesh_spawn_add_step(
    mesh_spawn *spawn, int kind, const char *source, const char *target, const char *type, unsigned long flags,
    const char *data, uint32_t number, int optional);
void mesh_spawn_set_namespaces(mesh_spawn *spawn, int namespaces);
void mesh_spawn_set_user(mesh_spawn *spawn, uint32_t user, uint32_t group);
int mesh_spawn_set_directory(mesh_spawn *spawn, const char *path);
int mesh_spawn_set_hostname(mesh_spawn *spawn, const char *name);
void mesh_spawn_set_parent_death_signal(mesh_spawn *spawn, int signal);
/// Starts a session, so that the terminal's signals do not reach the child.
void mesh_spawn_set_new_session(mesh_spawn *spawn);
/// Lets an intermediate process end at once, so that the child belongs to the PID namespace's init.
void mesh_spawn_set_detached(mesh_spawn *spawn);
void mesh_spawn_set_no_new_privileges(mesh_spawn *spawn);
/// Capabilities kept across the change of user (ambient), and the bounding set's losses, as bit masks.
void mesh_spawn_set_capabilities(mesh_spawn *spawn, uint64_t add, uint64_t drop);

/// Where a failed spawn stopped.
enum mesh_stage {
    MESH_STAGE_FORK,
    MESH_STAGE_JOIN,
    MESH_STAGE_DESCRIPTORS,
    MESH_STAGE_MOUNT,
    MESH_STAGE_USER,
    MESH_STAGE_DIRECTORY,
    MESH_STAGE_EXECUTE,
};
struct mesh_spawn_failure {
    int stage;
    /// Index of the failed step for MESH_STAGE_MOUNT.
    int step;
};
/// The new process's id, or a negated errno with `failure` filled. Returns once the child has executed its program.
int mesh_spawn_run(mesh_spawn *spawn, struct mesh_spawn_failure *failure);

#endif
