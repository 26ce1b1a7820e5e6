# Ringcast. `make help` lists what there is. Each mode has its own tree below build/, so they never mix:
#   release  what is shipped: optimised across files, hardened
#   debug    for work and for `make test`: checks and poisoning on
#   asan     address and undefined-behaviour sanitizers       tsan   thread sanitizer; both can fail on purpose (core/base/faults.h)
#   fuzz     clang's libFuzzer with the address sanitizer
# V=1 shows whole commands; MODE=asan with unit, sim and integration runs them under that mode.

MODE         ?= debug
LISTEN       ?= 127.0.0.1:8080
FUZZ_SECONDS ?= 10
ARCH         ?= $(shell uname -m)
WERROR       ?= -Werror
ifeq ($(origin CC),default)
CC := gcc
endif
# Each reads the objects of its own link-time optimisation.
ifeq ($(origin AR),default)
AR := $(if $(findstring clang,$(CC)),ar,gcc-ar)
endif
CLANG        ?= clang

.DEFAULT_GOAL := release
.DELETE_ON_ERROR:
.SECONDARY:
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

VERSION := $(patsubst v%,%,$(shell git describe --tags --match 'v[0-9]*' 2>/dev/null || echo 0.1.0))

# ---- what there is -------------------------------------------------------------------------------------------------

