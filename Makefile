# Every command of a contributor. CI runs the same targets, so green here is green there.

# s3s declares rustc 1.96; it builds and runs on 1.95 with this flag. From 1.96 on it changes nothing.
FLAGS := --locked --ignore-rust-version
CACHE := $(HOME)/.cache/juststorage
export PATH := $(CACHE)/bin:$(PATH)

DESTDIR ?=
PREFIX ?= /usr/local
TARGET = $(or $(CARGO_TARGET_DIR),target)

# Says how long `make test` took on this machine.
TOOK = $(CACHE)/test-took
# A line for each scenario that this machine lacks something for: `make test` ends with them, in one line.
SKIPPED = $(CACHE)/test-skipped
UNIT := --lib --test segments --test store --test limits --test lifecycle --test stuck --test promises --test protocol --test corpus \
    --test api

PROVE := cargo test $(FLAGS) --no-fail-fast
CORE_PROOFS := --test power --test crash_points --test crash_upstreams --test interleavings --test transactions --test model --test protocol --test promises --test upkeep --test soak --test corpus
BINARY_PROOFS := --test crash --test faults --test outside --test failover --test linearizable --test upgrade \
    --test operator --test bad_item --test bad_client
LOOM := --features juststorage-core/loom --lib
THREADS := $(LOOM) segments::interleavings -- --nocapture

.PHONY: stale unit threads peers demonstration leaving emulators prove prove-core prove-binary prove-long fuzz mutants help run build install dist packages-test test conformance bench check lint manifests docs deny

help: ## lists the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: ## serve ./data: native API on 127.0.0.1:8080, S3 on 127.0.0.1:9000
	cargo run --profile quick $(FLAGS)

build: ## the release binary, as the container image has it
	cargo build --release $(FLAGS) --bin juststorage

install: ## puts the built binary under $(DESTDIR)$(PREFIX)
	install -D -s -m 755 $(TARGET)/release/juststorage $(DESTDIR)$(PREFIX)/bin/juststorage

# Of `make dist`: quick for a first look, trial for a program that is only tried; and a processor's static target.
PROFILE ?= release
STATIC = $(shell uname -m)-unknown-linux-musl
DIST = $(TARGET)/dist
dist: ## tarball, .deb, wheels and OCI image of a static binary, in $(DIST); PROFILE=quick builds it in less time
	scripts/prepare compiler static python-client
	CC_$(subst -,_,$(STATIC))=musl-gcc cargo build --profile $(PROFILE) $(FLAGS) --target $(STATIC) --bin juststorage
	rm -rf $(DIST) && mkdir -p $(DIST)/bin
	install -s -m 755 $(TARGET)/$(STATIC)/$(PROFILE)/juststorage $(DIST)/bin/juststorage
	scripts/dist --bin $(DIST)/bin/juststorage --out $(DIST) --python $(CACHE)/python-client/bin/python

packages-test: ## installs each package of `make dist` where nothing else is, and uses it; needs root
	scripts/prepare python tools packages
	$$(sh compat-tests/python/venv.sh) scripts/packages-test --dist $(DIST) --cache $(CACHE)

unit: ## tests that need no server program and no PostgreSQL: under a minute once built
	cargo test --workspace $(FLAGS) $(UNIT) -- --skip postgres

test: ## every test, on SQLite and PostgreSQL; installs what is missing
	@mkdir -p $(CACHE)
	@echo "test: $$(cat $(TOOK) 2>/dev/null || echo 'takes about 25 minutes on two cores the first time, half of it for builds and installs'). Groups: make unit, threads, prove, check; or cargo test --workspace --ignore-rust-version --test NAME"
	@date +%s >$(TOOK).begun
	@: >$(SKIPPED)
	scripts/prepare compiler postgres backup faults pooler python tools clients python-client sdks generators console chart
	JUSTSTORAGE_TEST_SKIPPED=$(SKIPPED) scripts/run-tests $(if $(TEST_FLAGS),-- $(TEST_FLAGS)); status=$$?; \
	    sort -u $(SKIPPED) | awk 'BEGIN { printf "skipped: " } { printf "%s%s", between, $$0; between = ", " } END { print NR ? "" : "nothing" }'; \
	    exit $$status
	@echo "took $$(( ($$(date +%s) - $$(cat $(TOOK).begun)) / 60 )) minutes here the last time" >$(TOOK)

