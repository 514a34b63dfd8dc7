#!/usr/bin/env bash
# formats.sh [STEP ...]  measures Python, Maven and NuGet requests beside nginx, as ratios within one run.
#   STEP: load pip mvn cold (default: load pip mvn cold)
# nginx serves the same files twice: `static` is the stand-in for the public registries, `cache` a proxy_cache of it.
# Needs nginx, wrk, curl and python3; pip and mvn for their steps (mvn fetches its own plugin once, see below).
# Everything runs on loopback; what this starts it stops, by process id. ROUNDS (3), DUR (5 seconds), CONNS (32).
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
steps=${*:-load pip mvn cold} ROUNDS=${ROUNDS:-3} DUR=${DUR:-5} CONNS=${CONNS:-32}
work=$(mktemp -d) STATIC=4910 CACHE=4911 PORT=${PORT:-8472} pids=()
nginx=$(command -v nginx || echo /usr/sbin/nginx)
cleanup() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; for p in "${pids[@]}"; do wait "$p" 2>/dev/null || true; done; rm -rf "$work"; }
trap cleanup EXIT
python3 "$here/bench/mkformats.py" "$work/data"
grep -rl '@BASE@' "$work/data/nuget" | xargs sed -i "s#@BASE@#http://127.0.0.1:$STATIC/nuget#g"
mkdir -p "$work"/{t1,t2,t3,t4,t5,cache}
cat >"$work/nginx.conf" <<C
daemon off; pid $work/nginx.pid; error_log $work/error.log warn; worker_processes 2; user $(id -un);
events { worker_connections 4096; }
http {
  sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000000; open_file_cache max=20000 inactive=10m; open_file_cache_valid 60s;
  types { text/html html; application/json json; text/xml xml; } default_type application/octet-stream; server_tokens off;
  client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3; uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
  log_format up '\$request_uri';
  proxy_cache_path $work/cache levels=1:2 keys_zone=c:64m max_size=10g use_temp_path=off;
  server { listen 127.0.0.1:$STATIC backlog=1024; access_log $work/up.log up; root $work/data; location / { index index.html; } }
  server { listen 127.0.0.1:$CACHE backlog=1024; access_log off; location / {
    proxy_pass http://127.0.0.1:$STATIC; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_cache c; proxy_cache_valid 200 6h; proxy_cache_valid 404 1m;
    proxy_cache_lock on; proxy_max_temp_file_size 0; proxy_buffers 64 16k; } }
}
C
"$nginx" -e "$work/error.log" -c "$work/nginx.conf" & pids+=($!)
(cd "$here" && go build -o "$work/packhouse" ./cmd/packhouse)
"$work/packhouse" serve --data "$work/house" --listen "127.0.0.1:$PORT" --connection "public:pypi=http://127.0.0.1:$STATIC/pypi/simple/" \
  --connection "public:maven-central=http://127.0.0.1:$STATIC/maven/" --connection "public:nuget-org=http://127.0.0.1:$STATIC/nuget/v3/index.json" >"$work/log" 2>&1 &
server=$! pids+=("$server")
for _ in $(seq 200); do curl -fs "http://127.0.0.1:$PORT/readyz" >/dev/null && break; sleep .05; done
export AWS_SHARED_CREDENTIALS_FILE=$work/house/credentials AWS_ENDPOINT_URL=http://127.0.0.1:$PORT AWS_REGION=us-east-1
api() { "$work/packhouse" "$@" >/dev/null; }
api create-domain --domain bench
for c in pypi maven-central nuget-org; do
  api create-repository --domain bench --repository "$c"
  api associate-external-connection --domain bench --repository "$c" --external-connection "public:$c"
done
api create-repository --domain bench --repository app --upstreams repositoryName=pypi repositoryName=maven-central repositoryName=nuget-org
token=$("$work/packhouse" get-authorization-token --domain bench --query authorizationToken --output text)
ours=http://127.0.0.1:$PORT/repo/123456789012/bench
auth=(-H "Authorization: Bearer $token")

