# One line per target; the logic lives in Python.
# Options: DRY_RUN=1 (quantize)  RAY_ADDRESS=host:6379 (deploy-all)  PLAN=path-or-name  MODEL=folder-or-id  VARIANTS=a,b  WHEELHOUSE=folder  PYTHON=python3.11  MINUTES=60 (bench-soak)
PYTHON ?= python3
CONTROL = .venvs/control/bin/python
READY = .venvs/control/assay-environment.json
OPTIONS = $(if $(PLAN),--plan $(PLAN)) $(if $(MODEL),--model $(MODEL)) $(if $(VARIANTS),--variants $(VARIANTS))
# Two workers; a module stays on one of them, and all that needs the one service (tests/conftest.py).
PYTEST = $(CONTROL) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder
OWNED = ASSAY_OWNER_PID=$$PPID
# A benchmark that serves for itself keeps its service's record apart from `make deploy-all`'s.
OWN_RUN_DIR = ASSAY_RUN_DIR=$(CURDIR)/.run

.PHONY: help compare deploy-all serve quantize loadtest eval report status down prometheus setup test test-fast check conformance bench-client bench-engines bench-export bench-recipes bench-fuzz bench-faults bench-soak bench-serving explore

help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1|/' | column -t -s '|'
compare: setup   ## everything: quantize, serve, load-test, question, report, verdict
	@$(OWNED) $(CONTROL) -m eval compare $(OPTIONS)
deploy-all: quantize ## serve every variant in the background; returns when all are ready
	@$(OWNED) $(CONTROL) -m deploy up $(OPTIONS) $(if $(RAY_ADDRESS),--ray-address $(RAY_ADDRESS))
serve: quantize  ## the same in the foreground, until Ctrl-C or SIGTERM (for containers)
	@$(OWNED) $(CONTROL) -m deploy host $(OPTIONS)
quantize: setup  ## make what is missing of the plan's artifacts
	@$(OWNED) $(CONTROL) -m deploy quantize $(OPTIONS) $(if $(DRY_RUN),--dry-run)
explore: setup   ## figures of what every number format keeps of the model: page and pictures
	@$(OWNED) $(CONTROL) -m eval.explore $(if $(MODEL),--model $(MODEL))
loadtest: $(READY) ## load-test what is served
	@$(OWNED) $(CONTROL) -m loadtest $(OPTIONS)
eval: $(READY)  ## question what is served
	@$(OWNED) $(CONTROL) -m eval quality $(OPTIONS)
report: $(READY) ## comparison, verdict and report from what was measured
	@$(CONTROL) -m eval report $(OPTIONS)
status: $(READY) ## what runs, with health
	@$(CONTROL) -m deploy status
down: $(READY)  ## stop what this project started
	@$(CONTROL) -m deploy down
prometheus: $(READY) ## watch what runs with Debian's Prometheus, at http://127.0.0.1:9090
	@$(OWNED) $(CONTROL) -m deploy prometheus $(OPTIONS)
$(READY):
	@echo "nothing is installed yet: run \`make setup\` first" >&2; exit 2
setup:           ## make the environments under .venvs/
	@$(OWNED) $(PYTHON) -m deploy.setup.installer $(if $(WHEELHOUSE),--wheelhouse $(WHEELHOUSE))
test: setup      ## the whole test suite, with real engines
	@$(PYTEST)
test-fast: setup ## the tests that start no engine
	@$(PYTEST) -m "not engine"
check: setup     ## format, lint, types, fast tests
	@.venvs/control/bin/ruff format --check . && .venvs/control/bin/ruff check . && .venvs/control/bin/mypy && $(PYTEST) -q -m "not engine"
conformance: setup ## start ENGINE=vllm, trtllm, … on the plan's model and hold it to what it claims
	@$(OWNED) $(CONTROL) -m deploy conformance --engine "$(ENGINE)" $(OPTIONS)
bench-client: setup ## what the load generator itself adds to latency
	@$(OWNED) $(CONTROL) -m tests.benches.client
bench-engines: setup ## our llama.cpp server against llama-cpp-python's two, side by side
	@$(OWNED) $(CONTROL) -m tests.benches.engines
bench-export: setup ## exported artifacts against the tools' own models, vLLM and llama.cpp
	@$(OWNED) $(CONTROL) -m tests.benches.export $(if $(MODEL),--model $(MODEL))
bench-recipes: setup ## every recipe in one table: bits, time, memory, SNR, perplexity, accuracy
	@$(OWNED) $(CONTROL) -m tests.benches.recipes $(if $(MODEL),--model $(MODEL))
bench-fuzz: setup ## 10,000 wrong requests to every engine and route: no server error, no crash, no traceback
	@$(OWNED) $(OWN_RUN_DIR)/fuzz $(CONTROL) -m tests.benches.fuzz
bench-faults: setup ## kill, hang, fill and leave a service of its own: what do its clients see? (FAULTS=a,b)
	@$(OWNED) $(OWN_RUN_DIR)/faults $(CONTROL) -m tests.benches.fault $(if $(FAULTS),--faults $(FAULTS))
bench-soak: setup ## MINUTES=60 of mixed load on a service of its own: is memory flat, is every answer right?
	@$(OWNED) $(OWN_RUN_DIR)/soak $(CONTROL) -m tests.benches.soak $(if $(PLAN),--plan $(PLAN)) $(if $(VARIANTS),--variants $(VARIANTS)) $(if $(MINUTES),--minutes $(MINUTES))
bench-serving: setup ## what Ray Serve adds to an engine asked directly, side by side (PROFILE=1: where the time goes)
	@$(OWNED) $(OWN_RUN_DIR)/serving $(CONTROL) -m tests.benches.serving $(if $(PLAN),--plan $(PLAN)) $(if $(PROFILE),--profile)
