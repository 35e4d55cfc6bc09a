// The system calls that Swift's Glibc module hides or mangles (it is built without _GNU_SOURCE),
// one function each, without a decision in them.
//
// Only plain C types appear here, and no system header is included: a second idea of glibc's
// structures in this module would clash with the one in Glibc's. Every function returns its result,
// or the negated errno, so that no release or allocation can come between a call and its error.
#pragma once

#include <stddef.h>
#include <stdint.h>

// MARK: bytes

int64_t clinux_read(int fd, void *_Nonnull buffer, size_t count);
int64_t clinux_write(int fd, const void *_Nonnull buffer, size_t count);
int64_t clinux_recv(int fd, void *_Nonnull buffer, size_t count, int flags);
// send(2) with MSG_NOSIGNAL.
int64_t clinux_send(int fd, const void *_Nonnull buffer, size_t count, int flags);
// splice(2) with SPLICE_F_NONBLOCK | SPLICE_F_MOVE, and never SPLICE_F_MORE.
int64_t clinux_splice(int source, int sink, size_t count);
int clinux_pipe(int *_Nonnull outlet, int *_Nonnull inlet);
// F_SETPIPE_SZ; returns what was granted.
int clinux_pipe_resize(int fd, int size);
int clinux_pipe_size(int fd);
// FIONREAD: bytes waiting to be read. SIOCOUTQ: bytes sent and not acknowledged.
int clinux_bytes_readable(int fd);
int clinux_bytes_unacknowledged(int fd);
int clinux_close(int fd);
int clinux_dup(int fd);
int clinux_set_cloexec(int fd, int on);
int clinux_set_nonblocking(int fd, int on);
// F_GETFD succeeds.
int clinux_is_open(int fd);

// MARK: sockets

// SOCK_NONBLOCK | SOCK_CLOEXEC are added to the type.
int clinux_socket(int family, int type, int protocol);
int clinux_socketpair_seqpacket(int *_Nonnull first, int *_Nonnull second);
int clinux_bind(int fd, const void *_Nonnull address, uint32_t length);
int clinux_listen(int fd, int backlog);
// accept4 with SOCK_NONBLOCK | SOCK_CLOEXEC.
int clinux_accept(int fd, void *_Nullable address, uint32_t *_Nullable length);
int clinux_connect(int fd, const void *_Nonnull address, uint32_t length);
int clinux_getsockname(int fd, void *_Nonnull address, uint32_t *_Nonnull length);
int clinux_getpeername(int fd, void *_Nonnull address, uint32_t *_Nonnull length);
int clinux_shutdown(int fd, int how);
int clinux_setsockopt_int(int fd, int level, int option, int value);
int clinux_getsockopt_int(int fd, int level, int option, int *_Nonnull value);
int clinux_setsockopt_bytes(int fd, int level, int option, const void *_Nonnull bytes, uint32_t length);
// SO_LINGER {1, 0}: close(2) then resets the connection.
int clinux_set_reset_on_close(int fd);
// TCP_REPAIR on: close(2) then forgets the connection without a packet. CAP_NET_ADMIN.
int clinux_set_repair(int fd);
// One packet with up to `count` descriptors beside it.
int64_t clinux_send_descriptors(int fd, const void *_Nonnull buffer, size_t length, const int *_Nullable fds, int count);
// Receives one packet; `*count` is the room for descriptors, and then how many came (cloexec).
// A packet longer than `length` is EMSGSIZE.
int64_t clinux_recv_descriptors(int fd, void *_Nonnull buffer, size_t length, int *_Nonnull fds, int *_Nonnull count);
int64_t clinux_sendto(int fd, const void *_Nonnull buffer, size_t length, const void *_Nonnull address, uint32_t address_length);
// poll(2) for POLLOUT without waiting: more than 0 when something can be written.
int clinux_has_room(int fd);
// The same for POLLIN.
int clinux_has_input(int fd);
// POLLHUP or POLLERR: 1 when nobody is at the other end any more, whatever can still be read.
int clinux_has_hung_up(int fd);
int clinux_if_nametoindex(const char *_Nonnull name);

// MARK: waiting

struct clinux_event {
    uint32_t events;
    uint64_t token;
} __attribute__((packed));

