# One line per target, each a sub-command of `assay` (./assay --help), which makes the environments that are missing.
# Options, on make's command line: PLAN=path-or-name MODEL=folder-or-id BASELINE=folder-or-id VARIANTS=a,b; DRY_RUN=1 (quantize); RAY_ADDRESS=host:6379
# (deploy-all); ENGINE=vllm (conformance); URL=http://host/v1 SLO=ttft=500ms (loadtest); FILE=result.json LLMD=folder (loads); FAULTS=a,b, MINUTES=60, PROFILE=1 (bench-…); WHEELHOUSE=folder, BUILD=cpu,
# ARCHITECTURES='90;120' (setup); PYTHON=3.12 CUDA=13 SYSTEM=pip-list.txt ENVS=a,b PART_MB=58 WITHOUT=a,b PROCESSOR=aarch64 OUTPUT=folder (wheelhouse);
# elsewhere PYTHON=python3.11 runs it
PYTHON = python3
CONTROL = .venvs/control/bin/python
# Two workers, and a module stays on one of them: for tests that start no engine.
PYTEST = $(CONTROL) -m pytest -n 2 --dist loadfile --no-loadscope-reorder
# A variable decides only where it stands on make's command line, never as one of the shell's; its value reaches the command as it was typed.
# An option that takes no value is given by 1, yes or true.
quoted = '$(subst ','\'',$(value $1))'
given = $(if $(filter command,$(origin $2)),$(if $(findstring =,$1),$(if $(value $2),$1$(call quoted,$2)),$(if $(filter 1 yes true,$(value $2)),$1)))
OPTIONS = $(call given,--plan=,PLAN) $(call given,--model=,MODEL) $(call given,--baseline=,BASELINE) $(call given,--variants=,VARIANTS)
ASSAY = ASSAY_OWNER_PID=$$PPID $(call quoted,PYTHON) assay
# There PYTHON is the other machine's.
wheelhouse: ASSAY = ASSAY_OWNER_PID=$$PPID python3 assay
unexport URL SLO FILE LLMD WITHOUT MACHINE CUDA PROCESSOR SYSTEM ENVS PART_MB OUTPUT PLAN MODEL BASELINE VARIANTS DRY_RUN RAY_ADDRESS ENGINE FAULTS MINUTES PROFILE WHEELHOUSE BUILD ARCHITECTURES PYTHON MAKEFLAGS MAKEOVERRIDES

.PHONY: help compare deploy-all serve quantize explore loadtest loadtest-ui loads slo-search calibrate eval report status down prometheus setup wheelhouse test test-fast check conformance bench-client bench-agreement bench-detect bench-evidence bench-clients bench-engines bench-export bench-recipes bench-fuzz bench-faults bench-soak bench-serving

help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1|/' | column -t -s '|'
compare:         ## everything: quantize, serve, load-test, question, report, verdict
	@$(ASSAY) compare $(OPTIONS)
deploy-all:      ## serve every variant in the background; returns when all are ready
	@$(ASSAY) up $(OPTIONS) $(call given,--ray-address=,RAY_ADDRESS)
serve:           ## the same in the foreground, until Ctrl-C or SIGTERM (for containers)
	@$(ASSAY) serve $(OPTIONS)
quantize:        ## make what is missing of the plan's artifacts
	@$(ASSAY) quantize $(OPTIONS) $(call given,--dry-run,DRY_RUN)
explore:         ## figures of what every number format keeps of the model: page and pictures
	@$(ASSAY) explore $(call given,--model=,MODEL)
loadtest:        ## load-test what is served, or any OpenAI endpoint (URL=http://host/v1 MODEL=name; SLO=ttft=500ms: exit code)
	@$(ASSAY) loadtest $(OPTIONS) $(call given,--url=,URL) $(call given,--slo=,SLO)
loadtest-ui:     ## Locust's own page on what is served, with tokens in its tables and charts
	@$(ASSAY) loadtest-ui $(OPTIONS)
loads:           ## what was measured under load, beside other tools' results (FILE=result.json; LLMD=folder: Benchmark Reports for llm-d)
	@$(ASSAY) loads $(OPTIONS) $(call given,--llmd=,LLMD) $(if $(filter command,$(origin FILE)),$(call quoted,FILE))
