"""crash_states.py - what a power cut at each point of a log (twin_log.h) could leave behind.

The model is POSIX at its strictest: what was written to a file is safe after an fsync of that file,
an entry of a directory (a name made, linked, renamed or removed) after an fsync of that directory,
and nothing else is.  Of what is pending, any part may have reached the disk in any order.  Not every
subset is tried (there are too many), but at each point:

    none of it; all of it; only data; only entries; entries with torn data; entries with zeros in
    place of data; each entry alone (with and without the data); all entries but one
"""
import os


class Op:
    """One line of the log."""

    def __init__(self, kind, fields, data=b""):
        self.kind, self.data = kind, data
        self.is_data = kind in ("write", "truncate")
        self.is_entry = kind in ("create", "mkdir", "link", "unlink", "rename", "symlink")
        self.fields = fields
        if kind == "rename":
            self.of = {fields[0], fields[2]}
        elif kind != "seen":
            self.of = {fields[0]}

    def __repr__(self):
        return " ".join([self.kind, *map(str, self.fields)])


def read(path):
    """The operations of a log, in order; "seen" lines come as (id, path) pairs beside them."""
    with open(path, "rb") as file:
        raw = file.read()
    ops, seen, at = [], {}, 0
    while at < len(raw):
        end = raw.index(b"\n", at)
        kind, *fields = raw[at:end].decode("utf-8", "surrogateescape").split("\t")
        at = end + 1
        if kind == "seen":
            seen[int(fields[0])] = fields[1]
            continue
        data = b""
        if kind == "write":
            data = raw[at:at + int(fields[2])]
            at += len(data) + 1
        numbers = {"create": (0, 2), "mkdir": (0, 2), "link": (0, 2), "unlink": (0,),
                   "rename": (0, 2, 4), "symlink": (0,), "write": (0, 1, 2), "truncate": (0, 1),
                   "fsync": (0,)}[kind]
        ops.append(Op(kind, [int(field) if i in numbers else field
                             for i, field in enumerate(fields)], data))
        ops[-1].end = at  # where its line ends in the log
    return ops, seen


def snapshot(root):
    """{path: None for a directory, bytes for a file}, absolute paths, root included."""
    found = {root: None}
    for top, folders, names in os.walk(root):
        for one in folders:
            found[os.path.join(top, one)] = None
        for one in names:
            with open(os.path.join(top, one), "rb") as file:
                found[os.path.join(top, one)] = file.read()
    return found


def build(base, seen, ops, chosen):
    """{path: bytes} of all files that can be reached after `chosen` (indices, or (index, data))."""
    nodes = {path: {} if content is None else bytearray(content)
             for path, content in base.items()}
    for path, node in nodes.items():
        parent = nodes.get(os.path.dirname(path))
        if isinstance(parent, dict):
            parent[os.path.basename(path)] = node
    ids = {number: nodes[path] for number, path in seen.items() if path in nodes}

    def node(number, new):
        return ids.setdefault(number, new)

    for index, data in chosen:
        op = ops[index]
        fields = op.fields
        if op.kind == "create":
            node(fields[0], {})[fields[1]] = node(fields[2], bytearray())
        elif op.kind == "mkdir":
            node(fields[0], {})[fields[1]] = node(fields[2], {})
        elif op.kind == "link":
            node(fields[0], {})[fields[1]] = node(fields[2], bytearray())
        elif op.kind == "unlink":
            node(fields[0], {}).pop(fields[1], None)
        elif op.kind == "rename":
            node(fields[0], {}).pop(fields[1], None)
            node(fields[2], {})[fields[3]] = node(fields[4], bytearray())
        elif op.kind == "write":
            content = node(fields[0], bytearray())
            data = op.data if data is None else data
            content.extend(bytes(max(0, fields[1] - len(content))))
            content[fields[1]:fields[1] + len(data)] = data
        elif op.kind == "truncate":
            content = node(fields[0], bytearray())
            del content[fields[1]:]
            content.extend(bytes(fields[1] - len(content)))

    files = {}

    def walk(folder, path):
        for one, inner in folder.items():
            if isinstance(inner, dict):
                walk(inner, f"{path}/{one}")
            else:
                files[f"{path}/{one}"] = bytes(inner)

    for path in base:
        if os.path.dirname(path) not in base and isinstance(nodes[path], dict):
            walk(nodes[path], path)
    return files


def choices(ops, point, most=None):
    """Names and selections of what of ops[:point] a power cut may have kept; where more than `most`
    entries are pending, only so many of them, spread evenly, are tried one by one."""
    last_sync = {}
    for index in range(point):
        if ops[index].kind == "fsync":
            last_sync[ops[index].fields[0]] = index
    safe, data, entries = [], [], []
    for index in range(point):
        op = ops[index]
        if op.kind == "fsync":
            continue
        if any(last_sync.get(one, -1) > index for one in op.of):
            safe.append(index)
        elif op.is_data:
            data.append(index)
        else:
            entries.append(index)

    def select(*groups, change=None):
        wanted = sorted(index for group in groups for index in group)
        return [(index, change(ops[index]) if change and index in data else None)
                for index in wanted]

    yield "none", select(safe)
    if not data and not entries:
        return
    yield "all", select(safe, data, entries)
    yield "only data", select(safe, data)
    yield "only entries", select(safe, entries)
    if data:
        yield "torn data", select(safe, data, entries, change=lambda op: op.data[:len(op.data) // 2])
        yield "zeros for data", select(safe, data, entries, change=lambda op: bytes(len(op.data)))
    step = 1 if most is None else max(1, -(-len(entries) // most))
    for index in entries[::step]:
        yield f"only {ops[index]}", select(safe, data, [index])
        yield f"only {ops[index]}, no data", select(safe, [index])
        yield f"all but {ops[index]}", select(safe, data, [one for one in entries if one != index])


def states(base, log_path):
    """Every state: (operations done, how many there are, its name, {path: bytes})."""
    ops, seen = read(log_path)
    for point in range(len(ops) + 1):
        for what, chosen in choices(ops, point):
            yield point, len(ops), what, build(base, seen, ops, chosen)


def write_out(files, base, root, target):
    """Make a state of `root` real below `target`, to run programs on."""
    for path, content in base.items():
        if content is None and (path == root or path.startswith(root + "/")):
            os.makedirs(target + path[len(root):], exist_ok=True)
    for path, content in files.items():
        if path.startswith(root + "/"):
            where = target + path[len(root):]
            os.makedirs(os.path.dirname(where), exist_ok=True)
            with open(where, "wb") as file:
                file.write(content)
            os.chmod(where, 0o400)
