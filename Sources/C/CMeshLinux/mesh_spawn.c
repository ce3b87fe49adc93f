// Starting a process from a threaded parent. Between fork and exec only async-signal-safe calls are allowed (POSIX,
// fork): another thread may have held the allocator's lock when the address space was copied. So the parent prepares
// every string and array, blocks signals, forks with the raw clone call (no atfork handlers), and the child makes
// system calls only.
// Here, not in the header: there it would change fd_set against other modules' view of it.
#define _GNU_SOURCE
#include "mesh_linux.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 32, JOINS_MAX = 4, GROUPS_MAX = 32 };

struct list {
    char **items;
    size_t count;
    size_t capacity;
};

struct step {
    int kind;
    char *source;
    char *target;
    char *type;
    char *data;
    unsigned long flags;
    uint32_t number;
    int optional;
};

struct mesh_spawn {
    struct list arguments, environment, executables;
    struct step *steps;
    size_t step_count, step_capacity;
    int from[DESCRIPTORS_MAX], to[DESCRIPTORS_MAX];
    size_t descriptor_count;
    int join_fd[JOINS_MAX], join_kind[JOINS_MAX];
    size_t join_count;
    gid_t groups[GROUPS_MAX];
    size_t group_count;
    int namespaces, death_signal;
    int has_user, new_session, detached, no_new_privileges;
    uid_t user;
    gid_t group;
    uint64_t capabilities_add, capabilities_drop;
    char *directory, *hostname;
};

/// What the child reports over its close-on-exec pipe: a pid (detached), or a failure.
struct report {
    int pid;
    int error;
    int stage;
    int step;
};

// MARK: preparation, in the parent

mesh_spawn *mesh_spawn_create(void) { return calloc(1, sizeof(mesh_spawn)); }

static void list_free(struct list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->items[i]);
    free(list->items);
}

/// Appends a copy, keeping the NULL that execve wants at the end.
static int list_add(struct list *list, const char *item) {
    if (list->count + 2 > list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        char **items = realloc(list->items, capacity * sizeof(char *));
        if (items == NULL) return -ENOMEM;
        list->items = items;
        list->capacity = capacity;
    }
    char *copy = strdup(item);
    if (copy == NULL) return -ENOMEM;
    list->items[list->count++] = copy;
    list->items[list->count] = NULL;
    return 0;
}

void mesh_spawn_destroy(mesh_spawn *spawn) {
    if (spawn == NULL) return;
    list_free(&spawn->arguments);
    list_free(&spawn->environment);
    list_free(&spawn->executables);
    for (size_t i = 0; i < spawn->step_count; i++) {
        free(spawn->steps[i].source);
        free(spawn->steps[i].target);
        free(spawn->steps[i].type);
        free(spawn->steps[i].data);
    }
    for (size_t i = 0; i < spawn->descriptor_count; i++) close(spawn->from[i]);
    for (size_t i = 0; i < spawn->join_count; i++) close(spawn->join_fd[i]);
    free(spawn->steps);
    free(spawn->directory);
    free(spawn->hostname);
    free(spawn);
}

int mesh_spawn_add_argument(mesh_spawn *spawn, const char *argument) { return list_add(&spawn->arguments, argument); }
int mesh_spawn_add_environment(mesh_spawn *spawn, const char *item) { return list_add(&spawn->environment, item); }
int mesh_spawn_add_executable(mesh_spawn *spawn, const char *path) { return list_add(&spawn->executables, path); }

