# Common to latency.sh and accounting.sh: servers on loopback with one npm package
# to ask for, and wrk to ask. Sourced, not run.

# start BINARY DATA PORT LOG: sets server to the process id
start() {
	"$1" serve --data "$2" --listen "127.0.0.1:$3" --log-requests false >>"$4" 2>&1 & server=$!
	until curl -fs "http://127.0.0.1:$3/readyz" >/dev/null; do kill -0 "$server"; sleep 0.05; done
}

# publish BINARY PORT: makes repository live of domain $domain with the package
# left-pad of 50 versions, and sets base and token
publish() {
	"$1" create-repository --domain "$domain" --repository live >/dev/null 2>&1 || true
	token=$("$1" get-authorization-token --domain "$domain" --query authorizationToken --output text)
	base=$("$1" get-repository-endpoint --domain "$domain" --repository live --format npm --query repositoryEndpoint --output text)
	BASE=$base TOKEN=$token python3 - <<'PY'
import base64, gzip, hashlib, io, json, os, tarfile, urllib.error, urllib.request
base = os.environ["BASE"]
for patch in range(50):
    version, out = "1.0.%d" % patch, io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=0) as tar:
        for name, content in ("package.json", json.dumps({"name": "left-pad", "version": version}).encode()), ("index.js", os.urandom(20000)):
            info = tarfile.TarInfo("package/" + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    tgz, name = out.getvalue(), "left-pad-%s.tgz" % version
    body = {"name": "left-pad", "dist-tags": {"latest": version}, "versions": {version: {"name": "left-pad", "version": version, "dist": {
        "tarball": base + "left-pad/-/" + name, "shasum": hashlib.sha1(tgz).hexdigest(), "integrity": "sha512-" + base64.b64encode(hashlib.sha512(tgz).digest()).decode()}}},
        "_attachments": {name: {"content_type": "application/octet-stream", "data": base64.b64encode(tgz).decode(), "length": len(tgz)}}}
    request = urllib.request.Request(base + "left-pad", json.dumps(body).encode(), {"Authorization": "Bearer " + os.environ["TOKEN"], "Content-Type": "application/json"}, method="PUT")
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read()
    except urllib.error.HTTPError as e:
        if e.code not in (403, 409):  # it is there from the last time
            raise
PY
}

declare -A paths=([tarball]=left-pad/-/left-pad-1.0.7.tgz [packument]=left-pad)

# load KIND SECONDS: four connections that ask again at once; prints p50 and p99 in
# microseconds and requests per second
load() {
	wrk -t1 -c4 -d"$2" --latency -H "Authorization: Bearer $token" "$base${paths[$1]}" | awk '
		function us(t) { return t ~ /us$/ ? t + 0 : t ~ /ms$/ ? t * 1000 : t * 1000000 }
		$1 == "50%" {p50 = us($2)} $1 == "99%" {p99 = us($2)} $1 == "Requests/sec:" {rate = $2}
		/Non-2xx|Socket errors/ {print > "/dev/stderr"; bad = 1}
		END {print p50, p99, rate; exit bad}'
}

median() { sort -n | awk '{a[NR] = $1} END {print NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2}'; }
