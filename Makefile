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
MODULES    := gsl jansson yaml-0.1 zlib sqlite3
PC_CFLAGS   = $(eval PC_CFLAGS := $$(shell pkg-config --cflags $(MODULES) 2>/dev/null))$(PC_CFLAGS)
PC_LIBS     = $(eval PC_LIBS := $$(shell pkg-config --libs $(MODULES) 2>/dev/null || \
                echo -lgsl -lgslcblas -ljansson -lyaml -lz -lsqlite3))$(PC_LIBS)
CHECK_LIBS  = $(eval CHECK_LIBS := $$(shell pkg-config --libs check 2>/dev/null || echo -lcheck))$(CHECK_LIBS)
GCC_FLAGS   = $(eval GCC_FLAGS := $$(if $$(findstring clang,$$(shell $(CC) --version 2>/dev/null)),,\
                -Wno-format-truncation))$(GCC_FLAGS)

KV_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wvla \
            -Wmissing-prototypes $(GCC_FLAGS) -ffp-contract=off -pthread -I. $(PC_CFLAGS)
EXTRA     =# of one object
COMPILE   = $(CC) $(KV_CFLAGS) $(EXTRA) $(CPPFLAGS) $(CFLAGS) $(SANITIZE)
LINK      = $(CC) $(CFLAGS) $(SANITIZE) -pthread $(LDFLAGS)
LIBS      = $(PC_LIBS) $(MPI_LIBS) -lcsv -lm
say       = $(if $(V),,@echo "  $1 $@"; )# `make V=1` shows whole commands

FOLDERS  := sim models models/strategies traces calib experiments experiments/published experiments/quality experiments/planning $(addprefix experiments/planning/,file search money sheet pilot) \
            experiments/study experiments/study/store experiments/tuning experiments/report
