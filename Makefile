# make demo        sets up .venv, builds an image, runs it                      (root, Debian 12)
# make test        lint, types, unit and functional tests                       (root for the functional ones)
# make install     a self-contained rkt below PREFIX; DESTDIR for packagers
# make lint | unit | functional | bench | clean

SHELL := /bin/bash
PREFIX ?= /usr/local
DESTDIR ?=
PYTHON ?= /usr/bin/python3

here := $(CURDIR)
venv := $(here)/.venv
bin := $(venv)/bin
# Not asked of the environment: make expands a recipe as a whole, before its first line makes that.
site = $(venv)/lib/python$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')/site-packages

packages := systemd systemd-container dbus python3 python3-venv python3-dev gcc pkg-config libsystemd-dev \
	libseccomp2 busybox-static iproute2 util-linux kmod
test_packages := libpam-systemd xz-utils bzip2 zstd e2fsprogs tar procps zsh fish

# $(call launcher,INTERPRETER,DIRECTORIES OF MODULES,PACKAGE,FILE): a command that starts without the site module,
# so without its .pth files and without the "import re" of a console script of pip.
define launcher
printf '%s\n' '#!$(1) -IS' 'import sys' \
	'sys.path += "$(2)".split()' \
	'from stage0.$(3).main import main' 'sys.exit(main())' >'$(4).new' && chmod 755 '$(4).new' && mv '$(4).new' '$(4)'
endef

# $(call completion,SHELL,FILE BELOW PREFIX)
define completion
mkdir -p $(DESTDIR)$(PREFIX)/$(dir $(2)) && $(bin)/rkt completion $(1) >$(DESTDIR)$(PREFIX)/$(2)
endef

# $(call missing,PACKAGES): installs those of Debian's packages that are not there.
define missing
@wanted=; for package in $(1); do \
	[ "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" = installed ] || wanted="$$wanted $$package"; \
done; \
if [ -n "$$wanted" ]; then \
	if ! command -v apt-get >/dev/null; then echo "please install:$$wanted" >&2; exit 1; fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get install -y --no-install-recommends $$wanted || { apt-get update && apt-get install -y --no-install-recommends $$wanted; }; \
fi
endef

.PHONY: demo test env test-env lint unit functional bench install clean
.DEFAULT_GOAL := demo

env:
	$(call missing,$(packages))
	@$(MAKE) --no-print-directory --silent $(venv)/.installed

$(venv)/.installed: setup.cfg pyproject.toml Makefile
	[ -x $(bin)/pip ] || $(PYTHON) -m venv $(venv)
	PYTHONWARNINGS=ignore $(bin)/pip install --quiet --disable-pip-version-check --editable .
	$(call launcher,$(bin)/python3,$(here) $(site),cli,$(bin)/rkt)
	$(call launcher,$(bin)/python3,$(here) $(site),actool,$(bin)/actool)
	@touch $@

test-env: env
	$(call missing,$(test_packages))
	@$(MAKE) --no-print-directory --silent $(venv)/.installed-tests

$(venv)/.installed-tests: setup.cfg
	$(bin)/pip install --quiet --disable-pip-version-check $$($(bin)/python3 -c 'import configparser; \
		c = configparser.ConfigParser(); c.read("setup.cfg"); print(*c["options.extras_require"]["test"].split())')
	@touch $@

lint: test-env
	$(bin)/ruff check .
	$(bin)/mypy

unit: test-env
	$(bin)/python3 -m pytest tests/unit tests/conformance

functional: test-env
	$(bin)/python3 -m pytest tests/functional

test: lint
	$(bin)/python3 -m pytest tests

bench: test-env
	$(bin)/python3 -m tests.benchmarks

# The image and the run of the tour in README.md.
demo: env
	@tests/lib/demo

# The modules and what they need lie side by side in lib/rkt; the interpreter is the machine's.
install: env
	$(call missing,$(packages))
	rm -rf $(DESTDIR)$(PREFIX)/lib/rkt
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/rkt $(DESTDIR)$(PREFIX)/lib/systemd/system
	$(bin)/pip install --quiet --disable-pip-version-check --no-compile --target $(DESTDIR)$(PREFIX)/lib/rkt .
	rm -rf $(DESTDIR)$(PREFIX)/lib/rkt/{bin,rkt_runtime-*/direct_url.json} build
	$(PYTHON) -m compileall -q $(if $(DESTDIR),-s $(DESTDIR)) $(DESTDIR)$(PREFIX)/lib/rkt
	$(call launcher,$(PYTHON),$(PREFIX)/lib/rkt,cli,$(DESTDIR)$(PREFIX)/bin/rkt)
	$(call launcher,$(PYTHON),$(PREFIX)/lib/rkt,actool,$(DESTDIR)$(PREFIX)/bin/actool)
	for unit in units/*.service units/*.timer; do \
		sed 's|/usr/bin/rkt|$(PREFIX)/bin/rkt|' $$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/}; done
	$(call completion,bash,share/bash-completion/completions/rkt)
	$(call completion,zsh,share/zsh/site-functions/_rkt)
	$(call completion,fish,share/fish/vendor_completions.d/rkt.fish)
	install -D -m 644 units/tmpfiles.d/rkt.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/rkt.conf
	install -D -m 644 units/sysusers.d/rkt.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/rkt.conf

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
