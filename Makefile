# Set-up, demo and tests. Where a ROS 2 environment is sourced, its colcon builds the package into ./install and a small
# environment (.venv-ros) adds what ROS does not bring; elsewhere ROS 2 itself comes from wheels, Kilted into .venv and
# Jazzy into .venv-jazzy.

PYTHON ?= python3
TORCH ?= auto
SOURCE ?= simulator
MINUTES ?= 30
TESTS ?=

SHELL := /bin/bash
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup demo soak bench test lint lock clean unmoved

sourced := $(if $(and $(ROS_DISTRO),$(AMENT_PREFIX_PATH)),$(ROS_DISTRO))
ROS ?= $(or $(sourced),kilted)

help:
	@echo 'make setup   prepare everything that the others need (they call it themselves)'
	@echo 'make demo    run the node on a recording and write pictures and figures to out/demo'
	@echo '             SOURCE=$(SOURCE): "simulator", a folder of image pairs, two videos, or a bag'
	@echo '             THERMAL_TOPIC=..., VISIBLE_TOPIC=...: the image topics of a bag'
	@echo 'make soak    run the node under one fault after the other for MINUTES=$(MINUTES); report in out/soak'
	@echo 'make bench   measure what a frame costs, alone and beside other programs; tables and plots in out/bench'
	@echo 'make test    run the checks and tests; TESTS="test/node test/launch" runs those alone'
	@echo 'make lint    run the checks alone: ruff and mypy'
	@echo 'make lock    pin the newest versions of requirements/*.in in kilted.txt and jazzy.txt there'
	@echo 'make clean   remove all that was built, but out/'
	@echo 'Options: PYTHON=$(PYTHON), any of 3.10 to 3.13'
	@echo '         TORCH=$(TORCH): PyTorch as "cpu" or "cuda", "auto" by the GPU, "none" to install your own'
	@echo '         ROS=$(ROS): $(if $(sourced),the one that is sourced,"kilted" or "jazzy" from wheels; source a ROS 2 \
		installation to use that)'

