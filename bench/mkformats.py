"""mkformats.py DIR  writes what formats.sh serves: a Python index, a Maven repository and a NuGet feed, as static files.

Every package is made here. @BASE@ in the NuGet documents is replaced by the server that has them.
"""
import base64
import hashlib
import io
import json
import os
import random
import sys
import zipfile

ROOT = sys.argv[1]
RND = random.Random(7)
SOME = bytes(RND.randrange(256) for _ in range(1 << 16))


def noise(n):
    return (SOME * (n // len(SOME) + 1))[:n]


def put(path, data):
    path = os.path.join(ROOT, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def archive(files):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w") as z:
        for name, data in files.items():
            z.writestr(zipfile.ZipInfo(name, (2024, 1, 2, 3, 4, 6)), data)
    return b.getvalue()


# Python: tree-00 needs the other 29; bench-5000 has 5,000 files, bench-small 20.
def wheel(name, version, requires, size):
    under = name.replace("-", "_")
    info = f"{under}-{version}.dist-info"
    meta = "Metadata-Version: 2.1\nName: %s\nVersion: %s\n%s\n" % (name, version, "".join(f"Requires-Dist: {r}\n" for r in requires))
    files = {
        f"{under}/__init__.py": b"", f"{under}/data.bin": noise(size), f"{info}/METADATA": meta.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        "%s,sha256=%s,%d\n" % (n, base64.urlsafe_b64encode(hashlib.sha256(d).digest()).rstrip(b"=").decode(), len(d)) for n, d in files.items()
    )
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    return archive(files), meta.encode()


def project(name, rows):
    page = "<!DOCTYPE html><html><head><meta name=\"pypi:repository-version\" content=\"1.0\"><title>%s</title></head><body>\n" % name
    for file, sha, meta in rows:
        known = f' data-core-metadata="sha256={meta}"' if meta else ""
        page += f'<a href="../../files/{file}#sha256={sha}"{known}>{file}</a><br>\n'
    put(f"pypi/simple/{name}/index.html", page + "</body></html>\n")


def release(name, version, requires=(), size=60_000):
    data, meta = wheel(name, version, requires, size)
    file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    put(f"pypi/files/{file}", data)
    put(f"pypi/files/{file}.metadata", meta)
    return file, hashlib.sha256(data).hexdigest(), hashlib.sha256(meta).hexdigest()


for i in range(30):
    requires = [f"tree-{j:02}" for j in range(1, 30)] if i == 0 else []
    project(f"tree-{i:02}", [release(f"tree-{i:02}", f"1.{v}", requires) for v in range(3)])
project("bench-small", [release("bench-small", f"1.{v}", size=10_000) for v in range(20)])
project("bench-5mb", [release("bench-5mb", "1.0", size=5 << 20)])
project("bench-5000", [(f"bench_5000-1.{v}-py3-none-any.whl", hashlib.sha256(b"%d" % v).hexdigest(), "") for v in range(5000)])


# Maven: tree-000 depends on 99 others, each with a parent of its own kind.
def artifact(name, version, requires=(), size=60_000):
    pom = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        f"<groupId>bench.tree</groupId><artifactId>{name}</artifactId><version>{version}</version><dependencies>"
        + "".join(f"<dependency><groupId>bench.tree</groupId><artifactId>{r}</artifactId><version>1.0</version></dependency>" for r in requires)
        + "</dependencies></project>\n"
    )
    for ext, data in {"pom": pom.encode(), "jar": archive({"data.bin": noise(size)})}.items():
        sums(f"maven/bench/tree/{name}/{version}/{name}-{version}.{ext}", data)


def sums(path, data):
    put(path, data)
    put(path + ".sha1", hashlib.sha1(data).hexdigest())
    put(path + ".md5", hashlib.md5(data).hexdigest())


for i in range(100):
    artifact(f"tree-{i:03}", "1.0", [f"tree-{j:03}" for j in range(1, 100)] if i == 0 else [])
artifact("bench-small", "1.0", size=10_000)
artifact("bench-5mb", "1.0", size=5 << 20)
artifact("bench-cold", "1.0", size=20 << 20)  # asked for by the step cold alone
versions = "".join(f"<version>1.{v}</version>" for v in range(1000))
sums(
    "maven/bench/tree/bench-many/maven-metadata.xml",
    ("<metadata><groupId>bench.tree</groupId><artifactId>bench-many</artifactId><versioning><latest>1.999</latest>"
     f"<release>1.999</release><versions>{versions}</versions><lastUpdated>20240102030406</lastUpdated></versioning></metadata>\n").encode(),
)


# NuGet: Bench.Many has 100 versions.
def nupkg(name, version, size):
    spec = (
        '<?xml version="1.0"?><package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"><metadata>'
        f"<id>{name}</id><version>{version}</version><authors>bench</authors><description>bench</description></metadata></package>"
    )
    data = archive({f"{name}.nuspec": spec.encode(), "lib/netstandard2.0/data.bin": noise(size)})
    low = name.lower()
    put(f"nuget/v3/flat/{low}/{version}/{low}.{version}.nupkg", data)
    put(f"nuget/v3/flat/{low}/{version}/{low}.nuspec", spec)


def feed(name, versions, size):
    low, leaves = name.lower(), []
    for v in versions:
        nupkg(name, v, size)
        content = f"@BASE@/v3/flat/{low}/{v}/{low}.{v}.nupkg"
        leaves.append({
            "@id": f"@BASE@/v3/reg/{low}/{v}.json", "packageContent": content, "registration": f"@BASE@/v3/reg/{low}/index.json",
            "catalogEntry": {
                "@id": f"@BASE@/v3/cat/{low}.{v}.json", "id": name, "version": v, "listed": True, "published": "2024-01-02T03:04:06Z",
                "authors": "bench", "description": "bench", "packageContent": content, "dependencyGroups": [],
            },
        })
    put(f"nuget/v3/reg/{low}/index.json", json.dumps({"@id": f"@BASE@/v3/reg/{low}/index.json", "count": 1, "items": [{
        "@id": f"@BASE@/v3/reg/{low}/index.json#page", "count": len(leaves), "lower": versions[0], "upper": versions[-1], "items": leaves,
    }]}))
    put(f"nuget/v3/flat/{low}/index.json", json.dumps({"versions": versions}))


feed("Bench.Many", [f"1.{v}.0" for v in range(100)], 10_000)
feed("Bench.5MB", ["1.0.0"], 5 << 20)
put("nuget/v3/index.json", json.dumps({"version": "3.0.0", "resources": [
    {"@id": "@BASE@/v3/flat/", "@type": "PackageBaseAddress/3.0.0"},
    {"@id": "@BASE@/v3/reg/", "@type": "RegistrationsBaseUrl/3.6.0"},
    {"@id": "@BASE@/v3/reg/", "@type": "RegistrationsBaseUrl"},
]}))