# one TARGET TEST URL HEADER...: requests and megabytes per second, and the server's CPU per request for ours
one() {
  local target=$1 test=$2 url=$3 h=() c0 c1; shift 3
  for x in "$@"; do h+=(-H "$x"); done
  [ "$target" = packhouse ] && h+=("${auth[@]}")
  curl -fsS -o /dev/null ${h[@]+"${h[@]}"} "$url" || { echo "$target $test: $url failed" >&2; return; }
  wrk -t2 -c8 -d1s ${h[@]+"${h[@]}"} "$url" >/dev/null
  c0=$(awk '{print $14+$15}' "/proc/$server/stat")
  wrk -t2 -c"$CONNS" -d"${DUR}s" --latency ${h[@]+"${h[@]}"} "$url" >"$work/wrk"
  c1=$(awk '{print $14+$15}' "/proc/$server/stat")
  awk -v target="$target" -v t="$test" -v cpu=$((c1 - c0)) '/requests in/{n=$1} /Non-2xx/{bad=$NF} /^Requests\/sec/{r=$2}
    /^Transfer\/sec/{s=$2+0; if($2~/KB/)s/=1000; if($2~/GB/)s*=1000} /99%/{p=$2}
    END{printf "%s\t%s\t%.0f\t%.1f\t%s\t%s\t%d\n",t,target,r,s,p,(target=="packhouse"&&n?sprintf("%.0f",cpu*10000/n):"-"),bad+0}' "$work/wrk" >>"$work/rows"
}
each() { # test static-path our-path header...; TESTS picks some by name
  local test=$1 path=$2 mine=$3; shift 3
  [[ " ${TESTS:-$test} " == *" $test "* ]] || return 0
  one static "$test" "http://127.0.0.1:$STATIC/$path" "$@"; one cache "$test" "http://127.0.0.1:$CACHE/$path" "$@"; one packhouse "$test" "$ours/$mine" "$@"
}
table() { # median of the rounds, and ratios to nginx's proxy_cache
  sort -t$'\t' -k1,1 -k2,2 -k3,3n "$work/rows" | awk -F'\t' '
    {k=$1 FS $2; n[k]++; v[k,n[k]]=$0; tests[$1]=1}
    function median(t,w,  a){k=t FS w; if(!n[k]) return 0; split(v[k,int((n[k]+1)/2)],a,FS); R[w]=a[3];M[w]=a[4];P[w]=a[5];C[w]=a[6];B[w]=a[7]; return 1}
    END{printf "%-16s %9s %9s %9s %8s %8s %7s %7s\n","test","static/s","cache/s","ours/s","x cache","x bytes","p99","CPU us"
      for(t in tests){delete R;delete M;median(t,"static");median(t,"cache");median(t,"packhouse")
        printf "%-16s %9d %9d %9d %8.2f %8.2f %7s %7s%s\n",t,R["static"],R["cache"],R["packhouse"],R["cache"]?R["packhouse"]/R["cache"]:0,M["cache"]?M["packhouse"]/M["cache"]:0,P["packhouse"],C["packhouse"],B["packhouse"]?"  non-2xx: " B["packhouse"]:""}}' | sort
}
seconds() { local s e; s=$(date +%s%N); "$@" >"$work/out" 2>&1 || { tail -5 "$work/out" >&2; echo failed; return; }; e=$(date +%s%N); awk -v n=$((e - s)) 'BEGIN{printf "%.2f", n/1e9}'; }
fetched() { wc -l <"$work/up.log"; }

