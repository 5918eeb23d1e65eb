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
INSTALL = $(foreach v,$(INSTALL_VARS),$v='$($v)') packaging/install

.PHONY: install uninstall
install: all ## programs, manual pages, unit, examples below PREFIX (/usr/local), as root; DESTDIR=DIR
	$(Q)$(INSTALL) install
uninstall: ## take away what `make install` put there, but the configuration
	$(Q)$(INSTALL) uninstall