int clinux_epoll_create(void);
int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t token);
int clinux_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token);
int clinux_epoll_delete(int epoll, int fd);
// Timeout in milliseconds, -1 for ever.
int clinux_epoll_wait(int epoll, struct clinux_event *_Nonnull events, int count, int timeout);
int clinux_eventfd(void);
// Blocks the signals of the mask (bit n-1 is signal n) and reads them through a descriptor.
int clinux_signalfd(uint64_t mask);
// Reads one: the signal number, with the sender's pid in `*pid`.
int clinux_signalfd_read(int fd, int32_t *_Nonnull pid);
int clinux_unblock_all_signals(void);
int clinux_block_all_signals(void);
int clinux_ignore_signal(int signal);
int clinux_default_signal(int signal);
// Nanoseconds.
int64_t clinux_clock_monotonic(void);
int64_t clinux_clock_monotonic_coarse(void);
int64_t clinux_clock_realtime(void);

// MARK: memory

int clinux_memfd(const char *_Nonnull name);
int clinux_seal(int fd, int shrink, int grow, int write, int seal);
int clinux_ftruncate(int fd, int64_t size);
int64_t clinux_file_size(int fd);
void *_Nullable clinux_map_shared(int fd, size_t size, int writable, int *_Nonnull error);
// Anonymous, private, lazily backed.
void *_Nullable clinux_map_private(size_t size, int *_Nonnull error);
int clinux_unmap(void *_Nonnull address, size_t size);
int clinux_discard(void *_Nonnull address, size_t size);

// MARK: processes

int clinux_fork(void);
int clinux_execve(const char *_Nonnull path, char *_Nullable const *_Nonnull arguments, char *_Nullable const *_Nonnull environment);
// execveat(fd, "", ..., AT_EMPTY_PATH)
int clinux_fexecve(int fd, char *_Nullable const *_Nonnull arguments, char *_Nullable const *_Nonnull environment);
// WNOHANG unless `block`; 0 when nobody is to be reaped. `*status` as wait(2).
int clinux_waitpid(int pid, int *_Nonnull status, int block);
int clinux_kill(int pid, int signal);
int clinux_pidfd_open(int pid);
int clinux_pidfd_signal(int pidfd, int signal);
int clinux_set_process_name(const char *_Nonnull name);
// The variables as `NAME=value`, ended by NULL.
char *_Nullable *_Nullable clinux_environment(void);
// F_DUPFD_CLOEXEC: the copy's number is `minimum` or above.
int clinux_dup_above(int fd, int minimum);
// dup2: the copy survives execve(2).
int clinux_dup_onto(int fd, int target);
// close_range(2); both ends are closed.
int clinux_close_range(unsigned first, unsigned last);
int clinux_no_new_privileges(void);
int clinux_setsid(void);
int clinux_usable_cpus(void);
int clinux_get_limit(int resource, uint64_t *_Nonnull soft, uint64_t *_Nonnull hard);
int clinux_set_limit(int resource, uint64_t soft, uint64_t hard);
void clinux_exit(int status) __attribute__((noreturn));

// MARK: files

int clinux_open(const char *_Nonnull path, int flags, uint32_t mode);
int clinux_unlink(const char *_Nonnull path);
int clinux_rename(const char *_Nonnull from, const char *_Nonnull to);
int clinux_chmod(const char *_Nonnull path, uint32_t mode);
int clinux_chown(const char *_Nonnull path, uint32_t user, uint32_t group);
int clinux_fchmod(int fd, uint32_t mode);
int clinux_mkdir(const char *_Nonnull path, uint32_t mode);
int clinux_chdir(const char *_Nonnull path);
int clinux_umask(uint32_t mask);
struct clinux_file_status {
    uint32_t mode;
    uint32_t user;
    uint32_t group;
    int64_t size;
    uint64_t device;
    uint64_t inode;
};
int clinux_stat(const char *_Nonnull path, struct clinux_file_status *_Nonnull status);
int clinux_fstat(int fd, struct clinux_file_status *_Nonnull status);

// MARK: identity

int clinux_chroot(const char *_Nonnull path);
int clinux_geteuid(void);
int clinux_getegid(void);
// Looks a user up; -ENOENT when there is none.
int clinux_user_by_name(const char *_Nonnull name, uint32_t *_Nonnull user, uint32_t *_Nonnull group);
int clinux_group_by_name(const char *_Nonnull name, uint32_t *_Nonnull group);
int clinux_become(uint32_t user, uint32_t group);
// Keeps exactly the capabilities of the mask, permitted, effective and ambient, over a change of user.
int clinux_become_keeping(uint32_t user, uint32_t group, uint64_t capabilities);
// Gives up all capabilities but these, ambient ones too.
int clinux_limit_capabilities(uint64_t capabilities);
int clinux_has_capability(int capability);
