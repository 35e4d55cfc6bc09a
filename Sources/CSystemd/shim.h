// What is used of sd-daemon(3). The header itself is not included: it brings in a second idea of
// glibc's structures, which clashes with the one in Glibc's module.
#pragma once

#include <stdint.h>

int sd_notify(int unset_environment, const char *_Nonnull state);
// Beside FDSTORE=1 the descriptors are kept by the service manager.
int sd_pid_notify_with_fds(int pid, int unset_environment, const char *_Nonnull state, const int *_Nonnull fds, unsigned count);
// Returns when all that was sent before has been worked off; the limit is in microseconds.
int sd_notify_barrier(int unset_environment, uint64_t timeout);
