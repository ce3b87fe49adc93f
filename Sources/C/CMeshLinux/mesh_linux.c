// Here, not in the header: there it would change fd_set against other modules' view of it.
#define _GNU_SOURCE
#include "mesh_linux.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int outcome(long result) { return result < 0 ? -errno : (int)result; }

int mesh_unshare(int namespaces) { return outcome(unshare(namespaces)); }
int mesh_join_namespace(int fd, int kind) { return outcome(setns(fd, kind)); }
int mesh_parent_death_signal(int signal) { return outcome(prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)); }

int mesh_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
    return outcome(mount(source, target, type, flags, data));
}

int mesh_unmount(const char *target) { return outcome(umount2(target, MNT_DETACH)); }

int mesh_pivot_root(const char *new_root, const char *put_old) {
    return outcome(syscall(SYS_pivot_root, new_root, put_old));
}

int mesh_set_hostname(const char *name) { return outcome(sethostname(name, strlen(name))); }

int mesh_signal_descriptor(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -errno;
    signal(SIGPIPE, SIG_IGN);
    return outcome(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int mesh_read_signal(int fd) {
    struct signalfd_siginfo information;
    ssize_t count = read(fd, &information, sizeof(information));
    if (count < 0) return -errno;
    return count == (ssize_t)sizeof(information) ? (int)information.ssi_signo : -EAGAIN;
}

static void describe_exit(struct mesh_exit *ended, pid_t pid, int status) {
    ended->pid = pid;
    ended->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    ended->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + ended->signal;
}

int mesh_reap(struct mesh_exit *ended) {
    int status = 0;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return 0;
    describe_exit(ended, pid, status);
    return 1;
}

int mesh_wait(int pid, struct mesh_exit *ended) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return -errno;
    }
    describe_exit(ended, pid, status);
    return 0;
}

void mesh_now(int64_t *seconds, int32_t *nanoseconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *seconds = now.tv_sec;
    *nanoseconds = (int32_t)now.tv_nsec;
}

int mesh_thread_id(void) { return (int)syscall(SYS_gettid); }

int mesh_send_descriptor(int socket, int fd) {
    char byte = 'F';
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof(control));
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(int));
    return outcome(sendmsg(socket, &message, MSG_NOSIGNAL));
}

int mesh_receive_descriptor(int socket) {
    char byte = 0;
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
    ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (count < 0) return -errno;
    struct cmsghdr *header = count > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header == NULL || header->cmsg_type != SCM_RIGHTS) return -ECONNREFUSED;
    int fd = -1;
    memcpy(&fd, CMSG_DATA(header), sizeof(int));
    return fd;
}

int mesh_peer_process(int socket) {
    struct ucred credentials;
    socklen_t length = sizeof(credentials);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return -errno;
    return credentials.pid;
}

static int unix_address(const char *path, struct sockaddr_un *address) {
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(address->sun_path)) return -ENAMETOOLONG;
    strcpy(address->sun_path, path);
    return 0;
}

static int closing(int fd, int error) {
    close(fd);
    return -error;
}

int mesh_unix_listen(const char *path, int mode) {
    struct sockaddr_un address;
    int bad = unix_address(path, &address);
    if (bad != 0) return bad;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) return closing(fd, errno);
    if (chmod(path, (mode_t)mode) != 0 || listen(fd, 64) != 0) return closing(fd, errno);
    return fd;
}

int mesh_unix_connect(const char *path) {
    struct sockaddr_un address;
    int bad = unix_address(path, &address);
    if (bad != 0) return bad;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) return closing(fd, errno);
    return fd;
}

int mesh_accept(int fd) { return outcome(accept4(fd, NULL, NULL, SOCK_CLOEXEC)); }

int mesh_tcp_listen(const char *host, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) return -EINVAL;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) return closing(fd, errno);
    if (listen(fd, 256) != 0) return closing(fd, errno);
    return fd;
}

int mesh_loopback_connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&v4, sizeof(v4)) == 0) return fd;
    int error = errno;
    close(fd);
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -error;
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (connect(fd, (struct sockaddr *)&v6, sizeof(v6)) == 0) return fd;
    return closing(fd, error);
}

int mesh_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -errno : outcome(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

int mesh_memory_file(void) { return outcome(syscall(SYS_memfd_create, "mesh", 1U /* MFD_CLOEXEC */)); }

int mesh_pipe(int *read_end, int *write_end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -errno;
    *read_end = ends[0];
    *write_end = ends[1];
    return mesh_set_nonblocking(ends[0]);
}

int mesh_lock_file(int fd) { return outcome(flock(fd, LOCK_EX | LOCK_NB)); }
