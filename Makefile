# Keyward's commands. "make help" lists them. Everything is built from this repository and Go modules, and lands in bin/.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null || echo 0.0.0-dev)
REVISION ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)
LDFLAGS  := -s -w -X main.version=$(VERSION:v%=%) -X main.revision=$(REVISION)

# One set of flags for the product, for what tests start, for vet and for tools, so that each package is compiled once. The race detector alone needs cgo.
# grpc's traces of itself, which nothing shows, would bring html/template, and with it every exported method of every library: 15 MB.
export CGO_ENABLED := 0
export GOFLAGS     := $(strip $(shell go env GOFLAGS) -trimpath -tags=grpcnotrace)
# The compiler, the linker and the tests of packages may take more memory before they collect: a fifth of their time is collecting. The whole system and the
# program, which follow a limit of their own unless they are told otherwise, run as they are.
COMPILE            := -toolexec 'env GOGC=400'
RACE               := CGO_ENABLED=1 go test -race $(COMPILE) -vet=off -timeout 45m

# What compiles and evaluates rules, or reads documents, for seconds, and starts no goroutine, which pure_test.go holds it to: the race detector has nothing to
# find there, and makes it five times as dear.
PURE := ./api ./services/decision/explain/... ./services/decision/internal/bundle ./services/decision/invariant/... ./services/decision/scenario/...
# What has bundles checked by the dozen: the race detector makes it ten times as dear, and watches in the tests of what it is made of, of what uses it, and
# those that ask it several things at once.
DEAR := ./services/decision/workbench ./services/decision/internal/engine

# Tools are pinned in modules of their own, so that the product carries none of their dependencies.
TOOL = GOWORK=off go build -C $(1) $(COMPILE) -ldflags '-s -w' -o $(CURDIR)/$@ $(2)

# What tools/generate writes Go from the protos with.
PROTO_TOOLS := bin/buf bin/protos bin/protoc-gen-go bin/protoc-gen-go-grpc bin/protoc-gen-connect-go bin/protoc-gen-grpc-gateway

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: build ## Build and serve: everything in one process, data in ./data
	@exec bin/keyward serve

.PHONY: run-split
run-split: build bin/nats-server packages-redis ## The same as separate processes, with a real NATS server and Redis
	@exec deploy/run-split

.PHONY: demo
demo: build ## Tell the story against a server that "make run" started
	@exec bin/keyward demo

.PHONY: build
build: ## Build bin/keyward
	@go build $(COMPILE) -ldflags '$(LDFLAGS)' -o bin/keyward ./cmd/keyward

.PHONY: test
test: packages-test ## Run every check and every test, with the race detector
	@$(MAKE) --jobs 2 test-needs
	@$(MAKE) check-format check-protos
	CGO_ENABLED=1 go vet -race $(COMPILE) ./... ./sdk/...
	go vet $(COMPILE) ./tools/...
	@$(MAKE) --jobs 2 test-packages test-system test-outside test-alone

# Two at once: a linker uses one core, and the whole-system tests wait more than they compute, so that there are more of them than cores. What all need is
# compiled before, or each would compile it. The whole system is tested in two runs: with the race detector what runs in the tests' own process, and without it
# (-short) what that leaves: the other shapes, the binary, the browsers, the suites in JavaScript. Without it run, too, the commands and the tools, each of which
# does one thing after another, what is pure, and of two packages what their files leave out where the race detector watches.
.PHONY: test-packages test-system test-outside test-alone
test-packages:
	GOGC=400 $(RACE) $$(go list ./... ./sdk/... | grep -vxF -f <(go list ./test ./cmd/keyward ./cmd/keyward/internal/cli $(PURE) $(DEAR)))
	GOGC=400 $(RACE) -run AtOnce ./services/decision/internal/engine

test-system:
	$(RACE) -parallel 5 ./test

test-outside:
	go test -short $(COMPILE) -vet=off -timeout 45m -parallel 5 ./test

test-alone:
	go test $(COMPILE) -vet=off -timeout 45m ./cmd/keyward ./cmd/keyward/internal/cli ./tools/... $(PURE) $(DEAR) ./services/decision/replay
	go test $(COMPILE) -vet=off -timeout 45m -run Cluster ./core/eventlog

# What a change is tried with while it is made: no race detector, no browser, nothing to install.
.PHONY: test-quick
test-quick: check-format ## Run the tests of every package, without the race detector and without the whole-system tests
	go vet $(COMPILE) ./... ./sdk/... ./tools/...
	go test -short $(COMPILE) -vet=off -timeout 10m $$(go list ./... ./sdk/... ./tools/... | grep -v /test$$)

