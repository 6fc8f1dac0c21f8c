.DEFAULT_GOAL := help
.PHONY: help setup rehearse replay bench fleet year pictures check test faults e2e synth mutants lint format package \
	archive lock clean wheel release-files deploy deploy-bucket deploy-package deploy-function deploy-caretaker \
	deploy-secret destroy credentials preflight rotate status logs unblock rollback reconcile retire

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
SCAN := $(VENV)/scan
EMULATOR := $(VENV)/emulator
MUTATION := $(VENV)/mutation
OPERATE := $(VENV)/operate
CDK := $(VENV)/cdk
REGISTRY := $(VENV)/registry
EVENT ?= events/finish_secret.json

export PYTHONPATH := src

# What is deployed, and where: see docs/deploying.md. The values travel in the environment, where the shell leaves
# their quotation marks, spaces and asterisks alone.
# They are for the command line alone: what the environment happens to say names no deployment, and answers no question.
PROJECT = dockerhub-rotation
SECRET = dockerhub-token
BUCKET =
FUNCTION_PARAMETERS =
SECRET_PARAMETERS =
TAGS =
SERVICE_ROLE =
RELEASE =
TAG =
PROTECT =
TOKEN =
YES =
TRY =
WAIT =
LEAKED =
DEPLOYED =
FOLLOW =
VERSION =
ARGS =
export PROJECT SECRET BUCKET FUNCTION_PARAMETERS SECRET_PARAMETERS TAGS SERVICE_ROLE VERSION RELEASE TAG
# The rule for all of them that are switches. What is no clear yes or no is an error, before anything has begun.
CLEAR = $(if $(filter-out 1 yes true y 0 no,$($1))$(word 2,$($1)),$(error $1=$($1) is neither yes (1, yes, true, y) nor no (0, no)))
IF_YES = $(call CLEAR,$1)$(if $(filter 1 yes true y,$($1)),$2)
IF_NO = $(call CLEAR,$1)$(if $(filter 0 no,$($1)),$2)
DEPLOY := $(OPERATE)/bin/python -m operate
NAMED := --project "$$PROJECT" --bucket "$$BUCKET" --function-parameters "$$FUNCTION_PARAMETERS" \
	--secret-parameters "$$SECRET_PARAMETERS"
DEPLOYMENT := $(NAMED) --secret "$$SECRET" $(ARGS)
# All of them, unless one is named.
SECRETS := $(NAMED) $(if $(findstring command,$(origin SECRET)),--secret "$$SECRET") $(ARGS)
STACKS = --tags "$$TAGS" --service-role "$$SERVICE_ROLE" $(call IF_YES,PROTECT,--protect) $(call IF_NO,WAIT,--no-wait)
# A released package needs no build.
PACKAGE = $(if $(RELEASE),--release "$$RELEASE")
PACKED := $(if $(RELEASE),$(OPERATE)/.ready,archive)
FIRST_TOKEN = $(if $(filter-out ask,$(TOKEN)),$(error Only TOKEN=ask is understood: the token is asked for then))$(if $(TOKEN),--ask-token)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv with the locked dependencies (done by every target that needs it, once)
	@:

NEW_ENOUGH = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 or newer is needed; name one: make setup PYTHON=python3.12" >&2; exit 1; }

$(READY): requirements/setup.txt requirements/dev.txt
	@$(NEW_ENOUGH)
	@echo "Setting up $(VENV) (once)" >&2
	@mkdir -p $(VENV) && find $(VENV) -mindepth 1 -maxdepth 1 ! -path $(OPERATE) -exec rm -rf {} + # that is not its own
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/setup.txt
	@$(VENV)/bin/uv pip install -qq --python $(VENV)/bin/python --require-hashes -r requirements/dev.txt
	@touch $@

