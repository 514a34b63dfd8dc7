#!/usr/bin/env bash
# run.sh [STEP ...]  measures a freshly started Packhouse beside its peers, as ratios within one run.
#   STEP: load cold npm down publish memory startup (default: all)
# Needs the peers' scripts (their README says what they install): BENCH=FOLDER, default ../shared/bench beside the checkout.
# Everything runs on loopback; what this starts it stops, by process id. ROUNDS (3) and DUR (10) as in the peers' scripts.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BENCH=${BENCH:-$here/../shared/bench}
[ -x "$BENCH/compare.sh" ] || { echo "no benchmark scripts in $BENCH; set BENCH to their folder" >&2; exit 2; }
steps=${*:-load cold npm publish memory startup down}
port=${PORT:-8471} data=$(mktemp -d) log=$(mktemp)
export QUIET=1 ROUNDS=${ROUNDS:-3} DUR=${DUR:-10} PEERS=${PEERS:-static nginxcache}
bin=$data/bin/packhouse
mkdir -p "$data/bin"
(cd "$here" && go build -o "$bin" ./cmd/packhouse)
pid=
start() {
  "$bin" serve --data "$data/house" --listen "127.0.0.1:$port" --connection public:npmjs=http://127.0.0.1:4900/ \
    ${TTL_METADATA:+--metadata-ttl "$TTL_METADATA"} >>"$log" 2>&1 &
  pid=$!
  for _ in $(seq 200); do curl -fs "http://127.0.0.1:$port/readyz" >/dev/null && return; sleep .05; done
  echo "the server did not start; its log: $log" >&2; exit 1
}
stop() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null || true; pid=; }; }
cleanup() { stop; for p in $PEERS upstream; do "$BENCH/peers.sh" stop "$p" || true; done; rm -rf "$data"; }
trap cleanup EXIT
rm -f "${BENCH_WORK:-${XDG_CACHE_HOME:-$HOME/.cache}/packhouse-bench}"/run/coldcount-*
"$BENCH/peers.sh" start upstream; "$BENCH/peers.sh" ready upstream
for p in $PEERS; do "$BENCH/peers.sh" start "$p"; "$BENCH/peers.sh" ready "$p"; done
start
export AWS_SHARED_CREDENTIALS_FILE=$data/house/credentials AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_REGION=us-east-1
api() { "$bin" "$@" >/dev/null; }
api create-domain --domain bench
api create-repository --domain bench --repository public
api associate-external-connection --domain bench --repository public --external-connection public:npmjs
api create-repository --domain bench --repository internal
api create-repository --domain bench --repository app --upstreams repositoryName=internal repositoryName=public
token=$("$bin" get-authorization-token --domain bench --query authorizationToken --output text)
base=http://127.0.0.1:$port/repo/123456789012/bench/npm
ours="packhouse=$base/app=$token"
columns() { cut -d'|' -f2-6,7-14; }
for s in $steps; do
  echo "== $s $(date +%T)"; export OUT=$data/$s.tsv
  case $s in
  load) TESTS="a-abbr-gz a-304 d-small-tgz f-404 b-1m-gz c-8m-gz c1-8m-gz e-5m-tgz" "$BENCH/compare.sh" "$ours" | columns ;;
  cold) PEERS=nginxcache TESTS="g-cold g-slow" "$BENCH/compare.sh" "$ours" | columns ;;
  npm) PEERS="upstream nginxcache" NPMRUNS=1 TESTS=h-install "$BENCH/compare.sh" "$ours" | columns ;;
  publish) PEERS= TESTS="l-pub1 l-pub8" "$BENCH/compare.sh" "packhouse=$base/internal=$token" | columns ;;
  memory) PEERS= ROUNDS=1 TESTS="rss idle" "$BENCH/compare.sh" "$ours" | columns ;;
  startup) # the first 200 of a start on a filled cache
    for _ in $(seq 5); do stop; t=$(date +%s%N); start
      curl -fs -o /dev/null -H "Authorization: Bearer $token" "$base/app/bench-5mtgz"; echo "first 200 after $((($(date +%s%N) - t) / 1000000)) ms"; done ;;
  down) # metadata expired, the upstream refuses: how long the stale answer takes, and an install
    stop; TTL_METADATA=1s start
    curl -fs -o /dev/null -H "Authorization: Bearer $token" "$base/app/express"; sleep 2
    "$BENCH/peers.sh" stop upstream
    for _ in 1 2 3 4 5 6 7 8; do curl -fs -o /dev/null -w '%{time_total} s\n' -H "Authorization: Bearer $token" "$base/app/express"; sleep 1; done
    "$BENCH/peers.sh" start upstream
    PEERS= ROUNDS=1 TESTS=k-down "$BENCH/compare.sh" "$ours" | columns
    stop; start ;;
  *) echo "unknown step $s" >&2; exit 2 ;;
  esac
done
