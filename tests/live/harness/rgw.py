"""rgw.py - a throw-away S3 server: Ceph's radosgw with one mon and one osd in memory.

    server = rgw.start(t)                    # started, with TLS and a CA of its own; ends with the test
    server.client.make_bucket("b", versioned=True)
    server.kill_gateway(); server.start_gateway()      # the objects stay: they are in the osd

Everything listens on 127.0.0.1, on ports that were free; what was started is ended by its pid.  One
server may serve a whole test program: rgw.shared() starts it at first use and ends it at exit.
Debian packages: ceph-mon, ceph-osd, ceph-base, ceph-common, radosgw.
"""
import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request
import uuid

from . import sigv4, tap, tls
from .cluster import wait_for

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool")
ACCESS_KEY = "CPAMTESTACCESSKEY001"
SECRET_KEY = "cpamTestSecret/Key+00000000000000000001"
REGION = "us-east-1"
CLASSES = ("STANDARD_IA", "GLACIER_IR")

# auth "none" can not do the default connection mode "secure": the mon's clients would hang
CONF = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon}/0
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = {osd_low}
ms bind port max = {osd_high}
ms bind msgr1 = false
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
run dir = {run}
admin socket = {run}/$name.$pid.asok
log file = {log}/$name.log
mon cluster log file = {log}/cluster.log
crash dir = {data}
keyring = /dev/null
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon max pg per osd = 2000
[mon]
mon data = {data}/mon
mon data avail crit = 1
mon data avail warn = 2
mon allow pool delete = true
paxos propose interval = 0.01
paxos min wait = 0.01
[osd]
osd data = {data}/osd
osd objectstore = memstore
memstore device bytes = {memory}
osd memory target = 939524096
osd op num shards = 2
osd op num threads per shard = 1
osd class default list = *
osd class load list = *
[client]
rgw data = {data}/rgw
rgw frontends = beast endpoint=127.0.0.1:{http} ssl_endpoint=127.0.0.1:{https} ssl_certificate={cert} ssl_private_key={key} tcp_nodelay=1
rgw dns name = localhost
rgw enable apis = s3, admin
rgw thread pool size = 64
rgw override bucket index max shards = 1
rgw crypt require ssl = false
rgw gc obj min wait = 2
rgw gc processor period = 5
rgw gc processor max time = 5
"""


def free_ports(count):
    """So many different ports of 127.0.0.1 that nobody listens on just now."""
    held = []
    for _ in range(count):
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        held.append(one)
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Server:
    """endpoint (https), plain (http), ca, access_key, secret_key, region, client (over plain)."""

    def __init__(self, folder=None, memory=2 << 30):
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            raise tap.Skip(f"{', '.join(missing)} not installed (Debian: ceph-mon ceph-osd radosgw)")
        # admin sockets need a short path: 107 bytes
        self.folder = folder or tempfile.mkdtemp(prefix="cpam-rgw-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.memory = memory
        self.processes = {}
        self.access_key, self.secret_key, self.region = ACCESS_KEY, SECRET_KEY, REGION

    def _path(self, *parts):
        return os.path.join(self.folder, *parts)

    def _environment(self):
        return {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C",
                "HOME": "/nonexistent", "CEPH_ARGS": "--no-mon-config"}

    def _run(self, *arguments, stdin="", timeout=90, check=True):
        done = subprocess.run(arguments, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env=self._environment(), timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
        return done

    def _spawn(self, name, *arguments):
        with open(self._path("log", name + ".out"), "ab") as log:
            self.processes[name] = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=self._environment(), start_new_session=True)

    def _conf(self):
        return ("-c", self._path("ceph.conf"))

    def _alive(self, name):
        if self.processes[name].poll() is not None:
            with open(self._path("log", name + ".out"), encoding="utf-8", errors="replace") as log:
                raise RuntimeError(f"{name} ended by itself:\n{log.read()[-2000:]}")
        return True

    def _prepare(self):
        for part in ("data/mon", "data/osd", "data/rgw", "log", "run"):
            os.makedirs(self._path(part), exist_ok=True)
        self.authority = tls.authority(self.folder)
        self.ca = self.authority[0]
        cert, key = tls.certificate(self.folder, self.authority,
                                    ("localhost", "virtual.localhost", "127.0.0.1"))
        mon, http, https, osd = free_ports(4)
        self.plain, self.endpoint = f"http://127.0.0.1:{http}", f"https://localhost:{https}"
        self.https_port = https
        self.fsid, self.mon_port = str(uuid.uuid4()), mon
        # the osd looks for free ports in this range by itself
        low = osd if osd < 65000 else 40000
        with open(self._path("ceph.conf"), "w", encoding="ascii") as out:
            out.write(CONF.format(fsid=self.fsid, mon=mon, osd_low=low, osd_high=low + 200,
                                  run=self._path("run"), log=self._path("log"),
                                  data=self._path("data"), memory=self.memory, http=http,
                                  https=https, cert=cert, key=key))

    def _start_store(self):
        conf = self._conf()
        self._run("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a",
                  f"[v2:127.0.0.1:{self.mon_port}/0]", "--set-min-mon-release", "16",
                  self._path("data", "monmap"))
        self._run("ceph-mon", *conf, "--mkfs", "-i", "a", "--monmap", self._path("data", "monmap"))
        self._spawn("mon", "ceph-mon", *conf, "-i", "a", "-f")
        wait_for(lambda: self._alive("mon") and self._run(
            "ceph", *conf, "--connect-timeout", "5", "osd", "new", self.fsid, "0", check=False,
            timeout=30).returncode == 0, 60, "the mon to come up")
        self._run("ceph-osd", *conf, "-i", "0", "--mkfs", "--osd-uuid", self.fsid)
        self._spawn("osd", "ceph-osd", *conf, "-i", "0", "-f")

    def _admin(self, *arguments, stdin=""):
        return self._run("radosgw-admin", *self._conf(), *arguments, stdin=stdin).stdout

    def _make_zone(self):
        """A user, the region's name, and storage classes as mere labels."""
        import json

        self.make_user("test", self.access_key, self.secret_key)
        group = json.loads(self._admin("zonegroup", "get"))
        group["api_name"] = self.region
        group["placement_targets"][0]["storage_classes"] = ["STANDARD", *CLASSES]
        self._admin("zonegroup", "set", stdin=json.dumps(group))
        zone = json.loads(self._admin("zone", "get"))
        classes = zone["placement_pools"][0]["val"]["storage_classes"]
        for name in CLASSES:
            classes[name] = dict(classes["STANDARD"])
        self._admin("zone", "set", stdin=json.dumps(zone))

    def make_user(self, name, access_key, secret_key):
        """One more user; the first call waits for the osd and makes the zone's pools."""
        self._admin("user", "create", f"--uid={name}", f"--display-name={name}",
                    f"--access-key={access_key}", f"--secret-key={secret_key}")

    def start(self):
        try:
            self._prepare()
            self._start_store()
            self._make_zone()
            self.start_gateway()
        except BaseException:
            self.stop()
            raise
        self.client = sigv4.Client(self.plain, self.access_key, self.secret_key, self.region)
        return self

    def start_gateway(self):
        self._spawn("rgw", "radosgw", *self._conf(), "-n", "client.rgw", "-f")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def answers():
            self._alive("rgw")
            try:
                with opener.open(self.plain, timeout=5) as reply:
                    return reply.status == 200
            except OSError:
                return False

        wait_for(answers, 60, "the gateway to answer")

    def _kill(self, name):
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait(30)

    def kill_gateway(self):
        """SIGKILL: connections break, the port refuses; what was stored stays."""
        self._kill("rgw")

    def pause_gateway(self):
        """SIGSTOP: connections are accepted by the kernel and nothing is ever answered."""
        self.processes["rgw"].send_signal(signal.SIGSTOP)

    def resume_gateway(self):
        self.processes["rgw"].send_signal(signal.SIGCONT)

    def stop(self):
        """Ends everything (the data is thrown away, so nothing is gained by asking kindly)."""
        for name in ("rgw", "osd", "mon"):
            self._kill(name)
        if os.environ.get("CPAM_KEEP"):
            print(f"# kept: {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        """What a program needs in its environment with credentials: auto."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def repository(self, bucket, prefix="cpam", name="primary", secret_file=None, **more):
        """An entry of `repositories` for the configuration; static with a file for the secret, else
        auto with environment()."""
        entry = {"name": name, "url": f"s3://{bucket}/{prefix}", "endpoint": self.endpoint,
                 "ca_file": self.ca, "region": self.region}
        if secret_file:
            entry.update(credentials="static", access_key_id=self.access_key,
                         secret_access_key="@" + secret_file)
        entry.update(more)
        return entry


def start(t, **options):
    """A server of this test's own."""
    server = Server(**options)
    t.defer(server.stop)
    return server.start()


_shared = None


def shared():
    """One server for the whole test program."""
    global _shared
    if _shared is None:
        server = Server()
        atexit.register(server.stop)
        _shared = server.start()
    return _shared