# The scanners' pins go with nobody else's.
$(SCAN)/.ready: requirements/scan.txt | $(READY)
	@echo "Setting up $(SCAN) (once)" >&2
	@$(VENV)/bin/python -m venv --clear --without-pip $(SCAN)
	@$(VENV)/bin/uv pip install -qq --python $(SCAN)/bin/python --require-hashes -r requirements/scan.txt
	@touch $@

# So do the emulator's.
$(EMULATOR)/.ready: requirements/emulator.txt | $(READY)
	@echo "Setting up $(EMULATOR) (once)" >&2
	@$(VENV)/bin/uv venv -q --clear --python $(VENV)/bin/python $(EMULATOR)
	@$(VENV)/bin/uv pip install -qq --python $(EMULATOR)/bin/python --require-hashes -r requirements/emulator.txt
	@touch $@

# CDK is larger than all of these together.
$(CDK)/.ready: requirements/cdk.txt | $(READY)
	@echo "Setting up $(CDK) (once)" >&2
	@$(VENV)/bin/uv venv -q --clear --python $(VENV)/bin/python $(CDK)
	@$(VENV)/bin/uv pip install -qq --python $(CDK)/bin/python --require-hashes -r requirements/cdk.txt
	@touch $@

# The mutants run the tests, so they need what those need as well.
$(MUTATION)/.ready: requirements/dev.txt requirements/mutation.txt | $(READY)
	@echo "Setting up $(MUTATION) (once)" >&2
	@$(VENV)/bin/uv venv -q --clear --python $(VENV)/bin/python $(MUTATION)
	@$(VENV)/bin/uv pip install -qq --python $(MUTATION)/bin/python --require-hashes \
		-r requirements/dev.txt -r requirements/mutation.txt
	@touch $@

# What deploys needs nothing of all that. pip alone makes it, which goes by PIP_INDEX_URL and pip.conf, and leaves with its
# companion once it is done: half of what they are is more than the commands.
$(OPERATE)/.ready: requirements/operate.txt
	@$(NEW_ENOUGH)
	@echo "Setting up $(OPERATE) (once)" >&2
	@$(PYTHON) -m venv --clear $(OPERATE)
	@$(OPERATE)/bin/python -m pip install -qq --disable-pip-version-check --no-compile --require-hashes \
		-r requirements/operate.txt
	@$(OPERATE)/bin/python -m pip uninstall -qq -y setuptools pip
	@touch $@

rehearse: $(READY) ## Rotate a token from start to end on this machine: make rehearse ARGS="--help"
	@$(VENV)/bin/python -m rehearsal rotate $(ARGS)

replay: $(READY) ## Replay one sample event and show what changed: make replay EVENT=events/finish_secret.json
	$(if $(filter %.json,$(MAKECMDGOALS)),$(error An event is named like this: make replay EVENT=$(filter %.json,$(MAKECMDGOALS))))
	@$(VENV)/bin/python -m rehearsal replay "$(EVENT)" $(ARGS)

bench: $(READY) ## Measure what a rotation costs, beside a plain function: one table, in a few minutes
	@$(VENV)/bin/python -m rehearsal bench $(ARGS)

fleet: $(READY) ## Rotate 200 secrets at once in virtual time: make fleet ARGS="--help"
	@$(VENV)/bin/python -m rehearsal fleet $(ARGS)

year: $(READY) ## Let a year of one secret pass in virtual time, and draw it: make year ARGS="--seed 7"
	@$(VENV)/bin/python -m rehearsal year $(ARGS)

pictures: $(READY) ## Draw anew what the README shows of a rehearsal, as docs/rehearsal.svg
	@$(VENV)/bin/python -m rehearsal picture docs/rehearsal.svg

check: $(READY) ## Look at style and types, and run the tests that start no server: about half a minute
	@$(VENV)/bin/ruff check -q .
	@$(VENV)/bin/ruff format -q --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/python -m pytest -q -n auto --without-servers $(ARGS)

