# `make help` says what can be made here; README.md and CONTRIBUTING.md say when and why.

prefix     ?= /usr/local
sysconfdir ?= /etc
DESTDIR    ?=

bindir     = $(DESTDIR)$(prefix)/bin
sbindir    = $(DESTDIR)$(prefix)/sbin
libexecdir = $(DESTDIR)$(prefix)/libexec/sluice
libdir     = $(DESTDIR)$(prefix)/lib
datadir    = $(DESTDIR)$(prefix)/share

SWIFT ?= swift
BUILT  = .build/release
# An import that Package.swift does not declare is an error: that keeps the rooms apart.
CHECKS  = --explicit-target-dependency-import-check error
RELEASE = -c release --static-swift-stdlib $(CHECKS)

# Seconds that each fuzz target runs, and how: one on each processor.
FUZZ_SECONDS ?= 60
FUZZ = ls Tests/Fuzz/*/main.swift | cut -d / -f 3 | xargs -P "$$(nproc)" -I % Tests/Fuzz/run %

SHELL = /bin/bash
.SHELLFLAGS = -euo pipefail -c
.DEFAULT_GOAL = help
.PHONY: help run test build next unit integration demo installation lint fuzz counts bench deps install uninstall clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## See it work: two TLS servers, sluice in front of them, real requests
	@.ci/deps build demo
	@$(MAKE) --no-print-directory build
	@Tests/Demo/run

test: ## Run every test; says how long each stage took
	@.ci/deps build demo test
	@.ci/stages lint unit build next integration demo installation counts fuzz

build: ## Build the three programs for release, into .build/release
	$(SWIFT) build $(RELEASE)

# What tests upgrade to: where all lies elsewhere in the ledger, and records say more. The data plane alone.
next: ## Build the daemon of the release to come, for tests of upgrades, into .build/next
	$(SWIFT) build --product sluice --scratch-path .build/next --static-swift-stdlib -Xswiftc -DNEXT_LAYOUT $(CHECKS)

# One at a time: some hammer the processors for a second, and others, beside them, would miss deadlines.
unit: ## Run the unit and property tests (a debug build)
	$(SWIFT) test --disable-xctest --no-parallel $(CHECKS)

integration: build next ## Run the built programs among real clients and servers; ARGS goes to pytest
	Tests/Integration/run $(ARGS)

demo: build ## Check that `make run` shows what it promises
	Tests/Demo/run --check

installation: build ## Install into a scratch directory; check units, man pages, completions
	.ci/installation

lint: ## Check the style of the Swift sources; `swift format -ir Sources Tests` mends most of it
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests

fuzz: ## Fuzz every parser that strangers reach, FUZZ_SECONDS each; then see it find planted bugs
	@$(FUZZ) --seconds $(FUZZ_SECONDS)
	@$(FUZZ) --seconds $(FUZZ_SECONDS) --planted

counts: build ## Count what traffic costs: system calls, instructions, wake-ups, bytes; more than is allowed fails
	Tests/Benchmarks/run --quick $(ARGS)

bench: ## Measure sluice beside its peers; ARGS goes to it: --only, --rounds, --json (HAPROXY= names another)
	@.ci/deps build demo test bench
	@test -x $(BUILT)/sluice || $(MAKE) --no-print-directory build
	@Tests/Benchmarks/run $(ARGS)

deps: ## Install what is missing for all of this (Debian; the one thing that needs root)
	@.ci/deps build demo test

install: ## Install programs, units, man pages and completions: prefix=, sysconfdir=, DESTDIR=
	@test -x $(BUILT)/sluice || { echo "nothing is built yet: make build" >&2; exit 1; }
	install -d $(DESTDIR)$(sysconfdir)/sluice
	install -D -t $(sbindir) $(BUILT)/sluice
	install -D -t $(bindir) $(BUILT)/sluicectl
	install -D -t $(libexecdir) $(BUILT)/sluice-controller systemd/clean-up
	for unit in sluice.service sluice.socket; do \
	  sed 's|@prefix@|$(prefix)|g; s|@sysconfdir@|$(sysconfdir)|g' systemd/$$unit | \
	    install -D -m 644 /dev/stdin $(libdir)/systemd/system/$$unit; \
	done
	install -D -m 644 systemd/sysusers.d/sluice.conf $(libdir)/sysusers.d/sluice.conf
	install -D -m 644 systemd/tmpfiles.d/sluice.conf $(libdir)/tmpfiles.d/sluice.conf
	install -D -m 644 man/sluice.8 $(datadir)/man/man8/sluice.8
	install -D -m 644 man/sluice.cfg.5 $(datadir)/man/man5/sluice.cfg.5
	install -D -m 644 man/sluicectl.1 $(datadir)/man/man1/sluicectl.1
	install -D -m 644 -t $(datadir)/doc/sluice README.md CHANGELOG.md LICENSE systemd/notify-reload.conf
	$(BUILT)/sluicectl --generate-completion-script bash | \
	  install -D -m 644 /dev/stdin $(datadir)/bash-completion/completions/sluicectl
	$(BUILT)/sluicectl --generate-completion-script zsh | \
	  install -D -m 644 /dev/stdin $(datadir)/zsh/site-functions/_sluicectl
	$(BUILT)/sluicectl --generate-completion-script fish | \
	  install -D -m 644 /dev/stdin $(datadir)/fish/vendor_completions.d/sluicectl.fish

uninstall: ## Remove what `make install` with the same prefix= and DESTDIR= installed; not /etc/sluice
	rm -rf $(libexecdir) $(datadir)/doc/sluice
	rm -f $(sbindir)/sluice $(bindir)/sluicectl $(libdir)/systemd/system/sluice.{service,socket}
	rm -f $(libdir)/{sysusers,tmpfiles}.d/sluice.conf
	rm -f $(datadir)/man/{man8/sluice.8,man5/sluice.cfg.5,man1/sluicectl.1}
	rm -f $(datadir)/bash-completion/completions/sluicectl $(datadir)/zsh/site-functions/_sluicectl
	rm -f $(datadir)/fish/vendor_completions.d/sluicectl.fish

clean: ## Remove everything that was built
	rm -rf .build
