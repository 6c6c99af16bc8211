# kvsim: `make help` lists what can be made. On a bare Debian or Ubuntu, `make demo` and `make check` need no step before.
BUILD   ?= build
PREFIX  ?= /usr/local
CFLAGS  ?= -O2 -g
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 60

# Parallel by default; `make -j1` wins, and an outer make keeps its own number.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif
MAKEFLAGS += --no-print-directory
ifneq ($(word 2,$(MAKECMDGOALS)),)
.NOTPARALLEL: # `make clean all`, `make check lint`: one after the other
endif

# Asked of pkg-config at first use and kept: on a bare machine there is none until `deps` has run.
MODULES    := gsl jansson yaml-0.1 zlib
PC_CFLAGS   = $(eval PC_CFLAGS := $$(shell pkg-config --cflags $(MODULES) 2>/dev/null))$(PC_CFLAGS)
PC_LIBS     = $(eval PC_LIBS := $$(shell pkg-config --libs $(MODULES) 2>/dev/null || \
                echo -lgsl -lgslcblas -ljansson -lyaml -lz))$(PC_LIBS)
CHECK_LIBS  = $(eval CHECK_LIBS := $$(shell pkg-config --libs check 2>/dev/null || echo -lcheck))$(CHECK_LIBS)
GCC_FLAGS   = $(eval GCC_FLAGS := $$(if $$(findstring clang,$$(shell $(CC) --version 2>/dev/null)),,\
                -Wno-format-truncation))$(GCC_FLAGS)

KV_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wvla \
            -Wmissing-prototypes $(GCC_FLAGS) -ffp-contract=off -pthread -I. $(PC_CFLAGS)
