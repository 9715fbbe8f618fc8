# `make demo` shows the main job; `make test` proves it. The rest is for who works here.
SHELL := /bin/bash
VERSION := $(or $(shell git describe --tags --always 2>/dev/null),development)
GOFLAGS_RELEASE := -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
export CGO_ENABLED := 0
# The go tool leaves folders named testdata out of its patterns, so that they are named here.
TESTDATA := $(addprefix ./,$(sort $(dir $(wildcard testdata/*/*.go))))
PACKAGES := ./... $(TESTDATA)

.PHONY: always build architectures test-arm64 demo test test-race test-fleet lint bench generate check-generated fleet soak install clean

build: ## the binary, static
	@mkdir -p build
	go build $(GOFLAGS_RELEASE) -o build/orchestra ./cmd/orchestra

architectures: build/orchestra-linux-amd64 build/orchestra-linux-arm64 ## the binaries for servers of another architecture than the panel's

build/orchestra-linux-%: always
	@mkdir -p build
	GOARCH=$* go build $(GOFLAGS_RELEASE) -o $@ ./cmd/orchestra

demo: build ## the main job on two SSH servers on loopback: no root, no server needed
	@go run ./testdata/demo -orchestra build/orchestra

test: ## all tests; the fleet's too where it can be had
	@testdata/install.sh
	go test ./...
	@# What is long ran just now without the detector, which slows everything down some ten times.
	CGO_ENABLED=1 go test -race -short ./pkg/operation ./pkg/runtime/... ./pkg/remote ./pkg/store ./pkg/wire
	$(MAKE) --no-print-directory test-fleet

test-fleet: build
	go test -p 1 -count=1 -timeout 30m $(TESTDATA)

test-arm64: ## the runtime's tests on an emulated arm64 machine: downloads 40 MB once, takes minutes
	testdata/architecture/machine.sh

lint: ## formatting, vet, staticcheck, shellcheck, layers
	@unformatted=$$(gofmt -l cmd pkg backends testdata); [ -z "$$unformatted" ] || { echo "gofmt -w these: $$unformatted" >&2; exit 1; }
	go vet $(PACKAGES)
	go run $(STATICCHECK) $(PACKAGES)
	git ls-files -co --exclude-standard '*.sh' .ci/run | xargs -r shellcheck
	go test ./pkg

bench: build ## ratios, and absolute targets as met or missed
	@command -v ansible-playbook >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	{ echo "installing Debian's ansible-core, to compare with" >&2; apt-get update -q >/dev/null; \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ansible-core >/dev/null; }
	go run ./testdata/bench -orchestra build/orchestra

generate: ## completions and man pages from the commands
	go run ./testdata/generate completions man

check-generated: ## fails where completions/ or man/ are stale
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	go run ./testdata/generate "$$fresh/completions" "$$fresh/man"; \
	diff -r completions "$$fresh/completions" && diff -r man "$$fresh/man" || { echo "stale: run make generate and commit" >&2; exit 1; }

fleet: ## three real servers to play with
	testdata/fleet/fleet.sh up 3
	testdata/fleet/fleet.sh status

soak: ## long simulations and random walks
	go test ./pkg/operation -run Simulation -timeout 0 -seeds=1000000

install: build ## into PREFIX (/usr/local)
	install -D -m 755 build/orchestra $(DESTDIR)$(or $(PREFIX),/usr/local)/bin/orchestra
	for other in build/orchestra-linux-*; do [ ! -e "$$other" ] || install -D -m 755 -t $(DESTDIR)/usr/lib/orchestra "$$other"; done
	install -D -m 644 -t $(DESTDIR)$(or $(PREFIX),/usr/local)/share/man/man1 man/*.1
	install -D -m 644 -t $(DESTDIR)$(or $(PREFIX),/usr/local)/share/man/man5 man/*.5
	install -D -m 644 completions/orchestra.bash $(DESTDIR)$(or $(PREFIX),/usr/local)/share/bash-completion/completions/orchestra
	install -D -m 644 -t $(DESTDIR)$(or $(PREFIX),/usr/local)/share/zsh/site-functions completions/_orchestra
	install -D -m 644 -t $(DESTDIR)$(or $(PREFIX),/usr/local)/share/fish/vendor_completions.d completions/orchestra.fish

clean:
	rm -rf build
