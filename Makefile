# SPDX-License-Identifier: GPL-3.0-or-later
# Everything that can be done in a checkout. PYTHON=python3.12 and CORE=2.21 choose another Python and ansible-core.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

VENV ?= .venv$(addprefix -,$(CORE))
LAB ?= inventories/lab/hosts.yml
PLAY := $(VENV)/bin/ansible-playbook -i $(LAB)
# A cloud controller is part of it: CloudStack where its packages can be had, else OpenStack.
CONTROLLER = packages=$$(tests/tools/cloudstack); export CEPHSTACK_CLOUDSTACK_PACKAGES=$$packages
CONTROLLER += ; controller=inventories/lab/$$([ -n "$$packages" ] && echo cloudstack || echo openstack).yml
CHECK := $(VENV)/bin/python tests/tools/check
export PYTHON CORE

.PHONY: help demo demo-openstack demo-xen lab lab-down clean-lab test check lint sanity unit region daemons molecule bench spec docs build changelog run dev clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

demo: run ## A whole stack on this machine: hosts, Ceph, KVM hosts, a cloud controller, guests on RBD
	@$(CONTROLLER)
	$(PLAY) -i $$controller cephstack.cloud.demo

demo-openstack: run ## The same with OpenStack, also where CloudStack's packages can be had
	@$(PLAY) -i inventories/lab/openstack.yml cephstack.cloud.demo

demo-xen: run ## The same without a cloud controller, but with a Xen host: one image under both hypervisors
	@$(PLAY) -i inventories/lab/xen.yml cephstack.cloud.demo

lab: run ## Only the throwaway hosts of $(LAB)
	@$(CONTROLLER)
	$(PLAY) -i $$controller cephstack.cloud.lab -e lab_state=up

lab-down: run ## Stop and remove the lab, but keep the cached images
	@$(PLAY) cephstack.cloud.lab -e lab_state=down

clean-lab: run ## Remove every trace of the lab, the cached images too
	@$(PLAY) cephstack.cloud.lab -e lab_state=down -e lab_purge_cache=true

test: dev ## All tests
	@$(CHECK) lint unit sanity build region bench daemons molecule

check: dev ## The quick tests: lint and unit
	@$(CHECK) lint unit

lint: dev ## ruff, yamllint, ansible-lint, the docs and the changelog
	@$(CHECK) lint

sanity: dev ## ansible-test sanity (make sanity CORE=2.21 PYTHON=python3.12 for another core)
	@$(CHECK) sanity

unit: dev ## Tests of the pure code
	@$(CHECK) unit

region: dev ## CloudStack's API against a stand-in for its server, or the real one that CEPHSTACK_CLOUDSTACK names
	@$(CHECK) region

daemons: dev ## Every Ceph module against real Ceph daemons
	@$(CHECK) daemons

molecule: dev ## All scenarios on lab hosts, or one: make molecule SCENARIO=site
	@$(CHECK) molecule$(addprefix :,$(SCENARIO))

bench: dev ## The benchmarks
	@$(VENV)/bin/python tests/bench/run.py

spec: dev ## Make options' documentation and roles' argument specs from fields, then roles' READMEs and the pictures
	@$(VENV)/bin/python tests/tools/spec
	$(VENV)/bin/python tests/tools/reference
	$(VENV)/bin/python tests/tools/pictures

docs: dev ## Build the docs site in .cache/site/html
	@$(VENV)/bin/python tests/tools/site

build: dev ## Build the collection's tarball and prove that it can be installed and used
	@$(CHECK) build

run: ## Make the Python environment for a run
	@tests/tools/env run $(VENV)

dev: ## Add what the tests need
	@tests/tools/env dev $(VENV)

clean: ## Remove the environments and caches of this checkout
	@rm -rf .cache .venv .venv-* cephstack-cloud-*.tar.gz