# What the package consists of, for the steps that must run again when it changes.
interface := CMakeLists.txt package.xml resource/entry_point.py.in $(wildcard msg/*.msg)
ready = $(venv)/.ready

ifeq ($(sourced),)

pinned := requirements/$(ROS).txt
ifeq ($(wildcard $(pinned)),)
$(error there are no wheels of ROS 2 '$(ROS)'; choose ROS=kilted or ROS=jazzy, or source a ROS 2 installation)
endif
venv := .venv$(if $(filter-out kilted,$(ROS)),-$(ROS))
bin := $(venv)/bin
hkdnet := $(bin)/hkdnet

setup: $(ready)

# Each step leaves a stamp in the environment, so that only what changed is done again.
$(venv)/.created: | unmoved
	@command -v $(PYTHON) >/dev/null || { echo 'setup: no $(PYTHON) found; install Python 3.10 to 3.13' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "setup: $$($(PYTHON) -V 2>&1) cannot be used; name a Python from 3.10 to 3.13, as in" \
		"\`make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12\`" >&2; exit 1; }
	@$(PYTHON) scripts/setup_venv.py check $(venv)
	@$(PYTHON) -m venv $(venv)
	@echo '$(CURDIR)' > $@

$(venv)/.packages: $(pinned) scripts/setup_venv.py | $(venv)/.created
	@$(PYTHON) scripts/setup_venv.py packages $(venv) --pinned $(pinned)
	@touch $@

$(venv)/.torch-$(TORCH): | $(venv)/.packages
	@$(PYTHON) scripts/setup_venv.py torch $(venv) --torch $(TORCH)
	@rm -f $(venv)/.torch-*  # another choice made before no longer holds
	@touch $@

$(ready): $(venv)/.packages $(interface) setup.py | $(venv)/.torch-$(TORCH)
	@$(PYTHON) scripts/setup_venv.py messages $(venv)
	@touch $@

# Not part of setup: only tests need a browser.
$(venv)/.browser: | $(ready)
	@$(PYTHON) scripts/setup_venv.py browser $(venv)
	@touch $@

# rclpy's types differ between distributions; the checks are made with Kilted's.
test: $(if $(filter kilted,$(ROS)),lint,setup) $(venv)/.browser
	$(bin)/python -m pytest --numprocesses=2 --dist=loadfile --durations=10 $(TESTS)

lint: setup
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy

lock: setup
	$(bin)/pip install -q uv
	for ros in kilted jazzy; do \
		UV_CUSTOM_COMPILE_COMMAND='make lock' $(bin)/uv pip compile --quiet --upgrade --universal --python-version 3.10 \
		--no-annotate requirements/wheels.in requirements/$$ros.in --output-file requirements/$$ros.txt || exit 1; \
	done

else

ifneq ($(ROS),$(sourced))
$(error ROS is '$(ROS)', and ROS 2 $(sourced) is sourced; run this in a shell that sources none)
endif
venv := .venv-ros
bin := $(venv)/bin
# ROS's setup files do not survive `set -u` and name variables of their own.
run := . install/setup.bash && PATH="$(CURDIR)/$(bin):$$PATH"
hkdnet := install/hkdnet_ros/lib/hkdnet_ros/hkdnet

setup: $(ready)

$(venv)/.created: requirements/robot.txt scripts/setup_venv.py | unmoved
	@command -v colcon >/dev/null || { echo 'setup: ROS 2 $(ROS) is sourced, but colcon is missing;' \
		'install it with `sudo apt install python3-colcon-common-extensions`' >&2; exit 1; }
	@python3 -c 'import ensurepip' 2>/dev/null || { echo 'setup: Python has no venv module;' \
		'install it with `sudo apt install python3-venv`' >&2; exit 1; }
	@echo 'Installing what ROS 2 $(ROS) does not bring ...'
	@python3 -m venv --system-site-packages $(venv)
	@$(bin)/python -m pip install --disable-pip-version-check -qq -r $<
	@python3 scripts/setup_venv.py torch $(venv) --torch $(TORCH)
	@echo '$(CURDIR)' > $@

# Links instead of copies, so that an edit acts without a build; a new file needs one.
$(ready): $(venv)/.created $(interface) $(shell find hkdnet_ros launch config -type f -not -name "*.pyc" 2>/dev/null)
	PATH="$(CURDIR)/$(bin):$$PATH" colcon build --symlink-install --packages-select hkdnet_ros
	@touch $@

test: setup
	$(run) colcon test --packages-select hkdnet_ros --event-handlers console_direct+
	colcon test-result --verbose

lint: setup
	$(bin)/python -m pip install -q ruff mypy
	$(bin)/ruff check
	$(bin)/ruff format --check

lock:
	@echo 'lock: the pinned versions are for machines without ROS; run this in a shell that sources none' >&2; exit 1

endif

# An environment holds absolute paths and one Python.
unmoved:
	@test ! -e $(venv)/.created || test "$$(cat $(venv)/.created)" = '$(CURDIR)' || { echo "setup: $(venv) was made in" \
		"$$(cat $(venv)/.created); run \`make clean\` first" >&2; exit 1; }
	@$(if $(findstring command,$(origin PYTHON)),test ! -e $(venv)/.created || \
		test "$$($(PYTHON) -V)" = "$$($(bin)/python -V)" || { echo "setup: $(venv) was made with" \
		"$$($(bin)/python -V); run \`make clean\` first" >&2; exit 1; })

# On a ROS domain of its own and on this machine only, so as to neither disturb nor hear a robot on the network.
demo: setup
	$(run) ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=$$(($$$$ % 100 + 1)) \
		$(hkdnet) demo --source '$(SOURCE)' $(if $(THERMAL_TOPIC),--thermal-topic '$(THERMAL_TOPIC)') \
		$(if $(VISIBLE_TOPIC),--visible-topic '$(VISIBLE_TOPIC)') --out out/demo

# Likewise. Nothing else should run meanwhile: the way back to fused after a fault is measured.
soak: setup
	$(run) ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=$$(($$$$ % 100 + 1)) \
		$(hkdnet) soak --minutes $(MINUTES) --out out/soak

# Of the case that robots bring, with the node; and of cameras of one size. Both beside other programs, too.
bench: setup
	$(run) ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=$$(($$$$ % 100 + 1)) \
		$(hkdnet) benchmark --thermal-size 160x120 --size 640x480 --load spin torch --by-size --node --out out/bench/guided
	$(run) $(hkdnet) benchmark --size 320x240 --load spin torch --out out/bench/realtime

clean:
	rm -rf .venv .venv-jazzy .venv-ros build install log *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -rf .*_cache .hypothesis
