# Thin: each target is a command or two that can also be typed. JOBS bounds parallel compilation (a file that sees
# torch takes up to 1.5 GB).
JOBS ?= $(shell nproc)
BUILD := build/release
# Threads that wait do so asleep: as many files of tests as there are processors run at a time.
PYTEST := OMP_WAIT_POLICY=passive SDTUNE_BUILD=$(CURDIR)/$(BUILD) .deps/venv/bin/python -m pytest -q
SMALL_TESTS := -m "not large" -n $(shell nproc) --dist loadfile

.PHONY: build demo test test-full check format docs bench clean

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json
	scripts/bootstrap
	cmake --preset release

build: $(BUILD)/build.ninja
	ninja -C $(BUILD) -j $(JOBS)

# Everything in demo/: pictures, what the small model became, the loss curve, the log.
demo: build
	$(BUILD)/sdtune demo

# The same random cases each time; test-full draws new ones, and more.
test: build
	scripts/bootstrap --tests
	RC_PARAMS=seed=1 ctest --test-dir $(BUILD) --output-on-failure
	$(PYTEST) tests $(SMALL_TESTS)

# Also whole-size models and long series: hours of work and 18 GB of memory.
test-full: build
	scripts/bootstrap --tests
	RC_PARAMS=max_success=1000 ctest --test-dir $(BUILD) --output-on-failure
	$(PYTEST) tests $(SMALL_TESTS)
	$(PYTEST) tests -m large

check: build
	scripts/check

format:
	git ls-files -co --exclude-standard '*.cc' '*.h' '*.cu' | xargs clang-format -i

docs: build
	$(BUILD)/sdtune docs options > docs/options.md

# Where the processor has no bf16 instructions torch's products are so slow that one of Diffusers' steps takes minutes.
BF16_TURNS := $(if $(shell grep -m1 -oE 'avx512_bf16|amx_bf16' /proc/cpuinfo),,--rounds 1 --steps 1)

# Each peer beside sdtune in one run. Wants a quiet machine, 18 GB of memory and two or three hours.
bench: build
	scripts/bootstrap --tests
	$(BUILD)/sdtune-bench-kernels
	$(BUILD)/sdtune-bench-conv2d
	$(BUILD)/sdtune-bench-conv2d bfloat16
	$(BUILD)/sdtune-bench-linear
	for size in 256 512; do .deps/venv/bin/python benchmarks/step_bench.py --build $(BUILD) --size $$size || exit 1; done
	.deps/venv/bin/python benchmarks/step_bench.py --build $(BUILD) --size 256 --precision bf16 $(BF16_TURNS)
	.deps/venv/bin/python benchmarks/step_bench.py --build $(BUILD) --what vae
	.deps/venv/bin/python benchmarks/step_bench.py --build $(BUILD) --what text --batch 3 --steps 10
	.deps/venv/bin/python benchmarks/growth_bench.py --build $(BUILD)
	.deps/venv/bin/python benchmarks/start_bench.py --build $(BUILD)
	.deps/venv/bin/python benchmarks/image_peer.py --build $(BUILD)
	.deps/venv/bin/python benchmarks/caching_bench.py --build $(BUILD)
	.deps/venv/bin/python benchmarks/loader_bench.py --build $(BUILD)
	.deps/venv/bin/python benchmarks/blip_bench.py --build $(BUILD)
	.deps/venv/bin/python benchmarks/tagger_bench.py --build $(BUILD)

clean:
	rm -rf build