# Sweeps over many machines: with Open MPI where it is found (`make MPI=` leaves it out), else one rank alone.
MPI      := $(shell pkg-config --exists ompi-c 2>/dev/null && echo ompi-c)
MPI_LIBS  = $(if $(MPI),$(eval MPI_LIBS := $$(shell pkg-config --libs $(MPI)))$(MPI_LIBS))
LIB_SRC  := $(filter-out experiments/main.c experiments/study/ranks_$(if $(MPI),alone,mpi).c,$(wildcard $(FOLDERS:%=%/*.c)))
TEST_SRC := $(wildcard tests/test_*.c)
BENCH_SRC := $(wildcard tests/bench_*.c)
FUZZ_SRC := $(wildcard tests/fuzz_*.c)
HELP_SRC := $(filter-out $(TEST_SRC) $(BENCH_SRC) $(FUZZ_SRC) tests/replay.c,$(wildcard tests/*.c))
ALL_SRC  := $(LIB_SRC) experiments/main.c $(wildcard tests/*.c)

LIB      := $(BUILD)/libkvsim.a
TEST_LIB := $(BUILD)/tests/libtest.a
KB_TESTS := $(wildcard tests/test_kernels*.cc)
TESTS    := $(TEST_SRC:%.c=$(BUILD)/%) $(KB_TESTS:%.cc=$(BUILD)/%)
BENCHES  := $(BENCH_SRC:%.c=$(BUILD)/%)
REPLAYS  := $(FUZZ_SRC:%.c=$(BUILD)/%)
FUZZERS  := $(FUZZ_SRC:tests/%.c=$(BUILD)/libfuzzer/%)
RUN_TESTS = KVSIM_BIN=$(abspath $(BUILD)/kvsim) JOBS=$(JOBS) tests/run-tests.sh

# kvbench: the cpu device always, compiled once per instruction set; the cuda device where nvcc is found (make
# NVCC= leaves it out).
NVCC     := $(shell command -v nvcc 2>/dev/null)
CXX      ?= c++
KB_MAIN  := kernels/kvbench/main.c
KB_SRC   := $(filter-out $(KB_MAIN),$(wildcard $(addsuffix *.c,kernels/ kernels/cases/ kernels/cpu/ kernels/probes/ kernels/kvbench/)))
KB_OPS   := $(wildcard kernels/cpu/ops/*.c)
KB_X86   := $(filter x86_64 amd64,$(shell uname -m))
KB_ISAS  := base $(if $(KB_X86),avx2 avx512)
ISA_base   :=
ISA_avx2   := -mavx2 -mfma -mf16c
ISA_avx512 := $(ISA_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl
CU_OPS   := $(wildcard kernels/cuda/ops/*.cu)
CU_HOST  := $(wildcard kernels/cuda/*.cu)
CU_ARCH  := $(foreach a,80 86 89 90,-gencode arch=compute_$a,code=sm_$a) -gencode arch=compute_90,code=compute_90
CU_ARCH_WGMMA := -gencode arch=compute_90a,code=sm_90a
KBENCH   := $(BUILD)/libkbench.a
KB_SHIM  := $(BUILD)/libkbshim.a
KB_OBJ   := $(KB_SRC:%.c=$(BUILD)/%.o) $(foreach i,$(KB_ISAS),$(KB_OPS:kernels/cpu/ops/%.c=$(BUILD)/kernels/cpu/$i/%.o))
CU_OBJ   := $(if $(NVCC),$(CU_OPS:%.cu=$(BUILD)/%.o) $(CU_HOST:%.cu=$(BUILD)/%.o) $(BUILD)/kernels/cuda/table.o)
SHIM_OBJ := $(CU_OPS:kernels/cuda/ops/%.cu=$(BUILD)/kernels/shim/ops/%.o) $(BUILD)/kernels/shim/table.o \
            $(patsubst %.cc,$(BUILD)/%.o,$(wildcard kernels/shim/*.cc))
KB_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wvla \
            -Wmissing-prototypes $(GCC_FLAGS) -pthread -fopenmp -I.
# Ten megabytes instead of forty, where the compiler can (12.8 and later).
CU_SMALL  = $(eval CU_SMALL := $$(shell $(NVCC) --help 2>/dev/null | grep -q compress-mode && echo --compress-mode=size))$(CU_SMALL)
CU_FLAGS  = -std=c++17 -O3 -I. -lineinfo --threads 0 -Xcompiler -Wall,-Wextra,-pthread $(CU_SMALL)
SHIM_FLAGS = -std=c++17 -DKB_SHIM -Wall -Wextra -Wno-unknown-pragmas -Wno-strict-aliasing -pthread -I.
KB_LIBS   = -l:libcsv.a -l:libjansson.a -ldl -lrt -lm

ASAN := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DKVSIM_DEBUG
TSAN := -O1 -fsanitize=thread -DKVSIM_DEBUG

all: $(BUILD)/kvsim $(BUILD)/kvbench ## the programs, build/kvsim and build/kvbench

demo: deps ## install what is missing, build, run the shipped sample, write out/demo/report.html
	@$(MAKE) -O all
	@$(BUILD)/kvsim run experiments/scenarios/demo.yaml --out out/demo
	@echo "report: $(CURDIR)/out/demo/report.html"

check: deps ## install what is missing, build, run every test; the last line counts them
	@$(MAKE) -O programs
	@$(RUN_TESTS) $(TESTS) $(REPLAYS)

asan: deps ## the tests under address and undefined-behaviour sanitizers (build/asan)
	@$(MAKE) -O BUILD=$(BUILD)/asan SANITIZE="$(ASAN)" NVCC= programs
	@$(MAKE) BUILD=$(BUILD)/asan run-slow

tsan: deps ## the tests under the thread sanitizer (build/tsan)
	@$(MAKE) -O BUILD=$(BUILD)/tsan SANITIZE="$(TSAN)" NVCC= programs
	@OMP_NUM_THREADS=1 $(MAKE) BUILD=$(BUILD)/tsan run-slow # it knows nothing of how OpenMP's threads wait

fuzz: deps ## every fuzzer for FUZZ_SECONDS (60) with clang's libFuzzer; findings in build/fuzz
	@BUILD=$(BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) JOBS=$(JOBS) MAKE="$(MAKE)" tools/fuzz.sh $(FUZZ_SRC)

check-report: deps deps-report ## reports of every kind in a browser without a screen: console, network, keyboard, both widths, both languages
	@$(MAKE) -O all
	@tools/check-report.sh $(BUILD)

playbook: deps ## the shipped study "when to use what"; writes its tables into experiments/playbook/README.md
	@$(MAKE) -O all
	@experiments/playbook/table.sh $(BUILD)

bench: deps ## every benchmark, one after the other
	@$(MAKE) -O all benches
	@for b in $(BENCHES); do echo "# $${b##*/}"; KVSIM_BIN=$(abspath $(BUILD)/kvsim) $$b || exit 1; done

lint: deps ## headers alone, include rule, formatting, file lengths, folder READMEs, shell scripts
	@COMPILE="$(COMPILE)" COMPILE_CXX="$(CXX) $(SHIM_FLAGS)" JOBS=$(JOBS) tools/lint.sh

cover: deps ## line coverage of the tests by gcov; pages in build/cover/html where lcov is found
	@$(MAKE) -O BUILD=$(BUILD)/cover CFLAGS="-O0 -g" SANITIZE=--coverage NVCC= programs
	@find $(BUILD)/cover -name '*.gcda' -exec rm -f {} +
	@$(MAKE) BUILD=$(BUILD)/cover run-slow
	@tools/cover.sh $(BUILD)/cover $(FOLDERS)

kernels: deps ## build/kvbench with every CUDA target; checks registers, spills and instructions
	@$(MAKE) -O $(BUILD)/kvbench
	@BUILD=$(BUILD) NVCC="$(NVCC)" tools/cuda-check.sh $(CU_OPS)

loop: deps ## measure, fit, plan, execute and compare on the cpu device; prints the error beside the noise
	@$(MAKE) -O all
	@tools/loop.sh $(BUILD)

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

deps-mpi: ## Open MPI, for sweeps over many machines
	@tools/deps.sh mpi

deps-report: ## a browser without a screen and its driver, for check-report
	@tools/deps.sh report

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

# Libraries static, so that one file runs on any server with a driver; glibc and the driver are the machine's own.
$(BUILD)/kvbench: $(KB_MAIN:%.c=$(BUILD)/%.o) $(KBENCH) $(CU_OBJ) $(if $(NVCC),,$(BUILD)/kernels/cuda/absent.o)
	$(call say,link)$(CC) $(CFLAGS) $(SANITIZE) -pthread -static-libgcc $(LDFLAGS) -o $@ $(filter %.o,$^) \
	    $(KBENCH) \
	    $(if $(NVCC),-L$(dir $(NVCC))../lib64 -lcudart_static -l:libstdc++.a) $(KB_LIBS) \
	    -Wl,-Bstatic -lgomp -Wl,-Bdynamic

$(KBENCH): $(KB_OBJ) $(BUILD)/sources
	@rm -f $@
	$(call say,ar)$(AR) rcs $@ $(filter %.o,$^)

$(KB_SHIM): $(SHIM_OBJ) $(BUILD)/sources
	@rm -f $@
	$(call say,ar)$(AR) rcs $@ $(filter %.o,$^)

$(BUILD)/kernels/%.o: kernels/%.c $(BUILD)/flags | $(BUILD)/deps-present
	@mkdir -p $(@D)
	$(call say,cc)$(CC) $(KB_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -MMD -MP -c -o $@ $<

define ISA_RULE
$(BUILD)/kernels/cpu/$1/%.o: kernels/cpu/ops/%.c $(BUILD)/flags | $(BUILD)/deps-present
	@mkdir -p $$(@D)
	$$(call say,cc)$(CC) $$(KB_CFLAGS) -DKB_ISA=$1 $$(CPPFLAGS) $$(CFLAGS) -O3 $$(ISA_$1) $$(SANITIZE) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(KB_ISAS),$(eval $(call ISA_RULE,$i)))

$(BUILD)/kernels/cuda/ops/%_wgmma.o: CU_ARCH := $(CU_ARCH_WGMMA)
$(BUILD)/kernels/cuda/%.o: kernels/cuda/%.cu
	@mkdir -p $(@D)
	$(call say,nvcc)$(NVCC) $(CU_FLAGS) $(CU_ARCH) -Xptxas -v -MMD -MP -c -o $@ $< 2>$(@:.o=.ptxas) || { cat $(@:.o=.ptxas); exit 1; }

$(BUILD)/kernels/shim/ops/%.o: kernels/cuda/ops/%.cu $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,c++)$(CXX) $(SHIM_FLAGS) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -MMD -MP -c -x c++ -o $@ $<

# To the thread sanitizer, fibres are threads: it watches the kernels and the shim tells it what orders them.
SHIM_SANITIZE = $(patsubst -fsanitize=thread,-DKB_TSAN,$(SANITIZE))
$(BUILD)/kernels/shim/%.o: kernels/shim/%.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,c++)$(CXX) $(SHIM_FLAGS) $(CPPFLAGS) $(CFLAGS) $(SHIM_SANITIZE) -MMD -MP -c -o $@ $<

