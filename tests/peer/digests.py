"""digests.py - the digests that come with a body, as a store looks at them."""
import base64
import hashlib
import struct


def crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C = crc32c_table()


def crc32c(body):
    """One byte after the other is enough for what tests send; the benchmark puts a fast one here."""
    crc = 0xFFFFFFFF
    for byte in body:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def complaint(request, known):
    """S3's code for a digest that is not the body's, or None.  known: which of "md5", "sha256" and
    "crc32c" are looked at; the others may say what they like."""
    headers, body = request.headers, request.body
    sha = headers["x-amz-content-sha256"]
    rows = [("crc32c", headers.get("x-amz-checksum-crc32c"),
             lambda: base64.b64encode(struct.pack(">I", crc32c(body))).decode(), "BadDigest"),
            ("md5", headers.get("content-md5"),
             lambda: base64.b64encode(request.md5().digest()).decode(), "BadDigest"),
            ("sha256", None if sha == "UNSIGNED-PAYLOAD" else sha,
             lambda: hashlib.sha256(body).hexdigest(), "XAmzContentSHA256Mismatch")]
    for name, told, digest, code in rows:
        if name in known and told and digest() != told:
            return code
    return None
