#include "CLinux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/sockios.h>
#include <time.h>
#include <unistd.h>

#define RESULT(expression)                 \
    do {                                   \
        __typeof__(expression) r = (expression); \
        return r < 0 ? -errno : r;         \
    } while (0)

// MARK: bytes

int64_t clinux_read(int fd, void *buffer, size_t count) { RESULT(read(fd, buffer, count)); }

int64_t clinux_write(int fd, const void *buffer, size_t count) { RESULT(write(fd, buffer, count)); }

int64_t clinux_recv(int fd, void *buffer, size_t count, int flags) {
    RESULT(recv(fd, buffer, count, flags));
}

int64_t clinux_send(int fd, const void *buffer, size_t count, int flags) {
    RESULT(send(fd, buffer, count, flags | MSG_NOSIGNAL));
}

int64_t clinux_splice(int source, int sink, size_t count) {
    RESULT(splice(source, NULL, sink, NULL, count, SPLICE_F_NONBLOCK | SPLICE_F_MOVE));
}

int clinux_pipe(int *outlet, int *inlet) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return -errno;
    *outlet = ends[0];
    *inlet = ends[1];
    return 0;
}

int clinux_pipe_resize(int fd, int size) { RESULT(fcntl(fd, F_SETPIPE_SZ, size)); }

int clinux_pipe_size(int fd) { RESULT(fcntl(fd, F_GETPIPE_SZ)); }

int clinux_bytes_readable(int fd) {
    int count = 0;
    return ioctl(fd, FIONREAD, &count) < 0 ? -errno : count;
}

int clinux_bytes_unacknowledged(int fd) {
    int count = 0;
    return ioctl(fd, SIOCOUTQ, &count) < 0 ? -errno : count;
}

int clinux_close(int fd) { RESULT(close(fd)); }

int clinux_dup(int fd) { RESULT(fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

int clinux_set_cloexec(int fd, int on) {
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0) return -errno;
    RESULT(fcntl(fd, F_SETFD, on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC));
}

int clinux_set_nonblocking(int fd, int on) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    RESULT(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

int clinux_is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

// MARK: sockets

int clinux_socket(int family, int type, int protocol) {
    RESULT(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

int clinux_socketpair_seqpacket(int *first, int *second) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) return -errno;
    *first = ends[0];
    *second = ends[1];
    return 0;
}

int clinux_bind(int fd, const void *address, uint32_t length) { RESULT(bind(fd, address, length)); }

int clinux_listen(int fd, int backlog) { RESULT(listen(fd, backlog)); }

int clinux_accept(int fd, void *address, uint32_t *length) {
    RESULT(accept4(fd, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int clinux_connect(int fd, const void *address, uint32_t length) {
    RESULT(connect(fd, address, length));
}

int clinux_getsockname(int fd, void *address, uint32_t *length) {
    RESULT(getsockname(fd, address, length));
}

int clinux_getpeername(int fd, void *address, uint32_t *length) {
    RESULT(getpeername(fd, address, length));
}

int clinux_shutdown(int fd, int how) { RESULT(shutdown(fd, how)); }

int clinux_setsockopt_int(int fd, int level, int option, int value) {
    RESULT(setsockopt(fd, level, option, &value, sizeof value));
}

int clinux_getsockopt_int(int fd, int level, int option, int *value) {
    socklen_t length = sizeof *value;
    RESULT(getsockopt(fd, level, option, value, &length));
}

int clinux_setsockopt_bytes(int fd, int level, int option, const void *bytes, uint32_t length) {
    RESULT(setsockopt(fd, level, option, bytes, length));
}

int clinux_set_reset_on_close(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    RESULT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}

int clinux_set_repair(int fd) { return clinux_setsockopt_int(fd, IPPROTO_TCP, TCP_REPAIR, 1); }

// SCM_MAX_FD of the kernel.
enum { most_descriptors = 253 };

int64_t clinux_send_descriptors(int fd, const void *buffer, size_t length, const int *fds, int count) {
    if (count < 0 || count > most_descriptors) return -EINVAL;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * most_descriptors)];
    } control;
    struct iovec part = {.iov_base = (void *)buffer, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        memset(&control, 0, CMSG_SPACE(sizeof(int) * count));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
    }
    RESULT(sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

int64_t clinux_recv_descriptors(int fd, void *buffer, size_t length, int *fds, int *count) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * most_descriptors)];
    } control;
    struct iovec part = {.iov_base = buffer, .iov_len = length};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    int room = *count;
    *count = 0;
    ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (received < 0) return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int arrived = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        const int *numbers = (const int *)CMSG_DATA(header);
        for (int i = 0; i < arrived; i++) {
            // What does not fit is closed here, or it would leak for ever.
            if (*count < room) fds[(*count)++] = numbers[i];
            else close(numbers[i]);
        }
    }
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (int i = 0; i < *count; i++) close(fds[i]);
        *count = 0;
        return -EMSGSIZE;
    }
    return received;
}