$(BUILD)/kernels/shim/table.o: kernels/cuda/table.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,cc)$(CC) $(KB_CFLAGS) -DKB_SHIM $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -MMD -MP -c -o $@ $<

# Tests of the kernels: the cpu device and the CUDA kernels over the shim.
$(BUILD)/tests/%.o: tests/%.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,c++)$(CXX) $(SHIM_FLAGS) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -MMD -MP -c -o $@ $<

$(BUILD)/tests/test_kernels%: $(BUILD)/tests/test_kernels%.o $(TEST_LIB) $(KBENCH) $(KB_SHIM) $(BUILD)/kernels/cuda/absent.o $(LIB)
	$(call say,link)$(CXX) $(CFLAGS) $(SANITIZE) -pthread -fopenmp $(LDFLAGS) -o $@ $(filter-out %.a,$^) \
	    $(KB_SHIM) $(KBENCH) $(TEST_LIB) $(LIB) $(CHECK_LIBS) $(LIBS) -ldl

$(LIB): $(LIB_SRC:%.c=$(BUILD)/%.o) $(BUILD)/sources
	@rm -f $@
	$(call say,ar)$(AR) rcs $@ $(filter %.o,$^)

$(TEST_LIB): $(HELP_SRC:%.c=$(BUILD)/%.o) $(BUILD)/sources
	@rm -f $@
	$(call say,ar)$(AR) rcs $@ $(filter %.o,$^)

