"""Record requests of the aws CLI and boto3 as golden data for TestVerify_RecordedClients.

Usage: record.py OUTDIR. Listens on a free loopback port, runs the clients with
made-up keys, and writes each request as OUTDIR/NAME.http. Headers that no
client signs (User-Agent and the like) are left out.
"""

import hashlib
import http.server
import os
import pathlib
import subprocess
import sys
import threading

import boto3
from botocore.config import Config

OUT = pathlib.Path(sys.argv[1])
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
UNSIGNED = {"user-agent", "accept-encoding", "connection", "accept", "expect", "x-amzn-trace-id"}
taken = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = b""
        if "Content-Length" in self.headers:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        elif "chunked" in self.headers.get("Transfer-Encoding", ""):
            raw = b""
            while True:
                line = self.rfile.readline()
                size = int(line, 16)
                data = self.rfile.read(size + 2)
                raw += line + data
                if size == 0:
                    break
            body = raw
        head = self.raw_requestline.decode("latin-1")
        for name, value in self.headers.items():
            if name.lower() not in UNSIGNED:
                head += f"{name}: {value}\r\n"
        taken.append(head.encode("latin-1") + b"\r\n" + body)
        xml = b"Action=" in body
        text = b"<GetCallerIdentityResponse/>" if xml else b"{}"
        self.send_response(200)
        self.send_header("Content-Type", "text/xml" if xml else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{server.server_port}"
ENV = {
    **os.environ,
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
}


def keep(name):
    (OUT / f"{name}.http").write_bytes(taken[0])
    taken.clear()


def cli(name, *args, url=URL, **env):
    run = subprocess.run(["aws", *args, "--endpoint-url", url], env={**ENV, **env}, capture_output=True)
    if not taken:
        sys.exit(run.stderr.decode())
    keep(name)


def sdk(name, service, call, token=None, url=URL, **args):
    client = boto3.client(
        service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET,
        aws_session_token=token, config=Config(retries={"total_max_attempts": 1}),
    )
    try:
        getattr(client, call)(**args)
    except Exception:
        if not taken:
            raise
    keep(name)


asset = OUT / "asset.tmp"
asset.write_bytes(b"hello, asset\n" * 40)

SHA = hashlib.sha256(asset.read_bytes()).hexdigest()

cli("cli-list-domains", "codeartifact", "list-domains", "--no-paginate")
cli("cli-create-domain-session-token", "codeartifact", "create-domain", "--domain", "dom", "--tags", "key=a b,value=c", AWS_SESSION_TOKEN="FwoGZXIvYXdzEXAMPLE//token+with=signs")
cli("cli-describe-group-pattern", "codeartifact", "describe-package-group", "--domain", "dom", "--package-group", "/npm/*")
cli("cli-token-path-prefix", "codeartifact", "get-authorization-token", "--domain", "dom", "--domain-owner", "111122223333", url=URL + "/pre%20fix/a~b/")
cli("cli-sts-identity", "sts", "get-caller-identity")
cli("cli-publish", "codeartifact", "publish-package-version", "--domain", "dom", "--repository", "repo", "--format", "generic", "--namespace", "ns",
    "--package", "pkg", "--package-version", "1.0.0", "--asset-content", str(asset), "--asset-name", "a b+c.txt", "--asset-sha256", SHA)
sdk("boto3-tags-arn", "codeartifact", "list_tags_for_resource", resourceArn="arn:aws:codeartifact:us-east-1:111122223333:domain/dom")
sdk("boto3-odd-characters", "codeartifact", "describe_package", domain="dom", repository="repo", format="npm", namespace="a/b c+d%2f~é", package="x=y&z;*'()")
sdk("boto3-update-repository", "codeartifact", "update_repository", token="session/token+==", domain="dom", repository="repo", description="", upstreams=[])
sdk("boto3-publish-false-hash", "codeartifact", "publish_package_version", domain="dom", repository="repo", format="generic", namespace="ns", package="p",
    packageVersion="1", assetName="n", assetContent=b"other bytes", assetSHA256=SHA)
sdk("boto3-double-slash-prefix", "codeartifact", "list_repositories", url=URL + "//x/./y/../z//")
sdk("boto3-iam-list", "iam", "create_user", UserName="bob", Tags=[{"Key": "team", "Value": "a&b=c d"}])
asset.unlink()