int64_t clinux_sendto(int fd, const void *buffer, size_t length, const void *address, uint32_t address_length) {
    RESULT(sendto(fd, buffer, length, MSG_NOSIGNAL | MSG_DONTWAIT, address, address_length));
}

int clinux_has_room(int fd) {
    struct pollfd query = {.fd = fd, .events = POLLOUT};
    RESULT(poll(&query, 1, 0));
}

int clinux_has_input(int fd) {
    struct pollfd query = {.fd = fd, .events = POLLIN};
    RESULT(poll(&query, 1, 0));
}

int clinux_has_hung_up(int fd) {
    struct pollfd query = {.fd = fd, .events = 0};
    int count = poll(&query, 1, 0);
    return count < 0 ? -errno : (query.revents & (POLLHUP | POLLERR)) != 0;
}

int clinux_if_nametoindex(const char *name) {
    unsigned index = if_nametoindex(name);
    return index == 0 ? -errno : (int)index;
}

// MARK: waiting

_Static_assert(sizeof(struct clinux_event) == sizeof(struct epoll_event), "same layout");
_Static_assert(offsetof(struct clinux_event, token) == offsetof(struct epoll_event, data), "same layout");

int clinux_epoll_create(void) { RESULT(epoll_create1(EPOLL_CLOEXEC)); }

static int control(int epoll, int operation, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    RESULT(epoll_ctl(epoll, operation, fd, &event));
}

int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_ADD, fd, events, token);
}

int clinux_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_MOD, fd, events, token);
}

int clinux_epoll_delete(int epoll, int fd) { return control(epoll, EPOLL_CTL_DEL, fd, 0, 0); }

int clinux_epoll_wait(int epoll, struct clinux_event *events, int count, int timeout) {
    RESULT(epoll_wait(epoll, (struct epoll_event *)events, count, timeout));
}

int clinux_eventfd(void) { RESULT(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

static void fill(sigset_t *set, uint64_t mask) {
    sigemptyset(set);
    for (int signal = 1; signal <= 64; signal++) {
        if (mask >> (signal - 1) & 1) sigaddset(set, signal);
    }
}

int clinux_signalfd(uint64_t mask) {
    sigset_t set;
    fill(&set, mask);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -errno;
    RESULT(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

int clinux_signalfd_read(int fd, int32_t *pid) {
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) < 0) return -errno;
    *pid = (int32_t)info.ssi_pid;
    return (int)info.ssi_signo;
}

int clinux_unblock_all_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    RESULT(sigprocmask(SIG_SETMASK, &set, NULL));
}

int clinux_block_all_signals(void) {
    sigset_t set;
    sigfillset(&set);
    RESULT(sigprocmask(SIG_SETMASK, &set, NULL));
}

int clinux_ignore_signal(int number) { return signal(number, SIG_IGN) == SIG_ERR ? -errno : 0; }

int clinux_default_signal(int number) { return signal(number, SIG_DFL) == SIG_ERR ? -errno : 0; }

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t clinux_clock_monotonic(void) { return now(CLOCK_MONOTONIC); }

int64_t clinux_clock_monotonic_coarse(void) { return now(CLOCK_MONOTONIC_COARSE); }

int64_t clinux_clock_realtime(void) { return now(CLOCK_REALTIME); }

// MARK: memory

int clinux_memfd(const char *name) { RESULT(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)); }

int clinux_seal(int fd, int shrink, int grow, int write, int seal) {
    int seals = (shrink ? F_SEAL_SHRINK : 0) | (grow ? F_SEAL_GROW : 0) | (write ? F_SEAL_WRITE : 0) |
                (seal ? F_SEAL_SEAL : 0);
    RESULT(fcntl(fd, F_ADD_SEALS, seals));
}

int clinux_ftruncate(int fd, int64_t size) { RESULT(ftruncate(fd, size)); }

int64_t clinux_file_size(int fd) {
    struct stat status;
    return fstat(fd, &status) < 0 ? -errno : status.st_size;
}

void *clinux_map_shared(int fd, size_t size, int writable, int *error) {
    void *address = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    *error = address == MAP_FAILED ? errno : 0;
    return address == MAP_FAILED ? NULL : address;
}

void *clinux_map_private(size_t size, int *error) {
    void *address =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *error = address == MAP_FAILED ? errno : 0;
    return address == MAP_FAILED ? NULL : address;
}

int clinux_unmap(void *address, size_t size) { RESULT(munmap(address, size)); }

int clinux_discard(void *address, size_t size) { RESULT(madvise(address, size, MADV_DONTNEED)); }

// MARK: processes

int clinux_fork(void) { RESULT(fork()); }

int clinux_execve(const char *path, char *const *arguments, char *const *environment) {
    RESULT(execve(path, arguments, environment));
}

int clinux_fexecve(int fd, char *const *arguments, char *const *environment) {
    RESULT((int)syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH));
}

int clinux_waitpid(int pid, int *status, int block) {
    RESULT(waitpid(pid, status, block ? 0 : WNOHANG));
}

int clinux_kill(int pid, int signal) { RESULT(kill(pid, signal)); }

