"""bucket_world.py - a World whose only repository is a bucket on a scripted server (tests/peer/server.py)."""
import os
import sys

import push_world
from push_world import SYSID, World, workspace

sys.path.insert(0, os.path.join(push_world.SOURCE_ROOT, "tests", "peer"))
import server as peer  # noqa: E402


def bucket(t, timeout="60s", fetch="timeout: 60s", push="", worker=True, **more):
    """A World and its server, which is its own; fetch, push: of wal.fetch, wal.push."""
    store = peer.Server()
    t.defer(store.stop)
    row = (f"{{ name: bucket, url: s3://cpam/x, endpoint: \"{store.endpoint}\", region: us-east-1, "
           f"addressing: path, credentials: static, access_key_id: {peer.ACCESS_KEY}, "
           f"secret_access_key: \"{peer.SECRET_KEY}\", required: true }}")
    w = World(t, worker=worker, repositories=(), more=[row],
              wal=f"push: {{ timeout: {timeout}{', ' + push if push else ''} }}, fetch: {{ {fetch} }}",
              **more)
    workspace.run([f"{push_world.programs()}/make_repo", w.config, "bucket", SYSID, 15, w.size])
    return w, store