int mesh_spawn_add_descriptor(mesh_spawn *spawn, int from, int to) {
    if (spawn->descriptor_count == DESCRIPTORS_MAX) return -E2BIG;
    // A copy, so that the caller may close its own before the spawn runs.
    int copy = fcntl(from, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return -errno;
    spawn->from[spawn->descriptor_count] = copy;
    spawn->to[spawn->descriptor_count++] = to;
    return 0;
}

int mesh_spawn_add_group(mesh_spawn *spawn, uint32_t group) {
    if (spawn->group_count == GROUPS_MAX) return -E2BIG;
    spawn->groups[spawn->group_count++] = group;
    return 0;
}

int mesh_spawn_add_join(mesh_spawn *spawn, int fd, int kind) {
    if (spawn->join_count == JOINS_MAX) return -E2BIG;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return -errno;
    spawn->join_fd[spawn->join_count] = copy;
    spawn->join_kind[spawn->join_count++] = kind;
    return 0;
}

static char *copy_or_null(const char *text) { return text == NULL ? NULL : strdup(text); }

int mesh_spawn_add_step(
    mesh_spawn *spawn, int kind, const char *source, const char *target, const char *type, unsigned long flags,
    const char *data, uint32_t number, int optional) {
    if (spawn->step_count == spawn->step_capacity) {
        size_t capacity = spawn->step_capacity == 0 ? 32 : spawn->step_capacity * 2;
        struct step *steps = realloc(spawn->steps, capacity * sizeof(struct step));
        if (steps == NULL) return -ENOMEM;
        spawn->steps = steps;
        spawn->step_capacity = capacity;
    }
    spawn->steps[spawn->step_count++] = (struct step){
        .kind = kind, .source = copy_or_null(source), .target = copy_or_null(target), .type = copy_or_null(type),
        .data = copy_or_null(data), .flags = flags, .number = number, .optional = optional};
    return 0;
}

void mesh_spawn_set_namespaces(mesh_spawn *spawn, int namespaces) { spawn->namespaces = namespaces; }

void mesh_spawn_set_user(mesh_spawn *spawn, uint32_t user, uint32_t group) {
    spawn->has_user = 1;
    spawn->user = user;
    spawn->group = group;
}

static int replace(char **place, const char *text) {
    free(*place);
    *place = strdup(text);
    return *place == NULL ? -ENOMEM : 0;
}

int mesh_spawn_set_directory(mesh_spawn *spawn, const char *path) { return replace(&spawn->directory, path); }
int mesh_spawn_set_hostname(mesh_spawn *spawn, const char *name) { return replace(&spawn->hostname, name); }
void mesh_spawn_set_parent_death_signal(mesh_spawn *spawn, int signal) { spawn->death_signal = signal; }
void mesh_spawn_set_new_session(mesh_spawn *spawn) { spawn->new_session = 1; }
void mesh_spawn_set_detached(mesh_spawn *spawn) { spawn->detached = 1; }
void mesh_spawn_set_no_new_privileges(mesh_spawn *spawn) { spawn->no_new_privileges = 1; }

void mesh_spawn_set_capabilities(mesh_spawn *spawn, uint64_t add, uint64_t drop) {
    spawn->capabilities_add = add;
    spawn->capabilities_drop = drop;
}

// MARK: the child

static void give_up(int report_fd, int stage, int step) {
    struct report report = {.pid = 0, .error = errno, .stage = stage, .step = step};
    ssize_t ignored = write(report_fd, &report, sizeof(report));
    (void)ignored;
    _exit(127);
}

static int run_step(const struct step *step) {
    int fd;
    switch (step->kind) {
    case MESH_STEP_MOUNT:
        return mount(step->source, step->target, step->type, step->flags, step->data);
    case MESH_STEP_MKDIR:
        return mkdir(step->target, step->number) == 0 || errno == EEXIST ? 0 : -1;
    case MESH_STEP_TOUCH:
        fd = open(step->target, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, step->number);
        if (fd < 0) return errno == EEXIST || errno == ENXIO || errno == EISDIR || errno == EROFS ? 0 : -1;
        return close(fd);
    case MESH_STEP_SYMLINK:
        return symlink(step->source, step->target) == 0 || errno == EEXIST ? 0 : -1;
    case MESH_STEP_DEVICE:
        if (mknod(step->target, S_IFCHR | 0666, makedev(step->number >> 8, step->number & 255)) != 0) return -1;
        return chmod(step->target, 0666);
    case MESH_STEP_PIVOT:
        if (chdir(step->source) != 0) return -1;
        if (syscall(SYS_pivot_root, step->source, step->target) != 0) return -1;
        return chdir("/");
    case MESH_STEP_UNMOUNT:
        return umount2(step->target, MNT_DETACH);
    case MESH_STEP_UNLINK:
        return unlink(step->target) == 0 || errno == ENOENT ? 0 : -1;
    }
    errno = EINVAL;
    return -1;
}

/// Moves every source out of the way first, so that no dup2 overwrites a descriptor still to be copied.
static int place_descriptors(mesh_spawn *spawn, int *report_fd) {
    int high = 64;
    int moved[DESCRIPTORS_MAX];
    int report = fcntl(*report_fd, F_DUPFD_CLOEXEC, high);
    if (report < 0) return -1;
    *report_fd = report;
    for (size_t i = 0; i < spawn->descriptor_count; i++) {
        moved[i] = fcntl(spawn->from[i], F_DUPFD_CLOEXEC, high);
        if (moved[i] < 0) return -1;
    }
    // Whatever is open closes when the program executes, also between the descriptors that are passed; those are copied
    // into place behind this, without the flag. The report pipe must live until then.
    if (syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) != 0) return -1;
    for (size_t i = 0; i < spawn->descriptor_count; i++) {
        if (dup2(moved[i], spawn->to[i]) < 0) return -1;
    }
    return 0;
}

static int keep_capabilities(uint64_t add) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0) return -1;
    for (int half = 0; half < 2; half++) {
        uint32_t bits = (uint32_t)(add >> (32 * half)) & data[half].permitted;
        data[half].permitted = data[half].effective = data[half].inheritable = bits;
    }
    if (syscall(SYS_capset, &header, data) != 0) return -1;
    for (int bit = 0; bit < 64; bit++) {
        if (add >> bit & 1) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bit, 0, 0);
    }
    return 0;
}