int clinux_pidfd_open(int pid) { RESULT((int)syscall(SYS_pidfd_open, pid, 0)); }

int clinux_pidfd_signal(int pidfd, int signal) {
    RESULT((int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

int clinux_set_process_name(const char *name) { RESULT(prctl(PR_SET_NAME, name, 0, 0, 0)); }

char **clinux_environment(void) { return environ; }

int clinux_dup_above(int fd, int minimum) { RESULT(fcntl(fd, F_DUPFD_CLOEXEC, minimum)); }

int clinux_dup_onto(int fd, int target) { RESULT(dup2(fd, target)); }

int clinux_close_range(unsigned first, unsigned last) { RESULT(close_range(first, last, 0)); }

int clinux_no_new_privileges(void) { RESULT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); }

int clinux_setsid(void) { RESULT(setsid()); }

int clinux_usable_cpus(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return -errno;
    return CPU_COUNT(&set);
}

int clinux_get_limit(int resource, uint64_t *soft, uint64_t *hard) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0) return -errno;
    *soft = limit.rlim_cur;
    *hard = limit.rlim_max;
    return 0;
}

int clinux_set_limit(int resource, uint64_t soft, uint64_t hard) {
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    RESULT(setrlimit(resource, &limit));
}

void clinux_exit(int status) { _exit(status); }

// MARK: files

int clinux_open(const char *path, int flags, uint32_t mode) {
    RESULT(open(path, flags | O_CLOEXEC, (mode_t)mode));
}

int clinux_unlink(const char *path) { RESULT(unlink(path)); }

int clinux_rename(const char *from, const char *to) { RESULT(rename(from, to)); }

int clinux_chmod(const char *path, uint32_t mode) { RESULT(chmod(path, (mode_t)mode)); }

int clinux_chown(const char *path, uint32_t user, uint32_t group) { RESULT(chown(path, user, group)); }

int clinux_fchmod(int fd, uint32_t mode) { RESULT(fchmod(fd, (mode_t)mode)); }

int clinux_mkdir(const char *path, uint32_t mode) { RESULT(mkdir(path, (mode_t)mode)); }

int clinux_chdir(const char *path) { RESULT(chdir(path)); }

int clinux_umask(uint32_t mask) { return (int)umask((mode_t)mask); }

static int report(int result, const struct stat *from, struct clinux_file_status *to) {
    if (result < 0) return -errno;
    to->mode = from->st_mode;
    to->user = from->st_uid;
    to->group = from->st_gid;
    to->size = from->st_size;
    to->device = from->st_dev;
    to->inode = from->st_ino;
    return 0;
}

int clinux_stat(const char *path, struct clinux_file_status *status) {
    struct stat buffer;
    return report(stat(path, &buffer), &buffer, status);
}

int clinux_fstat(int fd, struct clinux_file_status *status) {
    struct stat buffer;
    return report(fstat(fd, &buffer), &buffer, status);
}

// MARK: identity

int clinux_chroot(const char *path) { RESULT(chroot(path)); }

int clinux_geteuid(void) { return (int)geteuid(); }

int clinux_getegid(void) { return (int)getegid(); }

int clinux_user_by_name(const char *name, uint32_t *user, uint32_t *group) {
    errno = 0;
    struct passwd *entry = getpwnam(name);
    if (!entry) return errno ? -errno : -ENOENT;
    *user = entry->pw_uid;
    *group = entry->pw_gid;
    return 0;
}

int clinux_group_by_name(const char *name, uint32_t *group) {
    errno = 0;
    struct group *entry = getgrnam(name);
    if (!entry) return errno ? -errno : -ENOENT;
    *group = entry->gr_gid;
    return 0;
}

int clinux_become(uint32_t user, uint32_t group) {
    if (setgroups(0, NULL) < 0 && errno != EPERM) return -errno;
    if (setresgid(group, group, group) < 0) return -errno;
    if (setresuid(user, user, user) < 0) return -errno;
    return 0;
}

int clinux_become_keeping(uint32_t user, uint32_t group, uint64_t capabilities) {
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return -errno;
    int result = clinux_become(user, group);
    if (result < 0) return result;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)capabilities, .permitted = (uint32_t)capabilities, .inheritable = 0},
        {.effective = (uint32_t)(capabilities >> 32), .permitted = (uint32_t)(capabilities >> 32), .inheritable = 0},
    };
    RESULT((int)syscall(SYS_capset, &header, data));
}

int clinux_limit_capabilities(uint64_t capabilities) {
    // What is no longer permitted is no ambient capability either (capabilities(7)).
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)capabilities, .permitted = (uint32_t)capabilities, .inheritable = 0},
        {.effective = (uint32_t)(capabilities >> 32), .permitted = (uint32_t)(capabilities >> 32), .inheritable = 0},
    };
    RESULT((int)syscall(SYS_capset, &header, data));
}

int clinux_has_capability(int capability) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0) return -errno;
    return data[capability / 32].effective >> (capability % 32) & 1;
}
