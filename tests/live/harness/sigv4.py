"""sigv4.py - AWS Signature Version 4, written from its description and independent of common/s3.

Used by the tests to make buckets, to look into stores behind CPAM's back, and by the scripted server
to refuse what is signed wrongly.
"""
import datetime
import hashlib
import hmac
import http.client
import ssl
import urllib.parse

SAFE = "-._~"


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def canonical_query(query):
    """query: the text behind '?', as it was sent, or a list of pairs."""
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True) if isinstance(query, str) else query
    quoted = sorted((urllib.parse.quote(name, safe=SAFE), urllib.parse.quote(value, safe=SAFE))
                    for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in quoted)


def signature(method, path, query, headers, signed, payload, secret, date, region, service="s3"):
    """headers: lower-case names; signed: list of names; path: decoded."""
    canonical = "\n".join([
        method, urllib.parse.quote(path, safe=SAFE + "/"), canonical_query(query),
        "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in signed), ";".join(signed),
        payload])
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for step in (date[:8], region, service, "aws4_request"):
        key = _hmac(key, step)
    return _hmac(key, text).hex()


def sign(method, host, path, query, body, access_key, secret, region="us-east-1", extra=None):
    """Headers of a signed request; path decoded, query a list of pairs."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    payload = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-date": date, "x-amz-content-sha256": payload}
    headers.update({name.lower(): value for name, value in (extra or {}).items()})
    signed = sorted(headers)
    made = signature(method, path, query, headers, signed, payload, secret, date, region)
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key}/{date[:8]}/{region}/s3/aws4_request, "
        f"SignedHeaders={';'.join(signed)}, Signature={made}")
    return headers


class Client:
    """A few requests to an S3 server, for tests: request() returns (status, headers, body)."""

    def __init__(self, endpoint, access_key, secret, region="us-east-1", ca=None):
        self.url = urllib.parse.urlsplit(endpoint)
        self.access_key, self.secret, self.region, self.ca = access_key, secret, region, ca

    def request(self, method, path, query=(), body=b"", headers=None):
        if self.url.scheme == "https":
            connection = http.client.HTTPSConnection(
                self.url.netloc, timeout=60, context=ssl.create_default_context(cafile=self.ca))
        else:
            connection = http.client.HTTPConnection(self.url.netloc, timeout=60)
        signed = sign(method, self.url.netloc, path, list(query), body, self.access_key, self.secret,
                      self.region, headers)
        text = urllib.parse.quote(path, safe=SAFE + "/")
        if query:
            text += "?" + canonical_query(list(query))
        try:
            connection.request(method, text, body=body, headers=signed)
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        finally:
            connection.close()

    def check(self, method, path, query=(), body=b"", headers=None, wanted=(200, 204)):
        """The same; RuntimeError unless the status is one of wanted.  Returns headers and body."""
        status, answered, content = self.request(method, path, query, body, headers)
        if status not in wanted:
            raise RuntimeError(f"{method} {path} answered {status}: {content[:500]!r}")
        return answered, content

    def make_bucket(self, name, versioned=False):
        self.check("PUT", f"/{name}")
        if versioned:
            self.check("PUT", f"/{name}", [("versioning", "")],
                       b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                       b"<Status>Enabled</Status></VersioningConfiguration>")

    def put(self, bucket, key, body):
        return self.check("PUT", f"/{bucket}/{key}", body=body)[0]

    def get(self, bucket, key):
        return self.check("GET", f"/{bucket}/{key}")[1]

    def delete(self, bucket, key, version=None):
        return self.check("DELETE", f"/{bucket}/{key}",
                          [("versionId", version)] if version else ())[0]

    def keys(self, bucket, prefix=""):
        """All keys below prefix (up to 1000), decoded."""
        import xml.etree.ElementTree as tree

        _, body = self.check("GET", f"/{bucket}", [("list-type", "2"), ("prefix", prefix)])
        return [node.text for node in tree.fromstring(body).iter() if node.tag.endswith("}Key")]

    def uploads(self, bucket):
        """Keys of multipart uploads that were begun and neither completed nor aborted."""
        import xml.etree.ElementTree as tree

        _, body = self.check("GET", f"/{bucket}", [("uploads", "")])
        return [node.text for node in tree.fromstring(body).iter() if node.tag.endswith("}Key")]
