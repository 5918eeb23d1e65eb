# Shunt: build, test and show. `make help` lists what there is; all output goes to $(BUILD)/.
BUILD   ?= build
PREFIX  ?= /usr/local
V       ?= 0
SAN     ?=
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG   ?= clang
LLVM_STRIP ?= $(subst clang,llvm-strip,$(CLANG))
BPFTOOL ?= bpftool
PYTHON  ?= /usr/bin/python3

VERSION := 0.1.0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)';)

# ---- packages ------------------------------------------------------------------------------------
PKGS := libbpf libxdp libuv yaml-0.1 jansson libmicrohttpd libcurl
PKG_MIN := libbpf>=1.1 libxdp>=1.3 libuv>=1.44 yaml-0.1>=0.2 jansson>=2.14 libmicrohttpd>=0.9.75 libcurl>=7.88
DEPS_BUILD := gcc make clang llvm pkg-config bpftool libc6-dev libbpf-dev libxdp-dev libuv1-dev \
	libyaml-dev libjansson-dev libmicrohttpd-dev libcurl4-openssl-dev node-llhttp libelf-dev zlib1g-dev
DEPS_TEST := libcmocka-dev python3-pytest python3-pytest-xdist python3-scapy python3-yaml iproute2 ethtool \
	curl tcpdump clang-format shellcheck cppcheck valgrind bear xdp-tools procps iputils-ping

ifeq ($(filter deps deps-% help clean,$(MAKECMDGOALS)),)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
endif
PKG_LIBS = $(shell pkg-config --libs $(1))

# ---- flags ---------------------------------------------------------------------------------------
ARCH_INCLUDE := /usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)
LLHTTP_SRC := /usr/share/llhttp
LLHTTP_INC := /usr/share/include/llhttp

WARN     := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,)
OPT      := $(if $(SAN),-O1,-O2)
CPPFLAGS += -iquote . -iquote userspace -iquote $(BUILD) -I$(LLHTTP_INC) -D_GNU_SOURCE \
	-DSHUNT_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
CFLAGS   += -std=gnu11 -g $(OPT) -fno-strict-aliasing -fstack-protector-strong $(WARN) $(SANFLAGS)
LDFLAGS  += $(SANFLAGS) -Wl,-z,relro,-z,now
BPF_CFLAGS := -target bpf -mcpu=v3 -std=gnu11 -g -O2 -fno-strict-aliasing -Wall -Wextra -Werror \
	-Wno-unused-parameter -iquote . -I$(ARCH_INCLUDE)

# ---- what is built -------------------------------------------------------------------------------
BINS := $(addprefix $(BUILD)/,shuntd shuntctl shunt-load shunt-decap)

BPF_SRC  := $(wildcard bpf/*.bpf.c)
SKELS    := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/skel/%.skel.h)
LIB_SRC  := $(filter-out userspace/main.c,$(wildcard userspace/*/*.c))
LOAD_SRC := $(filter-out loader/main.c loader/decap_%.c,$(wildcard loader/*.c))
CLI_SRC  := $(wildcard cli/*.c)
DECAP_SRC := $(wildcard loader/decap_*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
obj = $(1:%.c=$(BUILD)/%.o)

LIB_A    := $(BUILD)/libshunt.a
LOAD_A   := $(BUILD)/libloader.a
LLHTTP_A := $(BUILD)/libllhttp.a
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(BINS) ## build shuntd, shuntctl, shunt-load and shunt-decap

$(BUILD)/shuntd: $(call obj,userspace/main.c) $(LIB_A) $(LOAD_A) $(LLHTTP_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,libuv yaml-0.1 jansson libmicrohttpd libxdp libbpf) -lm -lpthread -o $@
$(BUILD)/shuntctl: $(call obj,$(CLI_SRC)) $(LIB_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,libcurl jansson) -lm -o $@
$(BUILD)/shunt-load: $(call obj,loader/main.c) $(LOAD_A) $(LIB_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,libxdp libbpf jansson) -o $@
$(BUILD)/shunt-decap: $(call obj,$(DECAP_SRC)) $(LOAD_A) $(LIB_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,libxdp libbpf jansson) -o $@

$(LIB_A): $(call obj,$(LIB_SRC))
$(LOAD_A): $(call obj,$(LOAD_SRC))
$(LLHTTP_A): $(patsubst $(LLHTTP_SRC)/%.c,$(BUILD)/llhttp/%.o,$(wildcard $(LLHTTP_SRC)/*.c))
%.a:
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/llhttp/%.o: $(LLHTTP_SRC)/%.c
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) -I$(LLHTTP_INC) -O2 -g $(SANFLAGS) -c $< -o $@

# Skeletons are generated before anything that may include one is compiled.
$(call obj,$(wildcard loader/*.c)): | $(SKELS)
$(BUILD)/%.o: %.c
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/tests/%.bpf.o: tests/%.bpf.c
	$(call say,BPF,$@)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/skel/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call say,SKEL,$@)mkdir -p $(@D) && $(BPFTOOL) gen skeleton $< name $*_bpf > $@

# ---- tests ---------------------------------------------------------------------------------------
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(LIB_A) $(LOAD_A) $(LLHTTP_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,cmocka libuv yaml-0.1 jansson libmicrohttpd libxdp libbpf) -lm -lpthread -o $@

.PHONY: check-unit
check-unit: $(UNIT_BIN) ## unit tests, without root
	$(Q)set -e; for t in $(UNIT_BIN); do echo "== $$t"; $$t; done

TEST_BPF := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/*/*.bpf.c))
JOBS     ?= 2
.PHONY: check-net
check-net: all $(TEST_BPF) ## tests over network namespaces, as root; K=EXPR picks some
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) -m pytest tests/net -q -n $(JOBS) $(if $(K),-k '$(K)')

.PHONY: clean
clean: ## remove all output
	rm -rf $(BUILD) compile_commands.json

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  Variables: V=1 (show commands)  SAN=address,undefined|thread  CLANG=clang-19  BUILD=DIR'

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
