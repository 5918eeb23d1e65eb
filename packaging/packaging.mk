# Where things go on a machine: `make install`, `make deb`. Included by the Makefile.
DESTDIR     ?=
BINDIR      ?= $(PREFIX)/bin
SBINDIR     ?= $(PREFIX)/sbin
MANDIR      ?= $(PREFIX)/share/man
DATADIR     ?= $(PREFIX)/share/shunt
DOCDIR      ?= $(PREFIX)/share/doc/shunt
SYSCONFDIR  ?= /etc
UNITDIR     ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR  ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d

INSTALL_VARS := BUILD DESTDIR BINDIR SBINDIR MANDIR DATADIR DOCDIR SYSCONFDIR UNITDIR SYSUSERSDIR TMPFILESDIR \
	BASHCOMPDIR ZSHCOMPDIR FISHCOMPDIR
INSTALL_RUN = $(foreach v,$(INSTALL_VARS),$v='$($v)') packaging/install

.PHONY: install uninstall
install: all ## programs, manual pages, unit, examples below PREFIX (/usr/local), as root; DESTDIR=DIR
	$(Q)$(INSTALL_RUN) install
uninstall: ## take away what `make install` put there, but the configuration
	$(Q)$(INSTALL_RUN) uninstall

# Built from a copy, so that neither tree knows of the other; what comes out is in $(BUILD)/deb/.
DEPS_DEB := debhelper dpkg-dev fakeroot lintian
DEB_TREE  = $(BUILD)/deb/shunt-$(VERSION)
DEB_FROM := bpf cli debian docs examples loader packaging userspace LICENSE Makefile README.md .ci
.PHONY: deb
deb: ## a Debian package, in build/deb/
	$(Q).ci/deps $(DEPS_BUILD) $(DEPS_DEB)
	$(Q)rm -rf $(BUILD)/deb && mkdir -p $(DEB_TREE) && cp -a $(DEB_FROM) $(DEB_TREE)/
	$(Q)cd $(DEB_TREE) && env -u MAKEFLAGS -u MAKELEVEL DEB_BUILD_OPTIONS='parallel=$(JOBS) $(DEB_BUILD_OPTIONS)' \
		dpkg-buildpackage -b -us -uc > ../build.log 2>&1 || { tail -n 40 ../build.log; false; }
	$(Q)rm -rf $(DEB_TREE) && ls -l $(BUILD)/deb/*.deb

.PHONY: check-deb
check-deb: deb deps-vm ## the package in a stock kernel under qemu, with systemd: installed, run, removed
	$(Q)vm/run 6.1 -- vm/package $(BUILD)/deb/shunt_$(VERSION)_$(shell dpkg --print-architecture).deb
