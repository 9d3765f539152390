"""growth.py - how the cost of a backup and of its restore grows with bytes and with files, drawn as SVG.

Only CPAM is looked at, into and out of a folder.  Files are small ones beside a fresh cluster's own: what
lies in a data directory is backed up, whoever put it there.
"""
import math
import os

from harness import tap, workspace

import base

BYTES_A_FILE = 200
FOLDER_OF = 1000  # files in one folder


def make_files(data, count):
    """`count` small files in the data directory, in folders."""
    for number in range(count):
        folder = os.path.join(data, "many", f"{number // FOLDER_OF:06d}")
        if number % FOLDER_OF == 0:
            os.makedirs(folder)
        with open(os.path.join(folder, f"{number:09d}"), "wb") as out:
            out.write(number.to_bytes(8, "big") * (BYTES_A_FILE // 8))
    workspace.run(["chown", "-R", "postgres:", os.path.join(data, "many")], root=True)


def of_size(t, options, gib):
    options.gib = gib
    bench = base.Bench(t, options)
    return bench, bench.gib


def of_files(t, options, count):
    options.gib = 0.02
    bench = base.Bench(t, options)
    make_files(bench.server.data, count)
    return bench, count


def points(options, what, make, wanted, rounds):
    """Rows of (how much, backup, restore), of the last round.  Bytes want a second one, since the first
    writes into fresh blocks of the disk; files do not, since a file system looks for long for an inode
    that was not in use a moment ago."""
    rows = []
    for each in wanted:
        t = tap.Test("growth")  # what is made for one is gone before the next
        bench, amount = make(t, options, each)
        one = bench.contenders[0]
        runs = []
        for _ in range(rounds):
            runs = [bench.backup(one, bench.folder, "lz4"), bench.restore(one)]
        t.finish()
        rows.append((amount, *runs))
        print(f"| {amount:.2f} {what} | " if isinstance(amount, float) else f"| {amount} {what} | ", end="")
        print(" | ".join(f"{run.wall:.1f} | {run.cpu:.1f} | {run.resident / 2**20:.0f}" for run in runs),
              "|", flush=True)
    return rows


def draw(path, pictures):
    """Two pictures beside one another, both axes logarithmic: seconds of backup and restore."""
    width, height, edge = 360, 240, 50
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * width}" height="{height}" '
           'font-family="sans-serif" font-size="11">']
    for number, (title, rows) in enumerate(pictures):
        seconds = [run.wall for row in rows for run in row[1:]]
        low_x, high_x = math.log10(rows[0][0]), math.log10(rows[-1][0])
        low_y, high_y = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))

        def place(x, y, left=number * width):
            part_x = (math.log10(x) - low_x) / max(high_x - low_x, 1e-9)
            part_y = (math.log10(y) - low_y) / max(high_y - low_y, 1e-9)
            return (left + edge + part_x * (width - 2 * edge), height - edge - part_y * (height - 2 * edge))

        out.append(f'<text x="{number * width + edge}" y="20">{title}</text>')
        for power in range(low_y, high_y + 1):
            _, y = place(rows[0][0], 10 ** power)
            out.append(f'<line x1="{number * width + edge}" x2="{(number + 1) * width - edge}" y1="{y:.0f}" '
                       f'y2="{y:.0f}" stroke="#ccc"/><text x="{number * width + 8}" y="{y + 4:.0f}">'
                       f'{10.0 ** power:g} s</text>')
        for row in rows:
            x, _ = place(row[0], 10 ** low_y)
            out.append(f'<text x="{x - 12:.0f}" y="{height - edge + 16}">{row[0]:.3g}</text>')
        for which, (name, colour) in enumerate((("backup", "#06c"), ("restore", "#c60")), 1):
            line = [place(row[0], row[which].wall) for row in rows]
            out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
                       + " ".join(f"{x:.1f},{y:.1f}" for x, y in line) + '"/>')
            out.append(f'<text x="{number * width + edge + 70 * (which - 1)}" y="36" fill="{colour}">{name}</text>')
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out + ["</svg>\n"]))


def show(options):
    print("| | backup s | CPU s | memory MiB | restore s | CPU s | memory MiB |\n|---|---|---|---|---|---|---|")
    sizes = points(options, "GiB", of_size, [float(each) for each in options.sizes.split(",")], 2)
    files = points(options, "files", of_files, [int(each) for each in options.files.split(",")], 1)
    if options.picture:
        draw(options.picture, [("GiB, in few files", sizes), ("files of 200 bytes", files)])
    print()
