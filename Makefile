# One verb a stage. `make help` lists them; each verb first does what it needs.

CONFIG    ?= zcu102
VARIANT   ?= fast
MODEL     ?= deit_tiny_patch16_224
TOKENS    ?= 0.7
ATTENTION ?= 0.7
STEPS     ?= 1
OUT       ?= runs/demo
DUT       ?= shell
RTL_DIR   ?=
EXTRAS    ?= test,dev
JOBS      ?= $(shell nproc)
ARGS      ?=
# Of `make hw` and its stages: empty for the configuration's own, or what is installed.
BOARD     ?=
CLOCK     ?=
TOOL      ?=
STRATEGIES ?= default
COSIM_CASES ?= refused inference

comma := ,
PY    := .venv/bin/python
READY := .venv/.ready-$(subst $(comma),+,$(EXTRAS))
# What is shipped, and what the tests run on to the last bit: a toy accelerator for every operation, and the ZCU102's.
CONFIGS      := $(basename $(notdir $(wildcard hls/configs/*.json)))
TEST_CONFIGS := toy zcu102

# Plots need no screen.
export MPLBACKEND := Agg

.DEFAULT_GOAL := help
.PHONY: help setup render csim csim-test demo test test-all lint style typecheck format hls-lint snapshot parity bench experiments perf area explore leaf rtl profile deploy hw hls cosim bd bit reports hw-check clean

help:  ## list the verbs and the settings
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo
	@echo "  settings:  CONFIG=$(CONFIG) VARIANT=$(VARIANT) MODEL=$(MODEL) TOKENS=$(TOKENS) ATTENTION=$(ATTENTION)"
	@echo "             STEPS=$(STEPS) OUT=$(OUT) EXTRAS=$(EXTRAS) JOBS=$(JOBS) PYTHON=python3 ARGS=more options"

setup: $(READY)  ## make .venv with the pinned packages [EXTRAS]

$(READY): pyproject.toml tools/setup_env.sh
	@tools/setup_env.sh $(EXTRAS)
	@touch $@

render: setup  ## render the accelerator's C++ into build/$CONFIG [CONFIG]
	$(PY) -m hls.render $(CONFIG)

csim: render  ## compile the rendered kernels for this machine [CONFIG VARIANT]
	$(PY) -m sim.csim build $(CONFIG) --variant $(VARIANT)

demo: csim  ## train a tri-level sparse ViT on the simulated accelerator and report [OUT ARGS]
	$(PY) -m sim.demo --out $(OUT) $(ARGS)

# The tests share the compiled kernels, so these are built once, before the test processes start.
csim-test: setup
	$(PY) -m hls.render $(CONFIGS)
	$(PY) -m sim.csim build $(CONFIGS) --variant fast
	$(PY) -m sim.csim build $(TEST_CONFIGS) --variant fidelity

# One process a core, so one thread a process.
test: csim-test  ## run the tests [JOBS ARGS]
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-all: csim-test  ## run the tests, the slow ones too [JOBS ARGS]
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist worksteal -m "slow or not slow" $(ARGS)

lint: style typecheck hls-lint snapshot  ## check all of the next four; with make -k past the first fault

style: setup  ## check the style of the Python and the C++
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	tools/clang_format.sh --dry-run --Werror

typecheck: setup  ## check the types of hls/spec, host, sim, tools/deploy, trainer and vitis_project
	$(PY) -m mypy

hls-lint: setup  ## check the rendered kernels against the rules of synthesis
	$(PY) -m hls.render $(CONFIGS)
	$(PY) -m hls.lint $(addprefix build/,$(CONFIGS))

snapshot: setup  ## compare the committed rendering of the toy accelerator with a fresh one
	$(PY) -m hls.render --check

format: setup  ## format the Python and the C++
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix --select I .
	tools/clang_format.sh -i

parity: csim  ## compare every tensor of training steps, golden and C simulation [MODEL TOKENS ATTENTION STEPS ARGS]
	$(PY) -m sim.parity --config $(CONFIG) --variant $(VARIANT) --model $(MODEL) --tokens $(TOKENS) --attention $(ATTENTION) --steps $(STEPS) $(ARGS)

bench: csim  ## measure what sparsity saves in training, and the simulations, on this machine
	$(PY) -m trainer.bench
	$(PY) -m sim.bench

experiments: setup  ## train the rows of the paper's tables in the background, resumably; report in docs/results [ARGS]
	$(PY) -m host.data fetch cifar10 fashion_mnist
	$(PY) -m trainer.experiments --background $(ARGS)

perf: csim  ## print the modelled times of the accelerator beside the paper's and the targets [ARGS]
	$(PY) -m sim.perf --config $(CONFIG) $(ARGS)

explore: setup  ## search the sizes of the accelerator for every shipped board, under its limits [ARGS]
	$(PY) -m sim.explore $(ARGS)

area: setup  ## estimate DSP, BRAM, LUT and FF of the rendered kernels by module [CONFIG ARGS]
	$(PY) -m hls.area $(CONFIG) $(ARGS)

leaf: setup  ## make RTL of the leaf datapaths, simulate it on 100,000 vectors each and count its cells [CONFIG ARGS]
	$(PY) -m sim.rtl.leaf $(CONFIG) --area $(ARGS)

profile: csim  ## measure what the host does around the kernel in a training step, on the virtual board [CONFIG ARGS]
	$(PY) -m sim.board.profile --config $(CONFIG) $(ARGS)

deploy: setup  ## write deploy/$CONFIG, the folder for a board: program, weights, bitstream, checksums [CONFIG BITFILE ARGS]
	$(PY) -m tools.deploy $(CONFIG) $(if $(BITFILE),--bitfile $(BITFILE)) $(ARGS)

# The bitstream, by AMD's tools. Each stage first runs those that it needs; ended ones are left out.
HW := $(PY) -m vitis_project
HW_OPTIONS = --config $(CONFIG) $(if $(BOARD),--board $(BOARD)) $(if $(CLOCK),--clock $(CLOCK)) $(if $(TOOL),--tool $(TOOL)) \
	--strategies $(STRATEGIES) --cosim-cases $(COSIM_CASES) $(ARGS)

hw: setup  ## build the bitstream with Vitis HLS and Vivado: hls, bd, bit, reports [CONFIG BOARD CLOCK TOOL STRATEGIES JOBS]
	@JOBS=$(JOBS) $(HW) hw $(HW_OPTIONS)

hls: setup  ## stage of hw: C simulation, synthesis and export of the accelerator's IP [CONFIG BOARD CLOCK TOOL]
	@$(HW) hls $(HW_OPTIONS)

cosim: setup  ## stage beside hw: co-simulate the synthesised RTL with the test bench [COSIM_CASES]
	@$(HW) cosim $(HW_OPTIONS)

bd: setup  ## stage of hw: Vivado project and block design
	@$(HW) bd $(HW_OPTIONS)

bit: setup  ## stage of hw: synthesis, implementation, timing gate, bitstream [STRATEGIES=all JOBS]
	@JOBS=$(JOBS) $(HW) bit $(HW_OPTIONS)

reports: setup  ## stage of hw: write the reports again and keep them as this tool version's baseline
	@$(HW) reports $(HW_OPTIONS)

hw-check: setup  ## check all scripts, the test bench and the registers without AMD's tools, and that planted mistakes are caught
	$(PY) -m vitis_project.check $(ARGS)

rtl: setup  ## run the cocotb benches of the shell, or of exported RTL [DUT=vitis RTL_DIR ARGS]
	$(PY) -m sim.rtl.bench --config $(if $(RTL_DIR),$(CONFIG),toy) --dut $(DUT) $(if $(RTL_DIR),--rtl-dir $(RTL_DIR)) $(ARGS)

clean:  ## remove what was rendered, compiled and cached (.venv, data and runs stay)
	rm -rf build reports .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find hls host sim trainer vitis_project tests tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