# Two at a time, since whatever links or downloads leaves a core idle.
.PHONY: test-needs
test-needs: check-generated check-alerts check-page check-contracts check-size check-notices test/sdk/node_modules test/asyncapi/node_modules test/zitadel/node_modules test/page/node_modules test/frontend/node_modules bin/nats

.PHONY: chaos
chaos: ## Kill the process 50 times under load: every acknowledged event must reach every subscriber
	CHAOS_KILLS=50 go test -count=1 -timeout 30m -v -run 'HoweverOftenTheProcessIsKilled' ./test

.PHONY: replay-soak
replay-soak: ## Record 100,000 decisions and evaluate them again: no answer may differ
	KEYWARD_REPLAY_DECISIONS=100000 go test -count=1 -timeout 30m -v -run 'TestRecordedDecisions' ./services/decision/replay

.PHONY: recheck-soak
recheck-soak: ## Go through 10,000 passkeys after a change of FIDO's metadata, and say how long that takes
	KEYWARD_PASSKEYS=10000 go test -count=1 -timeout 30m -v -run 'TestHoweverManyPasskeys' ./services/ceremony/internal/recheck

.PHONY: check-generated
check-generated: $(PROTO_TOOLS)
	tools/generate --check

# The page at / and the console are kept as they are built, so that Go alone builds Keyward. The same sources must give the same bytes, and the
# console calls the Operator API as its contract is.
.PHONY: page
page: packages-page web/node_modules tools/contracts/node_modules ## Build the page at / and the console anew
	npm --prefix web run --silent client
	cd web && npx tsc
	npm --prefix web run --silent build

.PHONY: pictures
pictures: build test/page/node_modules ## Take the pictures of the documents anew
	@tools/debian-packages node:nodejs npm:npm chromium:chromium
	mkdir -p docs/pictures
	PICTURE_USERS=2000 node tools/pictures/pictures.mjs bin/keyward docs/pictures

.PHONY: check-page
check-page: web/node_modules tools/contracts/node_modules
	@mkdir -p bin
	tools/contracts/node_modules/.bin/openapi-typescript api/operator.yaml --default-non-nullable false --output bin/operator.gen.ts >/dev/null 2>&1
	diff web/src/console/operator.gen.ts bin/operator.gen.ts
	cd web && npx tsc
	cd web && npx vite build --logLevel warn --outDir $(CURDIR)/bin/page && npx vite build --logLevel warn --mode console --outDir $(CURDIR)/bin/console
	diff -rq services/gateway/internal/page/app bin/page
	diff -rq services/gateway/internal/page/console bin/console

.PHONY: check-contracts
check-contracts: tools/contracts/node_modules ## Hold the documents in api/ to what their readers recommend
	tools/contracts/check

# Prometheus' own tool reads the rules, runs their tests, and reads what dashboards ask.
.PHONY: check-alerts
check-alerts: packages-prometheus ## Check and test the alerts in deploy/prometheus, and the queries of the dashboards
	promtool check config deploy/prometheus/prometheus.yaml
	promtool test rules deploy/prometheus/keyward.rules.test.yaml
	@mkdir -p bin
	GOWORK=off go run -C tools ./dashboards -rules $(CURDIR)/bin/dashboards.rules.yaml ../deploy/grafana
	promtool check rules bin/dashboards.rules.yaml

.PHONY: check-size
check-size: build ## Fail if bin/keyward is larger than .ci/binary-size allows
	@.ci/check-size bin/keyward

# What the page at / and the console are built from. What shows the API documents comes in a Go module, without its licences, which lie here.
EMPTY :=
COMMA := ,
NPM_BUILT_IN := $(subst $(EMPTY) $(EMPTY),$(COMMA),$(addprefix web/node_modules/,preact preact-iso uplot openapi-fetch eventsource-parser nanotar jsonc-parser \
	$(addprefix @codemirror/,autocomplete commands lang-json lang-yaml language lint merge search state view) \
	$(addprefix @lezer/,common highlight json lr yaml) style-mod w3c-keyname crelt @marijn/find-cluster-break) tools/notices/swagger-ui-dist)

.PHONY: check-notices
check-notices: web/node_modules ## Fail if THIRD_PARTY_NOTICES is out of date, or a licence is not one that we may ship
	@go run ./tools/notices -check THIRD_PARTY_NOTICES -npm $(NPM_BUILT_IN)

.PHONY: notices
notices: web/node_modules ## Write THIRD_PARTY_NOTICES anew
	@mkdir -p bin
	@go run ./tools/notices -npm $(NPM_BUILT_IN) > bin/THIRD_PARTY_NOTICES
	@mv bin/THIRD_PARTY_NOTICES THIRD_PARTY_NOTICES

.PHONY: check-format
check-format:
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); [[ -z "$$unformatted" ]] || { echo "not formatted: $$unformatted" >&2; exit 1; }