test: $(READY) $(EMULATOR)/.ready ## Run the tests: make test ARGS="-k finish"
	@$(VENV)/bin/python -m pytest -q -n auto --dist loadgroup --ignore tests/e2e --ignore tests/synth -m "not long" $(ARGS)

faults: $(READY) ## Show what becomes of a fault, a twin or somebody's act at every request of a rotation
	@$(VENV)/bin/python -m pytest -q tests/rotation/test_faults.py tests/rotation/test_twins.py \
		tests/rotation/test_histories.py tests/rotation/test_caretaker_faults.py \
		tests/rotation/test_caretaker_twins.py tests/rotation/test_rarer_faults.py \
		tests/organization/test_faults.py tests/organization/test_twins.py $(ARGS)

e2e: $(READY) ## Pull a private image with skopeo, from Debian's registry, while its token rotates
	@tests/e2e/programs $(REGISTRY)
	@PATH="$$PATH:$(CURDIR)/$(REGISTRY)/usr/bin" $(VENV)/bin/python -m pytest -q tests/e2e -m "not long" $(ARGS)

synth: $(READY) $(CDK)/.ready ## Synthesize what docs/terraform-and-cdk.md shows for CDK; needs Node.js
	@command -v node >/dev/null || { echo "CDK runs on Node.js, and there is no node here" >&2; exit 1; }
	@$(VENV)/bin/python -m pytest -q tests/synth $(ARGS)

mutants: $(MUTATION)/.ready ## Change the function everywhere, and see whether tests notice: make mutants ARGS="plan steps"
	@PATH="$(CURDIR)/$(MUTATION)/bin:$$PATH" PYTHONPATH= python tests/mutants.py $(ARGS)