slo-search:      ## the highest rate of arrivals at which what is served meets the SLO
	@$(ASSAY) slo-search $(OPTIONS)
calibrate:       ## what the load generator costs, adds, and where it saturates on this machine
	@$(ASSAY) calibrate
eval:            ## question what is served
	@$(ASSAY) eval $(OPTIONS)
report:          ## comparison, verdict and report from what was measured
	@$(ASSAY) report $(OPTIONS)
status:          ## what runs, with health (MACHINE=1: the device, the engines' builds, what each recipe is here)
	@$(ASSAY) status $(call given,--machine,MACHINE)
down:            ## stop what this project started
	@$(ASSAY) down
prometheus:      ## watch what runs with Debian's Prometheus, at http://127.0.0.1:9090
	@$(ASSAY) prometheus $(OPTIONS)
setup:           ## make the environments under .venvs/, the engines built for this machine
	@$(ASSAY) setup $(call given,--wheelhouse=,WHEELHOUSE) $(call given,--build=,BUILD) $(call given,--architectures=,ARCHITECTURES)
wheelhouse:      ## all that set-up needs on a machine without network
	@$(ASSAY) wheelhouse $(call given,--python=,PYTHON) $(call given,--cuda=,CUDA) $(call given,--processor=,PROCESSOR) $(call given,--system=,SYSTEM) $(call given,--envs=,ENVS) $(call given,--without=,WITHOUT) $(call given,--part-mb=,PART_MB) $(call given,--output=,OUTPUT)
test: setup      ## the whole test suite: what starts no engine by two workers, then real engines one after the other
	@$(PYTEST) -m "not engine"; fast=$$?; $(CONTROL) -m pytest -m engine && exit $$fast
test-fast: setup ## the tests that start no engine
	@$(PYTEST) -m "not engine"
check: setup     ## format, lint, types, fast tests
	@.venvs/control/bin/ruff format --check . && .venvs/control/bin/ruff check . && .venvs/control/bin/mypy && $(PYTEST) -q -m "not engine"
conformance:     ## start ENGINE=vllm, trtllm, … on the plan's model and hold it to what it claims
	@$(ASSAY) conformance $(call given,--engine=,ENGINE) $(OPTIONS)
bench-client:    ## what the load generator itself adds to latency
	@$(ASSAY) bench client
bench-agreement: ## do ours, vllm bench serve, GuideLLM and AIPerf agree about one endpoint, and what does an event cost each?
	@$(ASSAY) bench agreement
bench-detect:    ## is a difference of 5 % seen beside a neighbour that comes and goes, and none where none is?
	@$(ASSAY) bench detect
bench-evidence:  ## do intervals hold a known truth, is a verdict false, are planted defects called, is our table lm-eval's?
	@$(ASSAY) bench evidence
bench-clients:   ## the clients that people use (GuideLLM, AIPerf, LiteLLM, …) against every engine: does each get its answers?
	@$(ASSAY) bench clients
bench-engines:   ## our llama.cpp server against llama-server and llama-cpp-python's two, side by side
	@$(ASSAY) bench engines $(call given,--model=,MODEL)
bench-export:    ## exported artifacts against the tools' own models, vLLM and llama.cpp
	@$(ASSAY) bench export $(call given,--model=,MODEL)
bench-recipes:   ## every recipe in one table: bits, time, memory, SNR, perplexity, accuracy
	@$(ASSAY) bench recipes $(call given,--model=,MODEL)
bench-fuzz:      ## 10,000 wrong requests to every engine and route: no server error, no crash, no traceback
	@$(ASSAY) bench fuzz
bench-faults:    ## kill, hang, fill and leave a service of its own: what do its clients see? (FAULTS=a,b)
	@$(ASSAY) bench faults $(call given,--faults=,FAULTS)
bench-soak:      ## MINUTES=60 of mixed load on a service of its own: is memory flat, is every answer right?
	@$(ASSAY) bench soak $(call given,--plan=,PLAN) $(call given,--variants=,VARIANTS) $(call given,--minutes=,MINUTES)
bench-serving:   ## what Ray Serve adds to an engine asked directly, side by side (PROFILE=1: where the time goes)
	@$(ASSAY) bench serving $(call given,--plan=,PLAN) $(call given,--profile,PROFILE)