.PHONY: check-protos
check-protos: bin/buf bin/protos
	bin/buf lint api/proto
	bin/buf format --diff --exit-code api/proto

# What security teams have: OPA's own program. The tests hold the bundle to the same with OPA's library, by which the product reads it.
.PHONY: check-policies
check-policies: bin/opa
	bin/opa fmt --list --fail policies
	bin/opa check --strict --schema policies/schemas policies/login policies/append policies/mediation policies/rollout
	bin/opa test --bundle policies
	bin/opa test policies

# The tools that have a module apart, because of what they link, are named one by one.
.PHONY: lint
lint: bin/golangci-lint check-policies ## Run the linters
	@bin/golangci-lint run ./... ./sdk/... ./tools/...
	@cd tools/proto && GOWORK=off $(CURDIR)/bin/golangci-lint run ./linked

.PHONY: vulns
vulns: build bin/govulncheck bin/vulndb ## Fail if bin/keyward links a version of a module with a known vulnerability
	@bin/govulncheck -db file://$(CURDIR)/bin/vulndb -mode binary bin/keyward

.PHONY: generate
generate: packages-page $(PROTO_TOOLS) ## Write every generated file anew
	tools/generate

.PHONY: bench
bench: build bin/nats-server packages-redis ## Measure login start beside a bare handler, and what a call of each kind costs; fails if a bound is passed
	cd bench && go run . -keyward ../bin/keyward -nats-server ../bin/nats-server

.PHONY: bench-decision
bench-decision: build bin/nats-server bin/opa bin/benchstat packages-redis ## Measure decisions beside the OPA server and bare handlers
	go test -run '^$$' -bench 'Facts|Direct|Memo|Login' -benchmem -count 6 ./services/decision/... > bin/bench-decision.txt
	bin/benchstat bin/bench-decision.txt
	cd bench && go run . -decision -rounds 3 -keyward ../bin/keyward -nats-server ../bin/nats-server -opa ../bin/opa

.PHONY: bench-index
bench-index: ## Measure the index of ten million decisions, and what counting adoption costs
	KEYWARD_INDEX_DECISIONS=10000000 go test -timeout 60m -run '^$$' -bench Index -benchtime 1x ./services/decision/index/internal/rowfile
	go test -run '^$$' -bench Counting -benchtime 5x ./services/decision/adoption

.PHONY: bench-events
bench-events: build packages-redis ## Measure appends beside raw publishing, calls, list pages, and a stream of a million events
	cd bench && go run . -events -rounds 3 -duration 2s -keyward ../bin/keyward

.PHONY: bench-sse
bench-sse: build ## Measure 1,000 clients that follow 1,000 events a second
	cd bench && go run . -sse -duration 20s -keyward ../bin/keyward

.PHONY: bench-registrations
bench-registrations: build ## Measure registrations through the user service beside verification alone
	cd bench && go run . -registrations -rounds 3 -keyward ../bin/keyward

.PHONY: bench-sessions
bench-sessions: build ## Measure passkeys of the current user beside a bare handler that verifies the same JWT
	cd bench && go run . -sessions -rounds 3 -keyward ../bin/keyward

.PHONY: bench-login
bench-login: build bin/nats-server packages-redis ## Measure full logins beside verification alone, in every shape; fails if what was begun makes them dearer
	cd bench && go run . -logins -rounds 3 -keyward ../bin/keyward -nats-server ../bin/nats-server

USERS ?= 100000
.PHONY: bench-growth
bench-growth: build ## Measure login starts with more events a user, USERS users, 1,000 projects; fails if they allocate more then
	cd bench && go run . -growth -rounds 3 -users $(USERS) -keyward ../bin/keyward

.PHONY: bench-disturbed
bench-disturbed: build ## Measure login starts while policies change, users are exported, a webhook is dead; fails if their p99 doubles
	cd bench && go run . -disturbed -rounds 5 -keyward ../bin/keyward

.PHONY: bench-webhooks
bench-webhooks: ## Measure webhook deliveries to one endpoint on the loopback
	go test -run '^$$' -bench WebhookDeliveries -benchtime 20000x -count 5 ./services/events

# What becomes of whole installations while parts of them fail. Only ratios and times within one run mean anything.
.PHONY: failover leaders restarts soak
failover: build bin/nats-server packages-redis ## Measure what is left of the throughput of two of each service while one of each hangs
	cd bench && go run . -outage hung -rounds 5 -duration 10s -connections 16 -keyward ../bin/keyward -nats-server ../bin/nats-server

KILLS ?= 10
leaders: build bin/nats-server packages-redis ## Kill the leader of three NATS servers under load, KILLS times, and measure how long little is answered
	cd bench && go run . -outage leaders -rounds $(KILLS) -connections 18 -keyward ../bin/keyward -nats-server ../bin/nats-server

