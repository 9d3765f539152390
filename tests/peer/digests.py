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
    """As x-amz-checksum-crc32c has it."""
    crc = 0xFFFFFFFF
    for byte in body:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    return base64.b64encode(struct.pack(">I", crc ^ 0xFFFFFFFF)).decode()


def complaint(headers, body, known):
    """S3's code for a digest that is not the body's, or None.  known: which of "md5", "sha256" and
    "crc32c" are looked at; the others may say what they like."""
    sha = headers["x-amz-content-sha256"]
    rows = [("crc32c", headers.get("x-amz-checksum-crc32c"), crc32c, "BadDigest"),
            ("md5", headers.get("content-md5"),
             lambda each: base64.b64encode(hashlib.md5(each).digest()).decode(), "BadDigest"),
            ("sha256", None if sha == "UNSIGNED-PAYLOAD" else sha,
             lambda each: hashlib.sha256(each).hexdigest(), "XAmzContentSHA256Mismatch")]
    for name, told, digest, code in rows:
        if name in known and told and digest(body) != told:
            return code
    return None