threads: ## threads at one segment in every order, under loom
	$(PROVE) --workspace $(THREADS)

conformance: ## ceph/s3-tests on both databases; S3_TESTS=<a checkout of them>, ONLY=<regex> for a few
	@test -n "$(S3_TESTS)" || { echo "S3_TESTS must name a checkout of https://github.com/ceph/s3-tests"; exit 2; }
	scripts/prepare compiler postgres conformance
	cargo build $(FLAGS) --bin juststorage
	$(CACHE)/s3-tests/bin/python scripts/conformance --s3-tests "$(S3_TESTS)" --bin $(TARGET)/debug/juststorage \
		$(if $(ONLY),--only '$(ONLY)') $(CONFORMANCE_FLAGS)

peers: ## suites of other S3 servers and clients, built and ready; PEERS="versitygw=<its program> minio-go=<…>": compat-tests/peers.toml
	@test -n "$(PEERS)" || { echo "PEERS must name suites of compat-tests/peers.toml and where they are: SUITE=PATH …"; exit 2; }
	scripts/prepare compiler postgres
	cargo build $(FLAGS) --bin juststorage
	python3 scripts/peers --bin $(TARGET)/debug/juststorage $(PEERS_FLAGS) $(PEERS)

demonstration: ## two replicas, a bucket that is not ours, PostgreSQL that fails over, and 10 GiB in and out: docs/guarantees.md
	scripts/prepare compiler postgres tools clients
	cargo build --release $(FLAGS) --bin juststorage
	python3 scripts/demonstrate-replicas --bin $(TARGET)/release/juststorage $(DEMONSTRATION_FLAGS)

leaving: ## a service leaves another store while it runs, goes back, and leaves it for good: docs/migration.md#the-story
	scripts/prepare compiler python
	cargo build --release $(FLAGS) --bin juststorage
	$$(sh compat-tests/python/venv.sh) scripts/demonstrate-leaving --bin $(TARGET)/release/juststorage $(LEAVING_FLAGS)

emulators: ## the contract of tiers against emulators of Azure and Google Cloud Storage, not a part of CI; EMULATORS="azurite gcs"
	cargo test $(FLAGS) --workspace --test remote_tier --no-run
	python3 scripts/emulators $(EMULATORS)

prove: ## the proof of durability in short, under ten minutes: docs/RELIABILITY.md
	scripts/prepare compiler postgres backup faults pooler
	# Everything is built first: compilers beside tests slow both.
	$(PROVE) --workspace --lib $(CORE_PROOFS) $(BINARY_PROOFS) --no-run
	$(PROVE) --workspace $(LOOM) --no-run
	cargo build $(FLAGS) --workspace --bin juststorage
	# Side by side: those of the binary mostly wait, for a patience to end or a database to come back.
	$(MAKE) -k -j 2 prove-core prove-binary threads

prove-core:
	$(PROVE) --workspace --lib $(CORE_PROOFS) -- --nocapture

prove-binary:
	$(PROVE) --workspace $(BINARY_PROOFS) -- --nocapture