RESTARTS ?= 100
restarts: build bin/nats-server packages-redis ## Restart one instance after the other under load, RESTARTS times: no call may fail
	cd bench && go run . -outage restarts -rounds $(RESTARTS) -connections 8 -keyward ../bin/keyward -nats-server ../bin/nats-server

SOAK ?= 1h
SOAK_RATE ?= 100
soak: build ## Call steadily for SOAK (1h): memory may not rise by more than a twentieth from the second third of it to the last
	cd bench && go run . -outage soak -duration $(SOAK) -call-rate $(SOAK_RATE) -connections 16 -keyward ../bin/keyward

.PHONY: clean
clean: ## Remove what was built; data stays
	rm -rf bin

# A Debian package is installed only if its command is missing. The race detector needs a C compiler.
.PHONY: packages-test packages-redis packages-page packages-prometheus
packages-test:
	@tools/debian-packages redis-server:redis-server curl:curl jq:jq gcc:gcc gcc:libc6-dev node:nodejs npm:npm chromium:chromium promtool:prometheus

packages-page:
	@tools/debian-packages node:nodejs npm:npm

packages-prometheus:
	@tools/debian-packages promtool:prometheus

packages-redis:
	@tools/debian-packages redis-server:redis-server

# The SDK and the clients that the tests drive Keyward with, and the schema of AsyncAPI documents.
# What the page is built with, and what its suite drives a browser with.
test/sdk/node_modules test/asyncapi/node_modules test/zitadel/node_modules test/page/node_modules test/frontend/node_modules tools/buf/node_modules tools/contracts/node_modules web/node_modules: %/node_modules: %/package-lock.json
	npm ci --prefix $*
	@touch $@

bin/nats-server: tools/go.mod tools/go.sum
	$(call TOOL,tools,github.com/nats-io/nats-server/v2)
	@touch $@

bin/opa: tools/go.mod tools/go.sum
	$(call TOOL,tools,github.com/open-policy-agent/opa)
	@touch $@

bin/benchstat: tools/go.mod tools/go.sum
	$(call TOOL,tools,golang.org/x/perf/cmd/benchstat)
	@touch $@

# The command-line tool of NATS, which docs/events.md shows and the tests run.
bin/nats: tools/nats/go.mod tools/nats/go.sum
	$(call TOOL,tools/nats,github.com/nats-io/natscli/nats)
	@touch $@

bin/buf: tools/buf/node_modules
	@mkdir -p bin
	cp tools/buf/node_modules/@bufbuild/buf-*/bin/buf $@
	@touch $@

# The protos of others that ours import.
bin/protos: tools/proto/go.mod tools/proto/go.sum tools/proto/linked/main.go
	rm -rf $@
	GOWORK=off go run -C tools/proto ./linked $(CURDIR)/$@
	@touch $@

bin/protoc-gen-go: tools/proto/go.mod tools/proto/go.sum
	$(call TOOL,tools/proto,google.golang.org/protobuf/cmd/protoc-gen-go)
	@touch $@

bin/protoc-gen-go-grpc: tools/proto/go.mod tools/proto/go.sum
	$(call TOOL,tools/proto,google.golang.org/grpc/cmd/protoc-gen-go-grpc)
	@touch $@

bin/protoc-gen-connect-go: tools/proto/go.mod tools/proto/go.sum
	$(call TOOL,tools/proto,connectrpc.com/connect/cmd/protoc-gen-connect-go)
	@touch $@

bin/protoc-gen-grpc-gateway: tools/proto/go.mod tools/proto/go.sum
	$(call TOOL,tools/proto,github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway)
	@touch $@

bin/govulncheck: tools/vulns/go.mod tools/vulns/go.sum
	$(call TOOL,tools/vulns,golang.org/x/vuln/cmd/govulncheck)
	@touch $@

# The list of known vulnerabilities as a commit of tools/vulns pins it: it comes as a module, from where all others come.
bin/vulndb: tools/vulns/go.mod tools/vulns/go.sum
	rm -rf $@
	cd tools/vulns && GOWORK=off go tool indexdb -out $(CURDIR)/$@ \
		-vulns "$$(GOWORK=off go mod download -json golang.org/x/vulndb | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/data/osv"
	@touch $@

bin/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	$(call TOOL,tools/lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
	@touch $@

.PHONY: reload-soak
reload-soak: ## Change the policy 1,000 times under load, every tenth time wrongly
	KEYWARD_RELOADS=1000 go test -run "ReloadsUnderLoad|ChangesUnderLoad" -count 1 -timeout 60m -v ./services/decision ./services/decision/workbench
	KEYWARD_RELOADS=1000 go test -run TestNoCallFailsWhileThePolicyChanges -count 1 -timeout 60m -v ./test