lint: $(READY) $(SCAN)/.ready ## Look at style, types and templates, change nothing
	@$(VENV)/bin/ruff check -q .
	@$(VENV)/bin/ruff format -q --check .
	@$(VENV)/bin/mypy
	@found=$$($(VENV)/bin/lint-imports --no-cache 2>&1) || { echo "$$found" >&2; exit 1; }
	@$(SCAN)/bin/cfn-lint infra/*.yaml
	@found=$$($(SCAN)/bin/checkov --quiet --compact --skip-download --framework cloudformation -d infra 2>&1) || \
		{ echo "$$found" >&2; exit 1; }

format: $(READY) ## Put style right
	@$(VENV)/bin/ruff check -q --fix .
	@$(VENV)/bin/ruff format -q .

package: archive $(READY) ## Build dist/dockerhub-rotation.zip, the same bytes on any machine, with checksum and SBOM
	@$(VENV)/bin/python infra/sbom.py

archive: $(OPERATE)/.ready
	@$(OPERATE)/bin/python infra/package.py >&2 # standard output belongs to the verb that needs it

wheel: archive $(READY) ## Build a wheel with the commands and all they deploy, in dist
	@$(VENV)/bin/python -m hatchling build -t wheel >&2

release-files: package wheel ## Build what a release publishes, in dist/release: make release-files TAG=v0.1.0
	@$(VENV)/bin/python infra/release.py --tag "$$TAG"

deploy: $(PACKED) ## Make or update everything in AWS: bucket, package, function, caretaker, secret
	@$(DEPLOY) deploy $(DEPLOYMENT) $(STACKS) $(PACKAGE) $(FIRST_TOKEN)

deploy-bucket: $(OPERATE)/.ready ## Make or update the bucket of packages alone
	@$(DEPLOY) deploy $(DEPLOYMENT) $(STACKS) --only bucket

deploy-package: $(PACKED) ## Upload the package alone
	@$(DEPLOY) deploy $(DEPLOYMENT) $(STACKS) $(PACKAGE) --only package

deploy-function: $(PACKED) ## Make or update the function and its alarms, and the caretaker that is there
	@$(DEPLOY) deploy $(DEPLOYMENT) $(STACKS) $(PACKAGE) --only function

deploy-caretaker: $(PACKED) ## Make or update the caretaker alone, as the function is set
	@$(DEPLOY) deploy $(DEPLOYMENT) $(STACKS) $(PACKAGE) --only caretaker

deploy-secret: $(OPERATE)/.ready ## Make or update one secret alone: make deploy-secret SECRET=team-a/dockerhub
	@$(DEPLOY) deploy $(DEPLOYMENT) $(STACKS) --only secret $(FIRST_TOKEN)

preflight: archive ## Look whether AWS and, with ARGS="--local" or DEPLOYED=1, Docker Hub are as assumed
	@$(DEPLOY) preflight $(DEPLOYMENT) $(call IF_YES,DEPLOYED,--deployed)

credentials: archive ## Try the Docker Hub account and store it in Parameter Store; asks for it without echo
	@$(DEPLOY) credentials $(DEPLOYMENT) $(call IF_YES,YES,--yes) $(call IF_NO,TRY,--no-try)

rotate: $(OPERATE)/.ready ## Rotate in AWS and follow it to its end; after a leak: make rotate LEAKED=1
	@$(DEPLOY) rotate $(DEPLOYMENT) $(call IF_YES,LEAKED,--leaked) $(call IF_YES,YES,--yes)

status: $(OPERATE)/.ready ## Say how all secrets are, worst first; one in full: make status SECRET=team-a/dockerhub
	@$(DEPLOY) status $(SECRETS)

logs: $(OPERATE)/.ready ## Show what one rotation has logged: make logs FOLLOW=1, make logs VERSION=<id>
	@$(DEPLOY) logs $(DEPLOYMENT) $(if $(VERSION),--version "$$VERSION") $(call IF_YES,FOLLOW,--follow)

unblock: $(OPERATE)/.ready ## Say why a rotation hangs, and drop it; asks first
	@$(DEPLOY) unblock $(DEPLOYMENT) $(call IF_YES,YES,--yes)

rollback: $(OPERATE)/.ready ## Have consumers get the token again that they had before; asks first
	@$(DEPLOY) rollback $(DEPLOYMENT) $(if $(VERSION),--version "$$VERSION") $(call IF_YES,YES,--yes)

reconcile: $(OPERATE)/.ready ## Have the caretaker look at all secrets now, or at SECRET=..., and take away what is due
	@$(DEPLOY) reconcile $(SECRETS)

retire: $(OPERATE)/.ready ## Have every superseded token of a secret disabled now, whatever its grace; asks first
	@$(DEPLOY) retire $(DEPLOYMENT) $(call IF_YES,YES,--yes)

destroy: $(OPERATE)/.ready ## Remove from AWS what was made, and say what stays
	@$(DEPLOY) destroy $(DEPLOYMENT) $(call IF_YES,YES,--yes)

COMPILE = cd requirements && ../$(VENV)/bin/uv pip compile -q -U --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock"

lock: $(READY) ## Renew the locked versions and hashes in requirements/
	@$(COMPILE) -o runtime.txt --group ../pyproject.toml:function
	@$(COMPILE) -c runtime.txt -o operate.txt --group ../pyproject.toml:package ../pyproject.toml
	@$(COMPILE) -c runtime.txt -c operate.txt -o dev.txt --group ../pyproject.toml:dev ../pyproject.toml
	@$(COMPILE) -o setup.txt setup.in
	@$(COMPILE) -o lambda.txt lambda.in
	@$(COMPILE) -o scan.txt scan.in
	@$(COMPILE) -o emulator.txt emulator.in
	@$(COMPILE) -o cdk.txt cdk.in
	@$(COMPILE) -c dev.txt -o baseline.txt baseline.in
	@$(COMPILE) -c dev.txt -o mutation.txt mutation.in

clean: ## Remove .venv and everything generated
	@rm -rf $(VENV) dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