COMPILE   = $(CC) $(KV_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(SANITIZE)
LINK      = $(CC) $(CFLAGS) $(SANITIZE) -pthread $(LDFLAGS)
LIBS      = $(PC_LIBS) -lcsv -lm
say       = $(if $(V),,@echo "  $1 $@"; )# `make V=1` shows whole commands

FOLDERS  := sim models traces calib experiments
LIB_SRC  := $(filter-out experiments/main.c,$(wildcard $(FOLDERS:%=%/*.c)))
TEST_SRC := $(wildcard tests/test_*.c)
BENCH_SRC := $(wildcard tests/bench_*.c)
FUZZ_SRC := $(wildcard tests/fuzz_*.c)
HELP_SRC := $(filter-out $(TEST_SRC) $(BENCH_SRC) $(FUZZ_SRC) tests/replay.c,$(wildcard tests/*.c))
ALL_SRC  := $(LIB_SRC) experiments/main.c $(wildcard tests/*.c)

LIB      := $(BUILD)/libkvsim.a
TEST_LIB := $(BUILD)/tests/libtest.a
TESTS    := $(TEST_SRC:%.c=$(BUILD)/%)
BENCHES  := $(BENCH_SRC:%.c=$(BUILD)/%)
REPLAYS  := $(FUZZ_SRC:%.c=$(BUILD)/%)
FUZZERS  := $(FUZZ_SRC:tests/%.c=$(BUILD)/libfuzzer/%)
RUN_TESTS = KVSIM_BIN=$(abspath $(BUILD)/kvsim) JOBS=$(JOBS) tests/run-tests.sh

ASAN := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DKVSIM_DEBUG
TSAN := -O1 -fsanitize=thread -DKVSIM_DEBUG

all: $(BUILD)/kvsim ## the program, build/kvsim

demo: deps ## install what is missing, build, run the shipped sample, write out/demo/report.html
	@$(MAKE) -O all
	@$(BUILD)/kvsim run experiments/scenarios/demo.yaml --out out/demo
	@echo "report: $(CURDIR)/out/demo/report.html"

check: deps ## install what is missing, build, run every test; the last line counts them
	@$(MAKE) -O programs
	@$(RUN_TESTS) $(TESTS) $(REPLAYS)

asan: deps ## the tests under address and undefined-behaviour sanitizers (build/asan)
	@$(MAKE) -O BUILD=$(BUILD)/asan SANITIZE="$(ASAN)" programs
	@$(MAKE) BUILD=$(BUILD)/asan run-slow

tsan: deps ## the tests under the thread sanitizer (build/tsan)
	@$(MAKE) -O BUILD=$(BUILD)/tsan SANITIZE="$(TSAN)" programs
	@$(MAKE) BUILD=$(BUILD)/tsan run-slow

fuzz: deps ## every fuzzer for FUZZ_SECONDS (60) with clang's libFuzzer; findings in build/fuzz
	@BUILD=$(BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) JOBS=$(JOBS) MAKE="$(MAKE)" tools/fuzz.sh $(FUZZ_SRC)

bench: deps ## every benchmark, one after the other
	@$(MAKE) -O all benches
	@for b in $(BENCHES); do echo "# $${b##*/}"; KVSIM_BIN=$(abspath $(BUILD)/kvsim) $$b || exit 1; done

lint: deps ## headers alone, include rule, formatting, file lengths, folder READMEs, shell scripts
	@COMPILE="$(COMPILE)" JOBS=$(JOBS) tools/lint.sh

cover: deps ## line coverage of the tests by gcov; pages in build/cover/html where lcov is found
	@$(MAKE) -O BUILD=$(BUILD)/cover CFLAGS="-O0 -g" SANITIZE=--coverage programs
	@find $(BUILD)/cover -name '*.gcda' -exec rm -f {} +
	@$(MAKE) BUILD=$(BUILD)/cover run-slow
	@tools/cover.sh $(BUILD)/cover $(FOLDERS)

kernels: ## the CUDA kernels, where nvcc is found
	@if command -v nvcc >/dev/null 2>&1; then echo "kernels: nvcc found, but there are no kernels in this version"; \
	 else echo "kernels: nvcc not found; there are no kernels in this version either"; fi

format: ## lay out every source with clang-format
	@tools/clang-format.sh -i

deps: ## install the packages that are missing (apt-get; names only on other systems)
	@tools/deps.sh build

deps-lint: ## clang-format and shellcheck
	@tools/deps.sh lint

deps-fuzz: ## clang with libFuzzer
	@tools/deps.sh fuzz

deps-cover: ## lcov
	@tools/deps.sh cover

install: all ## program, data and scenarios under DESTDIR and PREFIX (/usr/local)
	@tools/install.sh install $(BUILD) "$(DESTDIR)$(PREFIX)"

uninstall: ## take away what install put there
	@tools/install.sh uninstall $(BUILD) "$(DESTDIR)$(PREFIX)"

clean: ## everything that was built
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "  V=1 shows whole commands; BUILD=$(BUILD) CC=$(CC) CFLAGS='$(CFLAGS)' PREFIX=$(PREFIX)"

programs: all $(TESTS) $(REPLAYS)
benches: $(BENCHES)
fuzzers: $(FUZZERS)

# The same tests with more patience, for builds that are many times slower; $(RUN_TESTS) turns off address-space
# randomisation where it may, because older sanitizers fail at random under today's wide setting.
run-slow:
	@CK_TIMEOUT_MULTIPLIER=30 TEST_SECONDS=900 FIXED_ADDRESSES=1 $(RUN_TESTS) $(TESTS) $(REPLAYS)

$(BUILD)/kvsim: $(BUILD)/experiments/main.o $(LIB)
	$(call say,link)$(LINK) -o $@ $^ $(LIBS)

$(LIB): $(LIB_SRC:%.c=$(BUILD)/%.o) $(BUILD)/sources
	@rm -f $@
	$(call say,ar)$(AR) rcs $@ $(filter %.o,$^)

$(TEST_LIB): $(HELP_SRC:%.c=$(BUILD)/%.o) $(BUILD)/sources
	@rm -f $@
	$(call say,ar)$(AR) rcs $@ $(filter %.o,$^)

$(BUILD)/%.o: %.c $(BUILD)/flags | $(BUILD)/deps-present
	@mkdir -p $(@D)
	$(call say,cc)$(COMPILE) -MMD -MP -c -o $@ $<

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(TEST_LIB) $(LIB)
	$(call say,link)$(LINK) -o $@ $^ $(CHECK_LIBS) $(LIBS)

$(BUILD)/tests/bench_%: $(BUILD)/tests/bench_%.o $(LIB)
	$(call say,link)$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/tests/fuzz_%: $(BUILD)/tests/fuzz_%.o $(BUILD)/tests/replay.o $(LIB)
	$(call say,link)$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/libfuzzer/fuzz_%: $(BUILD)/tests/fuzz_%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,link)$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBS)

# Two files that change only when their text does, so that other flags or a removed source rebuild what they must.
$(BUILD)/flags: TEXT = $(COMPILE)
$(BUILD)/sources: TEXT = $(sort $(ALL_SRC))
$(BUILD)/flags $(BUILD)/sources: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(TEXT))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(TEXT))' >$@

# A plain `make` on a machine without the libraries says which, instead of failing in some header.
$(BUILD)/deps-present: tools/deps.sh
	@mkdir -p $(@D)
	@tools/deps.sh --check build
	@touch $@

-include $(ALL_SRC:%.c=$(BUILD)/%.d)

.PHONY: all demo check asan tsan fuzz bench lint cover kernels format deps deps-lint deps-fuzz deps-cover install \
        uninstall clean help programs benches fuzzers run-slow FORCE
.DELETE_ON_ERROR:
.SECONDARY:
