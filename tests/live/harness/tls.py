"""tls.py - a certificate authority of the tests' own, made by openssl, and certificates signed by it."""
import os
import subprocess


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def authority(folder, name="ca"):
    """A CA in folder: the paths of its certificate and key."""
    cert, key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "30", "-subj", f"/CN=cpam test {name}", "-keyout", key, "-out", cert,
             "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    os.chmod(cert, 0o644)
    return cert, key


def certificate(folder, authority_pair, names=("localhost", "127.0.0.1"), name="server"):
    """A server's certificate and key for these names and addresses."""
    ca_cert, ca_key = authority_pair
    cert, key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
    request, extensions = os.path.join(folder, name + ".csr"), os.path.join(folder, name + ".ext")
    alternatives = ",".join(("IP:" if each[0].isdigit() else "DNS:") + each for each in names)
    with open(extensions, "w", encoding="ascii") as out:
        out.write(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth\n")
    _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
             f"/CN={names[0]}", "-keyout", key, "-out", request)
    _openssl("x509", "-req", "-in", request, "-CA", ca_cert, "-CAkey", ca_key, "-CAcreateserial",
             "-days", "30", "-extfile", extensions, "-out", cert)
    return cert, key
