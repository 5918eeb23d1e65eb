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
PKGS := libbpf libxdp libuv libcares yaml-0.1 jansson libmicrohttpd libcurl libmnl openssl libnghttp2 libpcre2-8 liburing
PKG_MIN := libbpf 1.1 libxdp 1.3 libuv 1.44 libcares 1.18 yaml-0.1 0.2 jansson 2.14 libmicrohttpd 0.9.75 libcurl 7.88 \
	libmnl 1.0 openssl 3.0 libnghttp2 1.52 libpcre2-8 10.40 liburing 2.3
DEPS_BUILD := gcc make clang llvm pkg-config bpftool libc6-dev libbpf-dev libxdp-dev libuv1-dev libc-ares-dev \
	libyaml-dev libjansson-dev libmicrohttpd-dev libcurl4-openssl-dev 'libllhttp-dev|node-llhttp' \
	libelf-dev zlib1g-dev libmnl-dev libssl-dev libnghttp2-dev libpcre2-dev liburing-dev
DEPS_NET := iproute2 ethtool curl openssl procps util-linux python3 python3-yaml
DEPS_PROXY := haproxy nginx-light wrk nghttp2-client nghttp2-server
DEPS_TEST := $(DEPS_NET) libcmocka-dev python3-pytest python3-pytest-xdist python3-pytest-timeout \
	python3-scapy python3-websockets pyflakes3 iputils-ping nftables tcpdump clang-format shellcheck cppcheck valgrind \
	bear xdp-tools libclang-rt-14-dev $(DEPS_PROXY) python3-h2 python3-grpcio prometheus knot \
	python3-jsonschema zsh fish
DEPS_BENCH := python3-matplotlib
DEPS_IPVS := ipvsadm
DEPS_VM := qemu-system-x86 'virtiofsd|qemu-system-common' busybox-static kmod xz-utils

# Goals for which nothing needs to be installed yet.
BARE_GOALS := deps deps-% help uninstall deb clean distclean test demo test-vm lint format check-clang bench-docs
NEEDS_PKGS := $(if $(MAKECMDGOALS),$(filter-out $(BARE_GOALS),$(MAKECMDGOALS)),all)
ifneq ($(NEEDS_PKGS),)
PKG_MISSING := $(shell set -- $(PKG_MIN); while [ $$# -gt 0 ]; do \
	pkg-config --atleast-version=$$2 $$1 2>/dev/null || echo "$$1 (at least $$2),"; shift 2; done)
ifneq ($(PKG_MISSING),)
$(error Shunt cannot be built without $(PKG_MISSING) as pkg-config sees it: run `make deps` as root)
endif
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
endif
PKG_LIBS = $(shell pkg-config --libs $(1))

# ---- flags ---------------------------------------------------------------------------------------
ARCH_INCLUDE := /usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)
# llhttp: a library where the system has one, else the C sources that node-llhttp brings.
LLHTTP_SRC := $(if $(shell pkg-config --exists libllhttp 2>/dev/null && echo yes),,/usr/share/llhttp)
LLHTTP_INC := /usr/share/include/llhttp
LLHTTP_PKG := $(if $(LLHTTP_SRC),,libllhttp)

WARN     := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror
SANFLAGS := $(if $(FUZZ),-fsanitize=fuzzer-no-link) $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer \
	$(if $(FUZZ),,-Wno-format-truncation),)
OPT      := $(if $(SAN),-O1,-O2)
CPPFLAGS += -iquote . -iquote userspace -iquote $(BUILD) $(if $(LLHTTP_SRC),-I$(LLHTTP_INC)) -D_GNU_SOURCE \
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
obj = $(1:%.c=$(BUILD)/%.o)

LIB_A    := $(BUILD)/libshunt.a
LOAD_A   := $(BUILD)/libloader.a
LLHTTP_A := $(if $(LLHTTP_SRC),$(BUILD)/libllhttp.a)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(BINS) ## build shuntd, shuntctl, shunt-load and shunt-decap

