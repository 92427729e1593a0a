# Inner Gateway. `make` alone lists the targets. Needed: Go, make and a C compiler (for the race detector); PostgreSQL's
# server programs are installed where apt-get and the rights for it are there. Everything else is built, into
# $INNER_CACHE or else the user's cache folder, once.

GO       ?= go
ARGS     ?=
FUZZTIME ?= 20000x
PKG      ?= ./...
RUN      ?=
SEED     ?=
SPAN     ?=
# For each package; the slowest, of the combinator, needs some twelve minutes on two free cores.
TEST_TIMEOUT ?= 30m
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)

CRD := configs/crd/workerapps.yaml

.DEFAULT_GOAL := help
.PHONY: help run test test-real chaos soak bench-queue bench-controller bench-domains bench-combinator build image release licenses generate lint fuzz clean need-go

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: need-go ## start a demonstration on real servers: ARGS=--once, ARGS='-d DSN -k KUBECONFIG', ARGS=--help
	@$(GO) run ./test/demo $(ARGS)

# A database named by INNER_TEST_DSN, a CockroachDB say, and a TiKV cluster named by INNER_TEST_PD, are used instead of those that
# withstack starts.
test: need-go ## run all tests on real servers: PKG=./modules/tasks/... RUN=TestName narrow it down
	$(GO) run ./test/stack/cmd/withstack --crd $(CRD) -- \
		$(if $(INNER_TEST_DSN),env INNER_TEST_DSN="$$INNER_TEST_DSN") $(if $(INNER_TEST_PD),env INNER_TEST_PD="$$INNER_TEST_PD") $(GO) test -race -vet=off -timeout $(TEST_TIMEOUT) $(if $(RUN),-run '$(RUN)') $(PKG)

test-real: need-go ## run the tests that need a real node (root on Debian; skipped elsewhere): PKG, RUN as above
	$(GO) build -o bin/withnode ./test/realnode/cmd/withnode
	$(GO) test -exec '$(CURDIR)/bin/withnode --crd $(CURDIR)/$(CRD) --' -vet=off -count=1 -p 1 -timeout $(TEST_TIMEOUT) \
		$(if $(RUN),-run '$(RUN)') $(if $(filter ./...,$(PKG)),./test/realnode ./test/realnode/platform,$(PKG))
	$(if $(filter ./...,$(PKG)),INNER_TEST_START_REALNODE=yes $(GO) test -vet=off -count=1 -timeout $(TEST_TIMEOUT) $(if $(RUN),-run '$(RUN)') ./test/realnode/sandbox ./test/realnode/cmd/...)

chaos: need-go ## break the queue, then for 30 minutes the whole platform, in every known way: SPAN=5m, SEED=1
	INNER_CHAOS=long INNER_CHAOS_SEED=$(SEED) $(GO) test -race -count=1 -timeout 30m -v ./test/chaos
	INNER_CHAOS=long INNER_CHAOS_SEED=$(SEED) INNER_CHAOS_SPAN=$(SPAN) $(GO) test -race -count=1 -timeout 2h -v -skip TestHostileUser ./test/chaos/platform
	INNER_CHAOS=long INNER_CHAOS_SEED=$(SEED) INNER_CHAOS_SPAN=$(SPAN) $(GO) test -count=1 -timeout 30m -v -run TestHostileUser ./test/chaos/platform

soak: need-go ## run for an hour without faults and check that memory, goroutines and tables do not grow: SPAN=10m, SEED=1
	INNER_CHAOS=soak INNER_CHAOS_SEED=$(SEED) INNER_CHAOS_SPAN=$(SPAN) $(GO) test -count=1 -timeout 3h -v ./test/chaos/platform

bench-queue: need-go ## measure the queue beside River, graphile-worker and the bare limit: ARGS=--quick
	$(GO) run -C test/bench/queue . $(ARGS)

bench-controller: need-go ## measure the controller on a real control plane: ARGS=--quick, ARGS='--only restart --standing 10000'
	$(GO) run ./test/bench/controller $(ARGS)

bench-domains: need-go ## measure domain.check over 10,000 domains with slow name servers, and valid ones beside silent ones: ARGS=--quick
	$(GO) run ./test/bench/domains $(ARGS)

bench-combinator: need-go ## measure schemas, namespaces and reports beside the bare engine calls
	$(GO) run ./test/stack/cmd/withstack --crd $(CRD) -- $(GO) test -run '^$$' -bench BenchmarkCombinator -benchtime 1x -timeout 30m ./modules/combinator

build: need-go ## build bin/inner, static
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/inner ./cmd/inner

image: need-go ## make the image, for amd64 and arm64, as the archive dist/inner-gateway.tar: ARGS='-reference NAME'
	$(GO) run ./cmd/image -version '$(VERSION)' $(ARGS)

release: need-go ## make every file of a release in dist/<version>, of the commit's tag or VERSION=v1.2.3: ARGS='-image NAME'
	$(GO) run ./cmd/release -version '$(if $(filter command line environment,$(origin VERSION)),$(VERSION),$(shell git describe --tags --exact-match 2>/dev/null))' $(ARGS)

licenses: need-go ## print the licence of every module in the program; ARGS=-texts prints their texts
	@$(GO) run ./cmd/licenses $(ARGS)

generate: need-go ## generate ent/, docs/commands.md and the PrometheusRule
	$(GO) generate ./ent ./cmd/inner ./configs

lint: need-go ## check the format, vet, and run golangci-lint (its first build takes some minutes)
	.ci/run format vet lint

fuzz: need-go ## run every fuzz test FUZZTIME often (20000x)
	FUZZTIME=$(FUZZTIME) .ci/run fuzz

clean: ## remove what was built in the clone; the cache outside it stays
	rm -rf bin dist coverage.*

need-go:
	@command -v $(GO) >/dev/null || { \
		echo "Go was not found. Install Go $$(awk '$$1 == "go" { print $$2 }' go.mod) or newer and put it on PATH." >&2; exit 1; }