static int change_user(mesh_spawn *spawn) {
    for (int bit = 0; bit < 64; bit++) {
        if (spawn->capabilities_drop >> bit & 1) prctl(PR_CAPBSET_DROP, bit, 0, 0, 0);
    }
    if (spawn->has_user) {
        // The raw calls: glibc's setuid signals every thread of a list copied from the parent.
        if (syscall(SYS_setgroups, spawn->group_count, spawn->groups) != 0) return -1;
        if (syscall(SYS_setresgid, spawn->group, spawn->group, spawn->group) != 0) return -1;
        int keeps = spawn->user != 0 && spawn->capabilities_add != 0;
        if (keeps && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return -1;
        if (syscall(SYS_setresuid, spawn->user, spawn->user, spawn->user) != 0) return -1;
        if (keeps && keep_capabilities(spawn->capabilities_add) != 0) return -1;
    }
    if (spawn->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    return 0;
}

static void reset_signals(void) {
    struct sigaction standard;
    memset(&standard, 0, sizeof(standard));
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become(mesh_spawn *spawn, int report_fd, pid_t parent) __attribute__((noreturn));
static void become(mesh_spawn *spawn, int report_fd, pid_t parent) {
    reset_signals();
    if (spawn->new_session) setsid();
    if (spawn->death_signal != 0) {
        prctl(PR_SET_PDEATHSIG, spawn->death_signal, 0, 0, 0);
        // The parent may have died before the call. Inside a new PID namespace it reads as 0.
        pid_t now = getppid();
        if (now != 0 && now != parent) _exit(127);
    }
    for (size_t i = 0; i < spawn->join_count; i++) {
        if (setns(spawn->join_fd[i], spawn->join_kind[i]) != 0) give_up(report_fd, MESH_STAGE_JOIN, (int)i);
    }
    if (place_descriptors(spawn, &report_fd) != 0) give_up(report_fd, MESH_STAGE_DESCRIPTORS, 0);
    if (spawn->hostname != NULL && sethostname(spawn->hostname, strlen(spawn->hostname)) != 0)
        give_up(report_fd, MESH_STAGE_JOIN, -1);
    if ((spawn->namespaces & CLONE_NEWNS) != 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        give_up(report_fd, MESH_STAGE_MOUNT, -1);
    mode_t mask = umask(0);
    for (size_t i = 0; i < spawn->step_count; i++) {
        if (run_step(&spawn->steps[i]) != 0 && !spawn->steps[i].optional)
            give_up(report_fd, MESH_STAGE_MOUNT, (int)i);
    }
    umask(mask);
    if (spawn->directory != NULL && chdir(spawn->directory) != 0) give_up(report_fd, MESH_STAGE_DIRECTORY, 0);
    if (change_user(spawn) != 0) give_up(report_fd, MESH_STAGE_USER, 0);
    char *nothing[] = {NULL};
    char **environment = spawn->environment.items == NULL ? nothing : spawn->environment.items;
    int first_error = ENOENT;
    for (size_t i = 0; i < spawn->executables.count; i++) {
        execve(spawn->executables.items[i], spawn->arguments.items, environment);
        if (errno != ENOENT && errno != ENOTDIR) first_error = errno;
    }
    errno = first_error;
    give_up(report_fd, MESH_STAGE_EXECUTE, 0);
    _exit(127);
}

static pid_t raw_fork(int namespaces) { return (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, 0, 0, 0, 0); }

int mesh_spawn_run(mesh_spawn *spawn, struct mesh_spawn_failure *failure) {
    failure->stage = MESH_STAGE_FORK;
    failure->step = 0;
    if (spawn->arguments.count == 0) return -EINVAL;
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) return -errno;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t pid = raw_fork(spawn->detached ? 0 : spawn->namespaces);
    if (pid == 0) {
        if (spawn->detached) {
            pid_t child = raw_fork(spawn->namespaces);
            if (child != 0) {
                struct report answer = {.pid = child, .error = child < 0 ? errno : 0, .stage = MESH_STAGE_FORK};
                ssize_t ignored = write(report[1], &answer, sizeof(answer));
                (void)ignored;
                _exit(0);
            }
        }
        become(spawn, report[1], parent);
    }
    int fork_error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        return -fork_error;
    }
    if (spawn->detached) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    }
    int result = pid;
    struct report answer;
    for (;;) {
        ssize_t count = read(report[0], &answer, sizeof(answer));
        if (count < 0 && errno == EINTR) continue;
        if (count != (ssize_t)sizeof(answer)) break;
        if (answer.error != 0) {
            failure->stage = answer.stage;
            failure->step = answer.step;
            result = -answer.error;
            break;
        }
        result = answer.pid;
    }
    close(report[0]);
    // Only a child that is ours can be waited for; a detached one is reaped by the namespace's init.
    if (result < 0 && !spawn->detached) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    }
    return result;
}