MODES       := release debug asan tsan fuzz
CORE        := $(wildcard core/*/*.c)
GATEWAY     := $(wildcard gateway/*.c)
BENCH       := $(wildcard bench/*.c)
WEB         := $(wildcard gateway/web/* gateway/web/*/*)
SUPPORT     := $(wildcard tests/support/*.c)
UNIT        := $(wildcard tests/unit/test_*.c)
SIM         := $(wildcard tests/sim/sim_*.c)
FUZZ        := $(wildcard tests/fuzz/fuzz_*.c)
INTEGRATION := $(wildcard tests/integration/test_*.py)
CONFORMANCE := $(wildcard tests/conformance/test_*.py)
# The version is compiled into these alone, so that a commit does not rebuild the house.
VERSIONED   := $(if $(GATEWAY)$(BENCH),$(shell grep -ls RINGCAST_VERSION $(GATEWAY) $(BENCH)))

# ---- how it is compiled --------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wno-unused-parameter -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
            -Wvla -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wimplicit-fallthrough -Wnested-externs $(WERROR)
COMMON    = -std=gnu17 -I. $(TLS_CPPFLAGS) -D_GNU_SOURCE -g -fPIE -fno-common $(WARNINGS) -MMD -MP
BRANCHES := $(if $(filter x86_64,$(ARCH)),-fcf-protection)$(if $(filter aarch64,$(ARCH)),-mbranch-protection=standard)
# clang does not know all warnings by name.
CHECKED  := -DRINGCAST_DEBUG=1 -fno-omit-frame-pointer -Wno-maybe-uninitialized -Wno-unknown-warning-option
HARD     := -fstack-protector-strong -fstack-clash-protection $(BRANCHES)
SEALED   := -pie -Wl,-z,relro,-z,now,-z,noexecstack

CC.release := $(CC)
CC.debug   := $(CC)
CC.asan    := $(CC)
CC.tsan    := $(CC)
CC.fuzz    := $(CLANG)

# For any x86-64 or arm64 machine: faster instructions are chosen by the code at start, never by -march.
CFLAGS.release := -O2 -flto=auto -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 $(HARD)
CFLAGS.debug   := -Og $(HARD) $(CHECKED)
CFLAGS.asan    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all $(CHECKED) -DRINGCAST_FAULTS=1
CFLAGS.tsan    := -O1 -fsanitize=thread $(CHECKED) -DRINGCAST_FAULTS=1
CFLAGS.fuzz    := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
                  $(CHECKED) -Wno-missing-prototypes -Wno-unknown-attributes

LDFLAGS.release := -O2 -flto=auto $(HARD) $(SEALED)
LDFLAGS.debug   := $(SEALED)
# Faults on purpose (core/base/faults.h), where an environment variable asks for them.
FAULTY          := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc
LDFLAGS.asan    := -pie -fsanitize=address,undefined $(FAULTY)
LDFLAGS.tsan    := -pie -fsanitize=thread $(FAULTY)
LDFLAGS.fuzz    := -pie -fsanitize=fuzzer,address,undefined

# Kept although nothing calls it by name: it takes the place of malloc.
JEMALLOC      := -Wl,--no-as-needed -ljemalloc -Wl,--as-needed
# TLS and cryptography, of core/io alone: the library built for speed, once, or else the system's, as deploy/tls-library says in tls.mk,
# which make itself makes where a goal compiles. WOLFSSL=-lwolfssl takes the system's without asking.
ifdef WOLFSSL
TLS_NAME := $(WOLFSSL)
TLS_LIBS := $(WOLFSSL)
else ifneq ($(filter-out help clean layers format image image-test deps-tls,$(or $(MAKECMDGOALS),release)),)
TLS_MADE := build/deps/tls.mk
include $(TLS_MADE)
endif
LIBS          := $(TLS_LIBS) -luring -linih -lz -lpthread -lm
LIBS.release  := $(JEMALLOC) $(LIBS)
LIBS.debug    := $(JEMALLOC) $(LIBS)
LIBS.asan     := $(LIBS)
LIBS.tsan     := $(LIBS)
LIBS.fuzz     := $(LIBS)
# The fuzzers bring their own main and are no cmocka programs.
$(foreach mode,release debug asan tsan,$(eval LIBS_OF_TESTS.$(mode) := -lcmocka))

# ---- the rules of one mode, written once ---------------------------------------------------------------------------

say = @$(if $(V),,printf '%-7s %-4s %s\n' $(1) $(2) $@;)$(if $(V),set -x;)
objects = $(patsubst %.c,build/$(1)/%.o,$(2))

define rules
build/$(1)/%.o: %.c Makefile | deps
	$$(call say,$(1),cc) mkdir -p $$(@D) && $(CC.$(1)) $(COMMON) $(CFLAGS.$(1)) $$(EXTRA) $(CPPFLAGS) $(CFLAGS) -c $$< -o $$@

$(call objects,$(1),$(wildcard core/io/*.c)): $(TLS_MADE)
build/$(1)/core/io/crypto.o: EXTRA += -DRINGCAST_TLS_NAME='"$(TLS_NAME)"'

# Assembler text at file level does not travel through link-time optimisation.
build/$(1)/gateway/web.o: EXTRA := -fno-lto
build/$(1)/gateway/web.o: $(WEB)
$(if $(VERSIONED),$(call objects,$(1),$(VERSIONED)): EXTRA += -DRINGCAST_VERSION='"$(VERSION)"')
$(if $(VERSIONED),$(call objects,$(1),$(VERSIONED)): build/version)

build/$(1)/libcore.a: $(call objects,$(1),$(CORE))
build/$(1)/libgateway.a: $(call objects,$(1),$(filter-out gateway/main.c,$(GATEWAY)))
build/$(1)/libbench.a: $(call objects,$(1),$(filter-out bench/main.c,$(BENCH)))
build/$(1)/libsupport.a: $(call objects,$(1),$(SUPPORT))
build/$(1)/lib%.a: | deps
	$$(call say,$(1),ar) mkdir -p $$(@D) && rm -f $$@ && $(AR) rcs $$@ $$(filter %.o,$$^)

build/$(1)/ringcast: $(call objects,$(1),$(GATEWAY)) build/$(1)/libcore.a
	$$(call say,$(1),link) $(CC.$(1)) $(LDFLAGS.$(1)) $(LDFLAGS) -o $$@ $$^ $(LIBS.$(1))
build/$(1)/ringcast-bench: $(call objects,$(1),$(BENCH)) build/$(1)/libcore.a
	$$(call say,$(1),link) $(CC.$(1)) $(LDFLAGS.$(1)) $(LDFLAGS) -o $$@ $$^ $(LIBS.$(1))
endef

# A test is linked to the gateway or the bench only where it includes of them, so that the core's tests stand alone.
TESTS      := $(UNIT) $(SIM) $(FUZZ)
ON_GATEWAY := $(if $(TESTS),$(shell grep -ls '"gateway/' $(TESTS)))
ON_BENCH   := $(if $(TESTS),$(shell grep -ls '"bench/' $(TESTS)))
ARCHIVES    = -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

define test_rules
build/$(1)/tests/%: build/$(1)/tests/%.o build/$(1)/libsupport.a build/$(1)/libcore.a
	$$(call say,$(1),link) $(CC.$(1)) $(LDFLAGS.$(1)) $(LDFLAGS) -o $$@ $$< $$(ARCHIVES) $(LIBS_OF_TESTS.$(1)) $(LIBS.$(1))
$(if $(ON_GATEWAY),$(patsubst %.c,build/$(1)/%,$(ON_GATEWAY)): build/$(1)/libgateway.a)
$(if $(ON_BENCH),$(patsubst %.c,build/$(1)/%,$(ON_BENCH)): build/$(1)/libbench.a)
PROGRAMS.$(1) := $(if $(GATEWAY),build/$(1)/ringcast) $(if $(BENCH),build/$(1)/ringcast-bench)
UNIT.$(1)     := $(patsubst %.c,build/$(1)/%,$(UNIT))
SIM.$(1)      := $(patsubst %.c,build/$(1)/%,$(SIM))
RUN.$(1)      := RINGCAST=build/$(1)/ringcast RINGCAST_BENCH=build/$(1)/ringcast-bench tests/run
endef

$(foreach mode,$(MODES),$(eval $(call rules,$(mode)))$(eval $(call test_rules,$(mode))))

# Touched only when the version changes.
build/version: always
	@mkdir -p build && { [ "$$(cat $@ 2>/dev/null)" = '$(VERSION)' ] || echo '$(VERSION)' >$@; }

-include $(foreach mode,$(MODES),$(patsubst %.c,build/$(mode)/%.d,$(CORE) $(GATEWAY) $(BENCH) $(SUPPORT) $(UNIT) $(SIM) $(FUZZ)))

build/deps/tls.mk: deploy/tls-library
	@deploy/setup build && deploy/tls-library build/deps
# Again, and in vain is an error.
deps-tls:
	@deploy/setup build && deploy/tls-library build/deps && grep -q '^TLS_CPPFLAGS' build/deps/tls.mk

# What the build lacks is installed first, and never more than the goals need.
NEEDS := build $(if $(filter run run-tls,$(MAKECMDGOALS)),run) $(if $(filter-out run run-tls release bench instructions image% build/release/ringcast%,$(MAKECMDGOALS)),test) $(if $(filter format tidy fuzz,$(MAKECMDGOALS)),lint)
deps:
	@deploy/setup $(NEEDS)

# ---- what one asks for ---------------------------------------------------------------------------------------------

.PHONY: always deps deps-tls help all run run-tls release debug asan tsan test unit sim integration conformance interop fuzz bench instructions image image-test layers format tidy clean

help:
	@sed -n 's/^#: //p' $(firstword $(MAKEFILE_LIST))

#: make run          build, make a key, start the gateway with its demo feed on LISTEN (127.0.0.1:8080)
#: make run-tls      the same with https and wss on TLS_LISTEN (127.0.0.1:8443), by an authority and a certificate that it makes in build/
#: make release      build/release/ringcast and build/release/ringcast-bench (what plain `make` does)
#: make debug        the same with checks and poisoning, in build/debug
#: make all          release, debug and the test programs
#: make test         all tests on the debug build: unit, sim, integration, conformance
#: make unit         the unit tests alone            (MODE=debug | asan | tsan | release)
#: make sim          the simulations alone           (MODE=…)
#: make integration  the real program over loopback  (MODE=…)
#: make conformance  the real program against tables of cases from the standards, by section (MODE=…)
#: make interop      WebSocket clients of others: browsers, Node, Python, Go, Perl, Ruby, curl (`deploy/setup interop` installs them)
#: make asan         all tests under the address and undefined-behaviour sanitizers
#: make tsan         unit and integration tests under the thread sanitizer, gateways with four shards
#: make fuzz         each fuzzer for FUZZ_SECONDS (10)
#: make bench        measure all in under ten minutes: a report with plots in bench/results/, its table in README.md
#: make instructions count what the engine and single steps take, by callgrind; the table is bench/results/instructions.md
#: make image        the container image IMAGE (ringcast) from BASE (debian:bookworm-slim), by docker, podman or buildah
#: make image-test   the image built by buildah and run by runc under deploy/seccomp.json, and refused without io_uring
#: make layers       check who includes whom, where atomics stand, how long files are
#: make format       clang-format over all sources, in place
#: make tidy         clang-tidy over all sources
#: make deps-tls     build the fast wolfSSL into build/deps (done once by what needs it; this does it again)
#: make clean        remove build/

release: $(PROGRAMS.release)
debug: $(PROGRAMS.debug)
all: release debug $(UNIT.debug) $(SIM.debug)

ASAN_OPTIONS  ?= detect_stack_use_after_return=1:strict_string_checks=1
UBSAN_OPTIONS ?= print_stacktrace=1
TSAN_OPTIONS  ?= second_deadlock_stack=1
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS
# Each simulation runs seeds for so long; both together for at least a minute in `make test`. The sanitizers take their time.
SIM_SECONDS ?= $(if $(filter asan tsan,$(MODE) $(MAKECMDGOALS)),15,30)
export SIM_SECONDS

test: $(PROGRAMS.debug) $(UNIT.debug) $(SIM.debug) | deps
	@$(RUN.debug) $(UNIT.debug) $(SIM.debug) $(INTEGRATION) $(CONFORMANCE)
asan: $(PROGRAMS.asan) $(UNIT.asan) $(SIM.asan) | deps
	@$(RUN.asan) $(UNIT.asan) $(SIM.asan) $(INTEGRATION) $(CONFORMANCE)
# Without the simulations, which have one thread; gateways have more shards than there may be CPUs.
tsan: export RINGCAST_TEST_SHARDS ?= 4
asan tsan: export RINGCAST_TEST_PATIENCE ?= 30
tsan: $(PROGRAMS.tsan) $(UNIT.tsan) | deps
	@$(RUN.tsan) $(UNIT.tsan) $(INTEGRATION) $(CONFORMANCE)
unit: $(UNIT.$(MODE)) | deps
	@$(RUN.$(MODE)) $^
sim: $(SIM.$(MODE)) | deps
	@$(RUN.$(MODE)) $^
integration: $(PROGRAMS.$(MODE)) | deps
	@$(RUN.$(MODE)) $(INTEGRATION)
# Browsers and compiled clients take their time, and those that are not there are skipped.
interop: $(PROGRAMS.$(MODE)) | deps
	@$(RUN.$(MODE)) tests/conformance/test_interop.py tests/conformance/interop.py
conformance: $(PROGRAMS.$(MODE)) | deps
	@$(RUN.$(MODE)) $(CONFORMANCE)

FUZZ.fuzz := $(patsubst %.c,build/fuzz/%,$(FUZZ))
fuzz: $(FUZZ.fuzz) | deps
	@tests/run --fuzz $(FUZZ_SECONDS) $^

run: release build/demo.key build/admin.key
	@key=$$(cat build/demo.key); admin=$$(cat build/admin.key); at='http://$(patsubst 0.0.0.0:%,127.0.0.1:%,$(LISTEN))'; \
	printf '\nboard    %s/\ndash     %s/dash?token=%s\npublish  curl -H "Authorization: Bearer %s" -d '\''{"p":189.32}'\'' %s/v1/topics/hello\nread     curl %s/v1/topics/hello\nstop     Ctrl-C\n\n' "$$at" "$$at" "$$admin" "$$key" "$$at" "$$at"; \
	RINGCAST_AUTH_PUBLISH_KEY=$$key; RINGCAST_AUTH_ADMIN_KEY=$$admin; export RINGCAST_AUTH_PUBLISH_KEY RINGCAST_AUTH_ADMIN_KEY; \
	exec build/release/ringcast serve --listen $(LISTEN) --demo $(ARGS)

TLS_LISTEN ?= 127.0.0.1:8443
run-tls: release build/demo.key build/admin.key
	@deploy/local-authority build/authority $(filter-out 0.0.0.0 127.0.0.1 localhost,$(firstword $(subst :, ,$(TLS_LISTEN))))
	@key=$$(cat build/demo.key); admin=$$(cat build/admin.key); at='$(patsubst 0.0.0.0:%,127.0.0.1:%,$(TLS_LISTEN))'; ca=build/authority/ca.pem; \
	printf '\nboard    https://%s/ (once the browser trusts %s)\ndash     https://%s/dash?token=%s\npublish  curl --cacert %s -H "Authorization: Bearer %s" -d '\''{"p":189.32}'\'' https://%s/v1/topics/hello\nread     curl --cacert %s https://%s/v1/topics/hello\nfollow   build/release/ringcast tail --cacert %s wss://%s hello\nstop     Ctrl-C\n\n' \
	    "$$at" "$$ca" "$$at" "$$admin" "$$ca" "$$key" "$$at" "$$ca" "$$at" "$$ca" "$$at"; \
	RINGCAST_AUTH_PUBLISH_KEY=$$key; RINGCAST_AUTH_ADMIN_KEY=$$admin; export RINGCAST_AUTH_PUBLISH_KEY RINGCAST_AUTH_ADMIN_KEY; \
	exec build/release/ringcast serve --listen $(LISTEN) --tls-listen $(TLS_LISTEN) --cert build/authority/server.pem --key build/authority/server.key --demo $(ARGS)

build/demo.key build/admin.key:
	@mkdir -p build && umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >$@.new && mv $@.new $@ && echo "made a key: $@"

bench: $(PROGRAMS.release)
	@bench/suite

instructions: build/release/ringcast-bench
	@bench/instructions

IMAGE ?= ringcast
BASE  ?=
export BASE
image:
	@VERSION='$(VERSION)' deploy/image $(IMAGE)
# Apart from `make test`: it takes minutes, root, and what deploy/setup image installs.
image-test: export TEST_TIMEOUT ?= 1800
image-test:
	@for tool in buildah runc debootstrap; do \
	    command -v $$tool >/dev/null || { echo "image-test: skipped, $$tool is not here; \`deploy/setup image\` installs it"; exit 0; }; done; \
	[ "$$(id -u)" = 0 ] || { echo "image-test: skipped, it needs root to mount and to run the image"; exit 0; }; \
	tests/run tests/integration/image.py

layers: | deps
	@tests/layers

SOURCES := $(CORE) $(GATEWAY) $(BENCH) $(SUPPORT) $(UNIT) $(SIM) $(FUZZ)
HEADERS := $(wildcard core/*/*.h gateway/*.h bench/*.h tests/*/*.h)
format: | deps
	clang-format -i $(SOURCES) $(HEADERS)
tidy: | deps
	clang-tidy --quiet $(CORE) $(GATEWAY) $(BENCH) -- -std=gnu17 -I. $(TLS_CPPFLAGS) -D_GNU_SOURCE -DRINGCAST_VERSION='"$(VERSION)"'

clean:
	rm -rf build