for s in $steps; do
  echo "== $s $(date +%T)"
  case $s in
  load)
    : >"$work/rows"
    wheel=$(curl -fs "${auth[@]}" "$ours/pypi/app/simple/bench-small/" | grep -o 'href="[^"#]*bench_small-1\.0-[^"#]*whl' | head -1 | sed 's/href="//')
    large=$(curl -fs "${auth[@]}" "$ours/pypi/app/simple/bench-5mb/" | grep -o 'href="[^"#]*whl' | head -1 | sed 's/href="//')
    # The feed says itself where its registrations and files are.
    resource() { curl -fs "${auth[@]}" "$ours/nuget/app/v3/index.json" | python3 -c 'import json,sys
base, kind = sys.argv[1:]
print(next(r["@id"] for r in json.load(sys.stdin)["resources"] if r["@type"] == kind).removeprefix(base).rstrip("/"))' "$ours/nuget/app/" "$1"; }
    registrations=$(resource RegistrationsBaseUrl) files=$(resource PackageBaseAddress/3.0.0)
    absolute() { case $1 in http*) echo "${1#"$ours"/}" ;; /*) echo "${1#/repo/123456789012/bench/}" ;; *) echo "pypi/app/simple/$2/$1" ;; esac; }
    for _ in $(seq "$ROUNDS"); do
      each pypi-index pypi/simple/bench-small/index.html pypi/app/simple/bench-small/
      each pypi-5000 pypi/simple/bench-5000/index.html pypi/app/simple/bench-5000/
      each pypi-10k pypi/files/bench_small-1.0-py3-none-any.whl "$(absolute "$wheel" bench-small)"
      each pypi-5m pypi/files/bench_5mb-1.0-py3-none-any.whl "$(absolute "$large" bench-5mb)"
      each maven-metadata maven/bench/tree/bench-many/maven-metadata.xml maven/app/bench/tree/bench-many/maven-metadata.xml
      each maven-pom maven/bench/tree/tree-001/1.0/tree-001-1.0.pom maven/app/bench/tree/tree-001/1.0/tree-001-1.0.pom
      each maven-sha1 maven/bench/tree/tree-001/1.0/tree-001-1.0.pom.sha1 maven/app/bench/tree/tree-001/1.0/tree-001-1.0.pom.sha1
      each maven-5m maven/bench/tree/bench-5mb/1.0/bench-5mb-1.0.jar maven/app/bench/tree/bench-5mb/1.0/bench-5mb-1.0.jar
      each nuget-reg nuget/v3/reg/bench.many/index.json "nuget/app/$registrations/bench.many/index.json"
      each nuget-10k nuget/v3/flat/bench.many/1.1.0/bench.many.1.1.0.nupkg "nuget/app/$files/bench.many/1.1.0/bench.many.1.1.0.nupkg"
      each nuget-5m nuget/v3/flat/bench.5mb/1.0.0/bench.5mb.1.0.0.nupkg "nuget/app/$files/bench.5mb/1.0.0/bench.5mb.1.0.0.nupkg"
    done
    table ;;
  pip)
    python3 -m venv "$work/venv"
    install() { rm -rf "$work/site"; "$work/venv/bin/pip" --isolated --disable-pip-version-check install -q --no-cache-dir --target "$work/site" --index-url "$1" tree-00; }
    mine=http://aws:$token@127.0.0.1:$PORT/repo/123456789012/bench/pypi/app/simple/
    echo "cold: static $(seconds install "http://127.0.0.1:$STATIC/pypi/simple/") s, ours $(seconds install "$mine") s"
    before=$(fetched)
    for _ in $(seq "$ROUNDS"); do
      a=$(seconds install "http://127.0.0.1:$STATIC/pypi/simple/"); mid=$(fetched); b=$(seconds install "$mine")
      echo "warm, 30 packages: static $a s, ours $b s, upstream requests of ours $(($(fetched) - mid))"
    done ;;
  mvn)
    mkdir -p "$work/p" && cat >"$work/p/pom.xml" <<P
<project><modelVersion>4.0.0</modelVersion><groupId>bench</groupId><artifactId>p</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency><groupId>bench.tree</groupId><artifactId>tree-000</artifactId><version>1.0</version></dependency></dependencies></project>
P
    sed '/<dependencies>/,/<\/dependencies>/d' "$work/p/pom.xml" >"$work/empty.xml"; grep -q '</project>' "$work/empty.xml" || echo '</project>' >>"$work/empty.xml"
    # Maven's plugin comes from where the machine's own settings say, once and before anything is measured.
    mvn -q -f "$work/empty.xml" -Dmaven.repo.local="$work/m2" dependency:resolve >"$work/out" 2>&1 || { tail -5 "$work/out"; continue; }
    settings() { echo "<settings><mirrors><mirror><id>x</id><mirrorOf>*</mirrorOf><url>$1</url></mirror></mirrors><servers><server><id>x</id><username>aws</username><password>$token</password></server></servers></settings>" >"$work/$2.xml"; }
    settings "http://127.0.0.1:$STATIC/maven/" static; settings "$ours/maven/app/" ours
    resolve() { rm -rf "$work/m2-run" "$work/m2-run.tmp"; cp -r "$work/m2" "$work/m2-run"; find "$work/m2-run" -name '_remote.repositories' -delete; timed() { mvn -q -f "$work/p/pom.xml" -s "$work/$1.xml" -Dmaven.repo.local="$work/m2-run" dependency:resolve; }; seconds timed "$1"; }
    echo "cold: static $(resolve static) s, ours $(resolve ours) s"
    for _ in $(seq "$ROUNDS"); do
      a=$(resolve static); mid=$(fetched); b=$(resolve ours)
      echo "warm, 100 artifacts: static $a s, ours $b s, upstream requests of ours $(($(fetched) - mid))"
    done ;;
  cold) # every first request for one file at once: how often it is fetched
    for f in bench-cold-1.0.jar; do
      mid=$(fetched)
      [ "$(head -n "$mid" "$work/up.log" | grep -c "/$f\$")" = 0 ] || { echo "$f is not cold" >&2; exit 1; }
      bad=$(seq 64 | xargs -P64 -I{} sh -c 'curl -fsS -o /dev/null "$@" || echo failed' _ "${auth[@]}" "$ours/maven/app/bench/tree/bench-cold/1.0/$f" | wc -l); sleep 1
      echo "64 clients, one file of 20 MB: $(tail -n +$((mid + 1)) "$work/up.log" | grep -c "/$f\$") fetches, $bad failures"
    done ;;
  *) echo "unknown step $s" >&2; exit 2 ;;
  esac
done