$(BUILD)/shuntd: $(call obj,userspace/main.c) $(LIB_A) $(LOAD_A) $(LLHTTP_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,libuv libcares openssl libnghttp2 liburing yaml-0.1 jansson libpcre2-8 libmicrohttpd libmnl libxdp libbpf $(LLHTTP_PKG)) -lm -lpthread -o $@
$(BUILD)/shuntctl: $(call obj,$(CLI_SRC)) $(LIB_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,libcurl jansson) -lm -o $@
$(BUILD)/shunt-load: $(call obj,loader/main.c) $(LOAD_A) $(LIB_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,libxdp libbpf jansson) -o $@
$(BUILD)/shunt-decap: $(call obj,$(DECAP_SRC)) $(LOAD_A) $(LIB_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,libxdp libbpf jansson libmnl) -o $@

# What is compiled with other flags (SAN=, CLANG=, ...) is compiled anew.
FLAGS_NOW := $(CC) $(CLANG) $(CPPFLAGS) $(CFLAGS) $(BPF_CFLAGS) $(LDFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(subst ','\'',$(FLAGS_NOW))' | cmp -s - $@ || echo '$(subst ','\'',$(FLAGS_NOW))' > $@
.PHONY: FORCE
FORCE:

$(LIB_A): $(call obj,$(LIB_SRC))
$(LOAD_A): $(call obj,$(LOAD_SRC))
$(BUILD)/libllhttp.a: $(patsubst $(LLHTTP_SRC)/%.c,$(BUILD)/llhttp/%.o,$(wildcard $(LLHTTP_SRC)/*.c))
%.a:
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/llhttp/%.o: $(LLHTTP_SRC)/%.c $(BUILD)/flags
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) -I$(LLHTTP_INC) -DLLHTTP_STRICT_MODE=1 -O2 -g $(SANFLAGS) -c $< -o $@

# The description of the API is a part of the program.
$(call obj,userspace/control/api_document.c): docs/openapi.json

# Skeletons are generated before anything that may include one is compiled.
$(call obj,$(wildcard loader/*.c)): | $(SKELS)
$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(BUILD)/flags
	$(call say,BPF,$@)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/tests/%.bpf.o: tests/%.bpf.c $(BUILD)/flags
	$(call say,BPF,$@)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/bench/%.bpf.o: bench/%.bpf.c $(BUILD)/flags
	$(call say,BPF,$@)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/bench/%.skel.h: $(BUILD)/bench/%.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name $(*F)_bpf > $@ 2> $@.log || { cat $@.log >&2; false; }
$(BUILD)/skel/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call say,SKEL,$@)mkdir -p $(@D) && $(BPFTOOL) gen skeleton $< name $*_bpf > $@ 2> $@.log || { cat $@.log >&2; false; }

# ---- tests ---------------------------------------------------------------------------------------
JOBS     ?= $(shell nproc)
UNIT_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
FUZZ_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
TEST_BPF := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/*/*.bpf.c))
RUN       = SHUNT_BUILD=$(BUILD) tests/run --jobs $(JOBS) $(if $(K),--keyword '$(K)')
comma    := ,
CLANG_ALT ?= clang-19

$(call obj,$(filter-out %.bpf.c,$(wildcard tests/*/*.c))): | $(SKELS)
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(LIB_A) $(LOAD_A) $(LLHTTP_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,cmocka libuv libcares openssl libnghttp2 liburing yaml-0.1 jansson libpcre2-8 libmicrohttpd libmnl libxdp libbpf $(LLHTTP_PKG)) -lm -lpthread -o $@

# The kernel programs under test are built with new head room poisoned (bpf/pkt.h).
BPF_BIN  := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bpf/test_*.c))
BPF_TEST_LIB := $(call obj,$(filter-out tests/bpf/test_% tests/bpf/runner.c tests/bpf/l4_stage.c,$(wildcard tests/bpf/*.c)))
BPF_RUNNER := $(BUILD)/tests/bpf/runner
BPF_TEST_SKELS := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/tests/bpf/%.skel.h)
$(BUILD)/tests/bpf/%.bpf.o: bpf/%.bpf.c $(BUILD)/flags
	$(call say,BPF,$@)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -DSHUNT_POISON_HEADROOM -MMD -MP -c $< -o $@
$(BUILD)/tests/bpf/%.skel.h: $(BUILD)/tests/bpf/%.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name $*_bpf > $@ 2> $@.log || { cat $@.log >&2; false; }
$(call obj,$(wildcard tests/bpf/*.c)): | $(BPF_TEST_SKELS)
$(BUILD)/tests/bpf/test_l4 $(BUILD)/tests/bpf/test_l4_guard: $(call obj,tests/bpf/l4_stage.c)
$(BUILD)/tests/bpf/test_l4 $(BUILD)/tests/bpf/test_l4_guard $(BUILD)/tests/bpf/test_consistency $(BUILD)/tests/bpf/test_sockets_handover $(BUILD)/tests/bpf/test_tables: $(LIB_A) $(LOAD_A)
$(BPF_BIN): %: %.o $(BPF_TEST_LIB)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,cmocka openssl yaml-0.1 libpcre2-8 libmnl libxdp libbpf) -o $@

$(BPF_RUNNER): %: %.o
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,jansson libbpf) -o $@

# A fuzz target is linked with libFuzzer by `make fuzz`, else with a main() that replays its corpus.
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(if $(FUZZ),,$(BUILD)/tests/fuzz/replay.o) $(LIB_A) $(LLHTTP_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $(if $(FUZZ),-fsanitize=fuzzer) $^ $(call PKG_LIBS,libuv openssl libnghttp2 liburing yaml-0.1 jansson libpcre2-8 $(LLHTTP_PKG)) -lm -lpthread -o $@

# Allocations that can be made to fail.
$(BUILD)/tests/unit/test_conf_alloc: LDFLAGS += $(foreach f,malloc calloc realloc strdup vasprintf,-Wl,--wrap=$(f))
# So can the kernel's random bytes.
$(BUILD)/tests/unit/test_tls_random: LDFLAGS += $(foreach f,getrandom madvise,-Wl,--wrap=$(f))

# Their quick forms are tests too.
BENCH_BIN := $(BUILD)/bench/packet
ROUTE_BIN := $(BUILD)/bench/route/lookup
FLOOD_BIN  := $(BUILD)/bench/veth/flood
BENCH_VETH := $(BINS) $(FLOOD_BIN) \
	$(patsubst %,$(BUILD)/%.bpf.o,bench/floor bench/veth/segment tests/net/xdp_pass)
WAYS_BIN   := $(BUILD)/bench/relay/ways
PROXY_BIN  := $(patsubst %,$(BUILD)/bench/proxy/%,origin relay shake offer)
BENCH_PROXY := $(BINS) $(PROXY_BIN)

.PHONY: test check-build check-unit check-bpf check-net check-san check-valgrind check-clang test-vm
test: deps ## install what is needed, build, run every test (as root)
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) check-build
	$(Q)$(RUN) unit bpf lint net
check-build: all $(UNIT_BIN) $(FUZZ_BIN) $(BPF_BIN) $(BPF_RUNNER) $(TEST_BPF) $(BENCH_BIN) $(ROUTE_BIN) $(WAYS_BIN) $(BENCH_VETH) $(BENCH_PROXY) ## build all that the tests need
check-unit: $(UNIT_BIN) $(FUZZ_BIN) $(ROUTE_BIN) ## unit tests and fuzz corpora, without root
	$(Q)$(RUN) unit
check-bpf: $(BPF_BIN) $(BENCH_BIN) ## the kernel programs, packet by packet, as root
	$(Q)$(RUN) bpf
check-net: all $(TEST_BPF) $(BPF_RUNNER) $(BENCH_VETH) $(BENCH_PROXY) $(WAYS_BIN) ## tests over network namespaces, as root; K=EXPR picks some
	$(Q)$(RUN) net
SOAK_S ?= 600
.PHONY: soak
soak: all ## traffic of all protocols for SOAK_S seconds, as root: what is left of it afterwards?
	$(Q)SHUNT_SOAK_S=$(SOAK_S) $(RUN) --keyword test_soak net
check-san: ## unit and net tests under sanitizers: SAN=address,undefined or SAN=thread
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD)-san SAN=$(or $(SAN),address$(comma)undefined) check-build
	$(Q)SHUNT_TEST_PATIENCE=3 $(RUN) --build $(BUILD)-san unit net
check-valgrind: $(UNIT_BIN) $(FUZZ_BIN) $(ROUTE_BIN) ## unit tests under valgrind
	$(Q)SHUNT_TEST_PATIENCE=10 SHUNT_WRAP='valgrind -q --error-exitcode=99 --leak-check=full' $(RUN) unit
check-clang: ## the kernel programs as another clang builds them, as root: CLANG_ALT=clang-19
	$(Q).ci/deps $(CLANG_ALT)
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD)-$(CLANG_ALT) CLANG=$(CLANG_ALT) check-bpf
test-vm: deps deps-vm ## boot stock kernels in qemu and run the bpf and net tests inside, as root; KERNELS=6.1: that one
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) check-build
	$(Q)SHUNT_BUILD=$(BUILD) vm/test $(KERNELS)

FUZZ_S   ?= 20
.PHONY: fuzz fuzz-build
fuzz: ## each fuzz target for FUZZ_S seconds, its findings in build-fuzz/
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD)-fuzz CC=$(CLANG) SAN=address,undefined FUZZ=1 fuzz-build
	$(Q)set -e; for t in $(FUZZ_BIN:$(BUILD)/tests/fuzz/fuzz_%=%); do \
		mkdir -p $(BUILD)-fuzz/corpus/$$t; echo "== $$t"; \
		$(BUILD)-fuzz/tests/fuzz/fuzz_$$t -max_total_time=$(FUZZ_S) -max_len=65536 -timeout=10 -verbosity=0 \
			-print_final_stats=1 -artifact_prefix=$(BUILD)-fuzz/$$t- $(BUILD)-fuzz/corpus/$$t \
			$(wildcard tests/fuzz/corpus)/$$t; done
fuzz-build: $(FUZZ_BIN)

# ---- benchmarks ----------------------------------------------------------------------------------
BENCH_SKELS := $(patsubst %.bpf.c,$(BUILD)/%.skel.h,$(wildcard bench/*.bpf.c))
BENCH_OBJ   := $(call obj,$(filter-out %.bpf.c,$(wildcard bench/*.c)))
BENCH_JSON  ?= $(BUILD)/bench/packet.json

$(BENCH_OBJ): | $(BENCH_SKELS) $(SKELS)
$(BENCH_BIN): $(BENCH_OBJ)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,libbpf jansson) -o $@

VETH_JSON  ?= $(BUILD)/bench/veth.json
VM_JSON    ?= $(BUILD)/bench/vm.json
BENCH_KERNEL ?= 6.12
JSON_packet = $(BENCH_JSON)
JSON_veth   = $(VETH_JSON)
JSON_vm     = $(VM_JSON)
PROXY_JSON ?= $(BUILD)/bench/proxy.json
JSON_proxy  = $(PROXY_JSON)
LOSSY_JSON ?= $(BUILD)/bench/lossy.json
JSON_lossy  = $(LOSSY_JSON)
JSON_overload = $(BUILD)/bench/overload.json
RELOAD_JSON ?= $(BUILD)/bench/reload.json
JSON_reload = $(RELOAD_JSON)
JSON_start  = $(BUILD)/bench/start.json
JSON_relay  = $(BUILD)/bench/relay.json
JSON_relay_vm = $(BUILD)/bench/relay_vm.json

$(call obj,bench/veth/flood.c): | $(BUILD)/bench/veth/flood.skel.h
$(FLOOD_BIN): %: %.o
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,libbpf) -o $@

$(ROUTE_BIN): %: %.o $(LIB_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,libpcre2-8) -o $@

$(call obj,bench/relay/sockmap.c): | $(BUILD)/bench/relay/sockmap.skel.h
$(WAYS_BIN): $(call obj,$(filter-out %.bpf.c,$(wildcard bench/relay/*.c)) bench/proxy/tool.c) $(LIB_A)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,openssl libbpf) -lpthread -o $@

$(PROXY_BIN): %: %.o $(call obj,bench/proxy/tool.c)
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(call PKG_LIBS,openssl) -o $@

.PHONY: bench-packet bench-veth bench-vm bench-route bench-apply bench-proxy bench-overload bench-chaos bench-lossy bench-reload bench-start bench-relay bench-relay-vm bench-docs
bench-packet: $(BENCH_BIN) ## nanoseconds a packet, by case, as root; QUICK=1: does it run?
	$(Q)$< $(if $(QUICK),--quick) --json $(BENCH_JSON)
bench-veth: $(BENCH_VETH) ## packets a second through veth pairs, as root; QUICK=1: does it run?
	$(Q).ci/deps $(DEPS_NET)
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) bench/veth/run.py $(if $(QUICK),--quick) --json $(VETH_JSON)
# Returning packets become skbs for all: IPVS has them anyway, and would have to pay for frames.
bench-vm: $(BENCH_VETH) ## Shunt beside IPVS on a stock kernel in qemu, as root; QUICK=1: does it run?
	$(Q).ci/deps $(DEPS_NET) $(DEPS_VM) $(DEPS_IPVS)
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) bench/veth/run.py --vm $(BENCH_KERNEL) --ipvs --back tc \
		$(if $(QUICK),--quick) --json $(VM_JSON)
bench-route: $(ROUTE_BIN) ## nanoseconds to find a route, by index and by scan; QUICK=1: does it run?
	$(Q)$< $(if $(QUICK),--quick)
bench-apply: $(BINS) ## milliseconds a change of a large configuration, as root; QUICK=1: does it run?
	$(Q).ci/deps $(DEPS_NET)
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) bench/apply/run.py $(if $(QUICK),--quick) --json $(BUILD)/bench/apply.json
bench-proxy: $(BENCH_PROXY) ## Shunt beside nginx and HAProxy, as root; ONLY=keepalive,tls: these; QUICK=1: does it run?
	$(Q).ci/deps $(DEPS_NET) $(DEPS_PROXY)
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) bench/proxy/run.py $(if $(QUICK),--quick) \
		$(if $(ONLY),--only '$(ONLY)') --json $(PROXY_JSON)
bench-overload: $(BENCH_PROXY) ## goodput with far more to do than can be done, as root; QUICK=1: does it run?
	$(Q).ci/deps $(DEPS_NET) $(DEPS_PROXY)
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) bench/proxy/overload.py $(if $(QUICK),--quick) \
		--json $(JSON_overload)
bench-chaos: all ## good answers from backends that fail, as root; QUICK=1: does it run?
	$(Q).ci/deps $(DEPS_NET) $(DEPS_PROXY)
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) bench/proxy/chaos.py $(if $(QUICK),--quick)
bench-lossy: all ## one of two backends behind 35 % loss, in qemu, as root; QUICK=1: does it run?
	$(Q).ci/deps $(DEPS_NET) $(DEPS_PROXY) $(DEPS_VM)
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) bench/proxy/lossy.py --vm $(BENCH_KERNEL) \
		$(if $(QUICK),--quick) --json $(LOSSY_JSON)
bench-reload: all $(TEST_BPF) ## a new configuration every 200 ms under traffic, beside others, as root; QUICK=1: does it run?
	$(Q).ci/deps $(DEPS_NET) $(DEPS_PROXY)
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) bench/proxy/reload.py $(if $(QUICK),--quick) --json $(RELOAD_JSON)
bench-start: $(BINS) ## milliseconds until it serves, and its memory, beside nginx and HAProxy, as root; QUICK=1: does it run?
	$(Q).ci/deps $(DEPS_NET) $(DEPS_PROXY)
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) bench/start/run.py $(if $(QUICK),--quick) --json $(JSON_start)
bench-relay: $(BINS) $(WAYS_BIN) ## copying, splice and sockmap beside each other, by size of body, as root; QUICK=1: does it run?
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) bench/relay/run.py $(if $(QUICK),--quick) --json $(JSON_relay)
bench-relay-vm: $(BINS) $(WAYS_BIN) ## the same with kTLS, in qemu, as root; QUICK=1: does it run?
	$(Q).ci/deps $(DEPS_VM)
	$(Q)SHUNT_BUILD=$(BUILD) $(PYTHON) bench/relay/run.py --vm $(BENCH_KERNEL) --rounds 3 \
		$(if $(QUICK),--quick) --json $(JSON_relay_vm)
bench-docs: ## the last measurements into docs/benchmarks.md and its pictures
	$(Q).ci/deps $(DEPS_BENCH)
	$(Q)$(PYTHON) bench/plot.py docs/benchmarks.md docs/img/packet.svg \
		$(foreach b,packet veth vm proxy lossy overload reload start relay relay_vm,$(addprefix --$b ,$(wildcard $(JSON_$b))))

.PHONY: lint format
lint: ## format, layers, ABI, banned calls, sizes, shellcheck, cppcheck
	$(Q)$(RUN) lint
format: ## clang-format over all C
	clang-format -i $(shell find bpf loader userspace cli tests bench -name '*.[ch]' 2>/dev/null)
compile_commands.json: ## for editors and clang tools
	bear --output $@ -- $(MAKE) --no-print-directory -B -j$(JOBS) check-build

.PHONY: deps deps-vm
deps: ## install the Debian packages that building and testing need
	$(Q).ci/deps $(DEPS_BUILD) $(DEPS_TEST)
deps-vm: ## those that `make test-vm` needs on top
	$(Q).ci/deps $(DEPS_VM)

.PHONY: demo
demo: ## build, then show Shunt with real traffic in namespaces (as root); KEEP=1 leaves it standing
	$(Q).ci/deps $(DEPS_BUILD) $(DEPS_NET)
	$(Q)$(MAKE) -s -j$(JOBS) all $(BUILD)/tests/net/xdp_pass.bpf.o
	$(Q)SHUNT_BUILD=$(BUILD) KEEP=$(KEEP) $(PYTHON) examples/demo.py

.PHONY: man
MAN_YAML := docs/man/shunt.yaml.5
man: $(BUILD)/shuntd ## bring the keys in shunt.yaml(5) in step with the schema
	$(Q){ sed '/BEGIN keywords/q' $(MAN_YAML); $(BUILD)/shuntd --keywords; sed -n '/END keywords/,$$p' $(MAN_YAML); } > $(BUILD)/shunt.yaml.5
	$(Q)cp $(BUILD)/shunt.yaml.5 $(MAN_YAML)

include packaging/packaging.mk

.PHONY: clean
clean: ## remove all output
	rm -rf $(BUILD) $(BUILD)-san $(BUILD)-fuzz $(BUILD)-$(CLANG_ALT) compile_commands.json

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z_.-]+:.*## /{printf "  make %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  Variables: V=1 (show commands)  SAN=address,undefined|thread  CLANG=clang-19  BUILD=DIR'

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
