# make check is what people and CI run alike; the other targets are its parts.
# COUNTS names a file that collects "what passed failed skipped" (test.sh adds it up),
# FAILURES one that collects the end of what each failed test said (test.sh shows it last).

SHELL    := /bin/bash
.SHELLFLAGS := -o pipefail -c
GO       ?= go
BIN      := $(CURDIR)/bin
COUNTS   ?= /dev/null
FAILURES ?= /dev/null
FUZZTIME ?= 3s
COUNT    ?= 6
DIRS     := $(wildcard cmd internal test bench)
# The stories need real clients; they have a target of their own.
UNITS     = $$($(GO) list ./... | grep -v '/test/e2e')

.PHONY: check build tools format vet lint floors test fuzz e2e bench clean

check: format vet lint floors test fuzz

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/packhouse

TOOLS := $(BIN)/golangci-lint $(BIN)/gofumpt $(BIN)/benchstat $(BIN)/testsum
tools: $(TOOLS)
$(TOOLS) &: tools/go.mod tools/go.sum tools/testsum/main.go
	@echo "== building the tools (minutes the first time, seconds from the build cache)"
	@mkdir -p $(BIN)
	@cd tools && $(GO) build -o $(BIN)/ tool ./testsum
	@touch $(TOOLS)

# check_step NAME COMMAND: says what runs, and counts a failure.
define check_step
	@echo "== $(1)"; { $(2); } || { echo "$(1): failed"; echo "$(1) 0 1 0" >>$(COUNTS); exit 1; }
endef

format: tools
	$(call check_step,format,bad=$$($(BIN)/gofumpt -l $(DIRS) tools/testsum) && { [ -z "$$bad" ] || { echo "run bin/gofumpt -w on:"; echo "$$bad"; false; }; })

vet:
	$(call check_step,vet,$(GO) vet ./...)

lint: tools
	$(call check_step,lint,$(BIN)/golangci-lint run --timeout 10m --allow-parallel-runners)

floors:
	$(call check_step,floors,$(GO) test -count=1 ./internal/)

test: tools
	@echo "== tests with the race detector"
	@cd tools && $(GO) test ./testsum >/dev/null # a wrong counter would hide a failure
	@$(GO) test -race -json -timeout 10m $(UNITS) | $(BIN)/testsum -label tests -counts $(COUNTS) -failures $(FAILURES)

# Every fuzz target of the tree for a few seconds each.
fuzz:
	@echo "== fuzz, $(FUZZTIME) each"
	@read -r ok bad < <(GO=$(GO) tools/fuzz.sh $(FUZZTIME) $(DIRS)); \
	echo "fuzz $${ok:-0} $${bad:-1} 0" >>$(COUNTS); echo "== fuzz: $$ok ok, $$bad bad"; [ "$$bad" = 0 ] && [ "$$ok" -gt 0 ]

# The stories with real clients, three at a time (they wait more than they work): see test/e2e and test.sh, which installs them.
e2e: tools
	@echo "== stories with the real clients"
	@$(GO) test -json -count=1 -timeout 45m -parallel 3 ./test/e2e/... | $(BIN)/testsum -v -label stories -counts $(COUNTS) -failures $(FAILURES)

# Hot paths, in the form benchstat reads. `make bench OLD=before.txt` compares.
bench: $(if $(OLD),tools)
	@pkgs=$$(grep -rlE --include='*_test.go' '^func Benchmark' $(DIRS) | xargs -r -n1 dirname | sort -u | sed 's#^#./#'); \
	[ -n "$$pkgs" ] || { echo "no benchmarks"; exit 0; }; \
	$(GO) test -run='^$$' -bench=. -benchmem -count=$(COUNT) -timeout 60m $$pkgs | tee bench.out
	@[ -z "$(OLD)" ] || $(BIN)/benchstat $(OLD) bench.out

clean:
	rm -rf $(BIN) bench.out
