# A thin door to meson: `make demo` and `make check` do all set-up themselves (README).
BUILD ?= build

.PHONY: all demo check unit bench install clean format

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@scripts/setup
	@meson setup --buildtype=release $(BUILD) >/dev/null

demo: ; @BUILD=$(BUILD) scripts/demo
check: ; @BUILD=$(BUILD) scripts/check
unit: all ; @BUILD=$(BUILD) scripts/check --unit
bench: all ; @BUILD=$(BUILD) bench/run
install: all ; @meson install -C $(BUILD)
format: ; @git ls-files '*.c' '*.h' | xargs clang-format -i
clean: ; rm -rf $(BUILD) build-san build-fuzz