$(BUILD)/%.o: %.c $(BUILD)/flags | $(BUILD)/deps-present
	@mkdir -p $(@D)
	$(call say,cc)$(COMPILE) -MMD -MP -c -o $@ $<

$(BUILD)/experiments/study/ranks_mpi.o: EXTRA = $(shell pkg-config --cflags $(MPI) 2>/dev/null | sed 's/-I/-isystem /g')

# The model's version: of the sources that numbers come from. Stored points of another one are never used again.
MODEL_SRC := $(sort $(wildcard $(addsuffix /*.[ch],sim models models/strategies traces) \
             $(addprefix experiments/,$(addsuffix .[ch],cache costs engine_keys figures keys kv_setup replicate run scenario setup values workload) study/point*.[ch])))
$(BUILD)/model_version.h: $(MODEL_SRC) $(BUILD)/sources
	@mkdir -p $(@D)
	@printf '#define EXP_MODEL_HASH "%s"\n' "$$(cat $(MODEL_SRC) | sha256sum | cut -c 1-12)" >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(BUILD)/experiments/study/point_version.o: $(BUILD)/model_version.h
$(BUILD)/experiments/study/point_version.o: EXTRA = -include $(BUILD)/model_version.h

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
$(BUILD)/sources: TEXT = $(sort $(ALL_SRC) $(KB_SRC) $(KB_OPS) $(CU_OPS))
$(BUILD)/flags $(BUILD)/sources: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(TEXT))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(TEXT))' >$@

# A plain `make` on a machine without the libraries says which, instead of failing in some header.
$(BUILD)/deps-present: tools/deps.sh
	@mkdir -p $(@D)
	@tools/deps.sh --check build
	@touch $@

-include $(ALL_SRC:%.c=$(BUILD)/%.d) $(KB_TESTS:%.cc=$(BUILD)/%.d) $(KB_OBJ:.o=.d) $(CU_OBJ:.o=.d) $(SHIM_OBJ:.o=.d) $(KB_MAIN:%.c=$(BUILD)/%.d)

.PHONY: all demo check check-report asan tsan fuzz bench lint cover kernels loop format playbook deps deps-lint deps-fuzz deps-cover \
        deps-mpi deps-report install \
        uninstall clean help programs benches fuzzers run-slow FORCE
.DELETE_ON_ERROR:
.SECONDARY:
