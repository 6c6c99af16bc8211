# kvsim: make demo | check | bench | lint ... (make help)
BUILD   ?= build
PREFIX  ?= /usr/local
CC      ?= cc
CFLAGS  ?= -O2 -g
PYTHON  := # none needed

PACKAGES_DEBIAN := gcc make pkg-config libgsl-dev libcsv-dev libjansson-dev libyaml-dev zlib1g-dev libsqlite3-dev check

KV_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wvla \
             -Wmissing-prototypes -Wno-format-truncation -ffp-contract=off -I.
LIBS      := -lgsl -lgslcblas -lcsv -ljansson -lyaml -lz -lm

FOLDERS := sim models traces calib experiments
LIB_SRC := $(filter-out experiments/main.c,$(foreach d,$(FOLDERS),$(wildcard $(d)/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
LIB     := $(BUILD)/libkvsim.a
TESTS   := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
BENCHES := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/bench_*.c))
FUZZERS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz_*.c))

all: $(BUILD)/kvsim

$(BUILD)/kvsim: $(BUILD)/experiments/main.o $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(LIB): $(LIB_OBJ)
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(KV_CFLAGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(BUILD)/tests/harness.o $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs check) $(LIBS)

$(BUILD)/tests/bench_%: $(BUILD)/tests/bench_%.o $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(LIB_OBJ:.o=.d) $(wildcard $(BUILD)/tests/*.d) $(BUILD)/experiments/main.d

.PHONY: all
.SECONDARY:
