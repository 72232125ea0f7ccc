# make demo, make test: each sets itself up on a fresh machine. Needs python3 (3.11 or newer) with venv.

export ALIBABA_CLOUD_ECS_METADATA_DISABLED = true
# Tests and the programs they start are compiled once, not by every process anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
ENGINE ?= docker
BIN := .venv/bin
READY := .venv/ready
WHEELS := .cache/wheels/ready
# Many tests wait for real programs: four at a time keep two cores busy.
PYTEST := $(BIN)/python -m pytest -n 4 --dist worksteal
# Seconds after which one of the tests that take minutes counts as hanging.
PATIENCE := -o faulthandler_timeout=900

.PHONY: demo demo-history demo-stack coverage test clock-test image image-test stack-test package-test docs dashboards manifests check lint types format bench clean

demo: $(READY)
	$(BIN)/directmail-exporter demo $(ARGS)

# The same with the last 30 days written first; prints how Prometheus takes them in.
demo-history: $(READY)
	mkdir -p .cache
	$(BIN)/directmail-exporter demo --history .cache/history.om $(ARGS)

# The demo within Debian's Prometheus and Alertmanager: rules loaded, 30 days of history, alerts shown as they come.
demo-stack: $(READY)
	$(BIN)/python -m tools.stack.demo $(ARGS)

# Every test but those that need minutes, root or the network: see stack-test, image-test and package-test.
test: $(READY)
	@$(PYTEST) $(ARGS)

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
	$(BIN)/python -m pytest -m stack $(PATIENCE) $(ARGS)

# Wheel and sdist as users get them, installed where nothing else is. The wheels it needs are fetched once.
package-test: $(READY) $(WHEELS)
	$(BIN)/python -m pytest -m package tests/deploy/test_package.py $(PATIENCE) $(ARGS)

# ENGINE=podman does as well; BUILDAH_FORMAT gives it Docker's format, which alone has health checks.
image:
	BUILDAH_FORMAT=docker $(ENGINE) build --tag directmail-exporter \
	  --build-arg VERSION=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' exporter/__init__.py) \
	  --build-arg REVISION=$$(git rev-parse HEAD) .

# Builds the image and runs it, with buildah and podman on a base that is made here. Needs root, debootstrap and runc.
image-test: $(READY)
	$(BIN)/python -m pytest -m image tests/deploy/test_image.py $(PATIENCE) $(ARGS)

check: lint types test

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

coverage: $(READY)
	$(PYTEST) --cov --cov-report=term $(ARGS)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# docs/metrics.md from the tables of metrics, docs/rooms.svg from the imports.
docs: $(READY)
	$(BIN)/python -m tools.references
	$(BIN)/python -m tools.rooms --write

# grafana/*.json from tools/boards.
dashboards: $(READY)
	$(BIN)/python -m tools.boards.build

# deploy/kubernetes/monitoring/ from prometheus/*.rules.yml and grafana/*.json.
manifests: $(READY)
	$(BIN)/python -m tools.manifests

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(READY): pyproject.toml requirements-dev.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(WHEELS): requirements.txt | $(READY)
	rm -rf $(@D)
	$(BIN)/pip wheel --quiet --disable-pip-version-check --require-hashes --no-deps --wheel-dir $(@D) --requirement requirements.txt
	touch $@
