# Footlight. `make demo` and `make test` are the two to know; `make` alone lists the rest.

GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0

.DEFAULT_GOAL := help
.PHONY: help demo build test soak lint bench generate clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\): .*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: build ## set up, build and run the whole thing with four synthetic participants
	@bin/footlight demo

build: ## put bin/footlight and bin/footlight-composer in place
	@scripts/setup.sh build
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -o bin/footlight ./cmd/footlight
	CGO_ENABLED=1 $(GO) build -o bin/footlight-composer ./cmd/footlight-composer

test: build ## run every test, the end-to-end ones included
	@scripts/setup.sh test
	@# One package at a time: many run real media in real time, and two cores carry one such test.
	$(GO) test -p 1 -timeout 60m ./cmd/... ./internal/... ./web/... ./docs/... ./test/...

SOAK ?= 30m
soak: build ## let people come and go at random for SOAK=30m, and judge every moment
	@scripts/setup.sh test
	FOOTLIGHT_SOAK=$(SOAK) $(GO) test -count=1 -v -timeout 24h -run TestSoak ./test

lint: ## check formatting, vet, staticcheck, shell scripts
	@scripts/setup.sh test
	@test -z "$$(gofmt -l cmd internal test bench web docs)" || { gofmt -l cmd internal test bench web docs; echo "run gofmt -w on these"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	shellcheck scripts/*.sh .ci/run
	@if command -v npm >/dev/null; then cd web && npm ci --silent --no-audit --no-fund && npm run --silent check; \
	else echo "no npm: the types of web/ are not checked"; fi

bench: build ## measure, compare with other tools, and write the results under bench/
	@scripts/setup.sh bench
	$(GO) run ./bench/compose
	$(GO) run ./bench/ladder
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m ./bench/live
	$(GO) run ./bench/api
	$(GO) run ./bench/stage
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m ./bench/record

generate: ## write the generated code and pages anew
	$(GO) generate ./...

clean: ## remove what was built
	rm -rf bin