prove-long: ## the whole campaign, many hours: a million power cuts, ten thousand kills, an hour of soak and of each fuzzer
	scripts/prepare compiler postgres faults pooler
	# On one core three times as fast: a cycle is all hand-overs between threads.
	$(PROVE) --release -p juststorage-core --test power --no-run
	JUSTSTORAGE_POWER_CYCLES=1000000 taskset -c 0 $(PROVE) --release -p juststorage-core --test power -- --nocapture
	JUSTSTORAGE_CRASH_POINT_ROUNDS=10 $(PROVE) --release -p juststorage-core --test crash_points --test crash_upstreams -- --nocapture
	JUSTSTORAGE_INTERLEAVINGS_EVERY=1 $(PROVE) --release -p juststorage-core --test interleavings --test transactions -- --nocapture
	$(PROVE) --release -p juststorage-core $(THREADS)
	PROPTEST_CASES=20000 $(PROVE) --release -p juststorage-core --test model -- --nocapture
	JUSTSTORAGE_PROTOCOL=whole $(PROVE) --release -p juststorage-core --test protocol --test promises --test upkeep -- --nocapture
	JUSTSTORAGE_SOAK_SECONDS=3600 $(PROVE) --release -p juststorage-core --test soak -- --nocapture
	JUSTSTORAGE_FUZZ_RUNS=2000000 $(PROVE) --release -p juststorage-fuzz-targets -- --nocapture
	JUSTSTORAGE_CRASH_CYCLES=10000 JUSTSTORAGE_CRASH_SERVERS=2 JUSTSTORAGE_LINEAR_ROUNDS=3000 $(PROVE) --release -p juststorage-compat-tests \
	    --lib $(BINARY_PROOFS) -- --nocapture
	$(MAKE) fuzz FUZZ_SECONDS=3600
	$(MAKE) mutants

FUZZ_SECONDS ?= 60
# How many targets at once.
FUZZ_JOBS ?= 1
# What cargo-fuzz would pass to rustc. None of it needs nightly or cargo-fuzz, as long as no sanitizer is asked for.
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions
FUZZ_HOST = $(shell rustc -vV | sed -n 's/^host: //p')
fuzz: ## libFuzzer on every target, FUZZ_SECONDS each, FUZZ_JOBS at once; needs a C++ compiler
	cp Cargo.lock fuzz/Cargo.lock # the versions that are shipped
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --release --ignore-rust-version --manifest-path fuzz/Cargo.toml \
	    --target $(FUZZ_HOST) --target-dir $(TARGET)/fuzz
	printf '%s\n' segment text tokens s3 native | xargs -P $(FUZZ_JOBS) -I TARGET sh -c ' \
	    mkdir -p $(TARGET)/fuzz/found/TARGET && \
	    $(TARGET)/fuzz/$(FUZZ_HOST)/release/TARGET $(TARGET)/fuzz/found/TARGET fuzz/corpus/TARGET \
	        -artifact_prefix=$(TARGET)/fuzz/found/TARGET- -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -print_final_stats=1'

mutants: ## removes each sync, fence, lock, foreign key and checksum in turn; a test must fail
	scripts/prepare mutants
	scripts/mutants

bench: ## speed and memory beside every peer that is installed; tables and target/bench.json
	scripts/prepare compiler postgres load
	cargo build --release $(FLAGS) --bin juststorage
	JUSTSTORAGE_BENCH_BINARY=$(TARGET)/release/juststorage python3 benches/bench.py $(BENCH_FLAGS)

check: lint deny manifests docs stale ## what CI checks before the tests

lint: ## formatting and clippy
	scripts/prepare compiler lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets $(FLAGS) -- -D warnings
	cargo clippy -p juststorage-s3-gateway --benches --features testing $(FLAGS) -- -D warnings

deny: ## licences, duplicates and origins of dependencies, if cargo-deny is there: `scripts/prepare deny` builds it
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --locked -L error check bans licenses sources; \
	else echo "deny: skipped; 'scripts/prepare deny' builds cargo-deny"; fi

manifests: ## everything under deploy/
	scripts/prepare tools promtool chart
	$(CACHE)/tools/bin/python deploy/validate.py
	$(CACHE)/tools/bin/python deploy/helm/validate.py

stale: ## whether the table of mutants follows the code, and the operators do what they say; builds nothing
	scripts/prepare mutants
	$(CACHE)/mutants/bin/python -m unittest discover --quiet --start-directory scripts/mutation --top-level-directory scripts
	scripts/mutants --check

docs: ## links, settings, metrics, alerts, rules and decisions named in the documents
	python3 scripts/check_docs.py
