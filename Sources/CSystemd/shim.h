// What is used of sd-daemon(3). The header itself is not included: it brings in a second idea of
// glibc's structures, which clashes with the one in Glibc's module.
#pragma once

int sd_notify(int unset_environment, const char *_Nonnull state);
