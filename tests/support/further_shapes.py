"""Files in further combinations of format, dialect and dirt. `SHAPES` has them by name, all with about 300 rows."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from public_shapes import BODY, GENRE_LISTS, GENRES, lines, lists, packed, quoted, zipped
from shapes import ROWS, Row, Shape, csv_rows, json_rows, parsed, parts, split_rows

LIKED = [len(words) % 2 for words in lists(5, GENRES)]
TIME = datetime(2021, 1, 20, 8, 30, tzinfo=UTC)
ITEMS: list[Row] = [{"id": i, "user": f"u{i % 30}", "tags": GENRE_LISTS[i], "liked": LIKED[i]} for i in range(ROWS)]


def table(separator: str = "|", **more: Callable[[int], Any]) -> list[Row]:
    """Returns rows with id, user, joined tags and a label, and further columns."""
    return [
        {"id": i, "user": f"u{i % 30}", "tags": separator.join(GENRE_LISTS[i])}
        | {name: value(i) for name, value in more.items()}
        | {"liked": LIKED[i]}
        for i in range(ROWS)
    ]


def by_csv(rows: Sequence[Row], *, header: bool = True, **dialect: Any) -> str:
    """Returns rows as the module `csv` writes them."""
    text = StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n", **dialect)
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def delimited(
    file: str, rows: Sequence[Row], encoding: str = "utf-8", separator: str = "|", *, end: str = "\n", **dialect: Any
) -> Shape:
    """Returns the shape of a table that `csv` writes and reads."""
    content = by_csv(rows, **dialect).replace("\n", end).encode(encoding)
    read = csv_rows(content, encoding="utf-8-sig" if encoding == "utf-8" else encoding, **dialect)
    return Shape(file, content, read, "liked", lists={"tags": parts("tags", separator)})


def changed(shape: Shape, **changes: Any) -> Shape:
    """Returns a shape with other attributes."""
    return Shape(**{**vars(shape), **changes})


def _compressed(codec: str, body: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(body)
    return bytes(sink.getvalue())


def jsonl(rows: Sequence[Any]) -> bytes:
    """Returns rows as JSON lines."""
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def in_json(file: str, content: bytes, plain: bytes | None = None) -> Shape:
    """Returns the shape of objects with a list of tags; `plain` is what the content is when it is decompressed."""
    return Shape(file, content, json_rows(plain or content), "liked", lists={"tags": lambda r: r["tags"]})


def _comments() -> Shape:
    text = by_csv(table(), delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None)
    lines_ = text.splitlines(keepends=True)
    content = "".join(
        ["# exported by a tool\n", "# 2 comments\n", *lines_[:100], "# a third one\n", *lines_[100:]]
    ).encode()
    rows = split_rows(content, "\t", comment="#")
    return Shape("logs/comments.tsv", content, rows, "liked", lists={"tags": parts("tags", "|")})


def _spaced_pipes() -> Shape:
    content = lines(
        lambda i: f"{i} | u{i % 30} | {','.join(GENRE_LISTS[i])} | {LIKED[i]}", "id | user | tags | liked"
    ).encode()
    return Shape("logs/pipes.txt", content, split_rows(content, " | "), "liked", lists={"tags": parts("tags", ",")})


def _quoted_newlines() -> Shape:
    rows = table(note=lambda i: f"first line\nsecond, {i % 7}\r\nthird" if i % 3 else "one line")
    content = by_csv(rows).encode()
    return Shape("notes.csv", content, csv_rows(content), "liked", lists={"tags": parts("tags", "|")})


def _thousands() -> Shape:
    rows = table(", ", price=lambda i: f"{1 + i // 100}.{i % 1000:03d},50", quantity=lambda i: f"{i},25")
    shape = delimited("sheet/dots.csv", rows, "cp1252", ",", delimiter=";")

    def read(text: str) -> float:
        return float(text.replace(".", "").replace(",", "."))

    return changed(shape, numbers={"price": read, "quantity": read})


def _nested_parquet() -> Shape:
    rows = [row | {"device": {"os": "ab"[i % 2], "screen": {"width": 100 + i % 9}}} for i, row in enumerate(ITEMS)]
    content = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), content)
    return Shape("nested.parquet", content.getvalue(), rows, "liked", lists={"tags": lambda r: r["tags"]})


def _weighted_parquet() -> Shape:
    rows = [
        row | {"tags": [{"name": tag, "count": len(tag) + i % 3} for tag in row["tags"]]} for i, row in enumerate(ITEMS)
    ]
    content = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), content)
    return Shape(
        "weighted.parquet",
        content.getvalue(),
        rows,
        "liked",
        lists={"tags[].name": lambda r: [tag["name"] for tag in r["tags"]]},
        weights={"tags[].count": lambda r: [float(tag["count"]) for tag in r["tags"]]},
    )


def _label(file: str, values: Sequence[Any], positive: Callable[[Any], bool], **more: Any) -> Shape:
    rows = [row | {"liked": values[i % len(values)]} for i, row in enumerate(table())]
    return changed(delimited(file, rows), positive=positive, **more)


def _timed(file: str, time: Callable[[int], Any], read: Callable[[str], Any]) -> Shape:
    return changed(delimited(file, table(ts=time)), times={"ts": read})


def _preamble() -> Shape:
    body = by_csv(table(), delimiter=";")
    content = ("Report of likes\nCreated on 2021-01-20\n\n" + body).encode()
    return Shape(
        "report.csv", content, csv_rows(content, skip=3, delimiter=";"), "liked", lists={"tags": parts("tags", "|")}
    )


def _excel() -> Shape:
    content = ("sep=;\r\n" + by_csv(table(), delimiter=";").replace("\n", "\r\n")).encode()
    return Shape(
        "excel.csv", content, csv_rows(content, skip=1, delimiter=";"), "liked", lists={"tags": parts("tags", "|")}
    )


def _ragged() -> Shape:
    text = by_csv(table()).splitlines(keepends=True)
    for row in (50, 150):
        text[row] = text[row].replace("\n", ",x\n")
    text[250] = "short\n"
    content = "".join(text).encode()
    return Shape(
        "ragged.csv",
        content,
        csv_rows(content, width=4),
        "liked",
        lists={"tags": parts("tags", "|")},
        rejected=[50, 150, 250],
    )


def _by_hand(file: str, line: Callable[[int], str], header: str, separator: str = "|", **dialect: Any) -> Shape:
    end = dialect.pop("end", "\n")
    content = lines(line, header, end).encode()
    return Shape(file, content, csv_rows(content, **dialect), "liked", lists={"tags": parts("tags", separator)})


def _dirty_price() -> Shape:
    dirt = {7: "N/A", 107: "N/A", 207: "N/A"}
    rows = table(price=lambda i: dirt.get(i, f"{i}.5"), timestamp=lambda i: (TIME + timedelta(hours=i)).isoformat())
    content = by_csv(rows).encode()
    return Shape(
        "dirty.csv",
        content,
        csv_rows(content, null=("", "N/A")),
        "liked",
        lists={"tags": parts("tags", "|")},
        times={"timestamp": datetime.fromisoformat},
    )


def _copy() -> Shape:
    content = lines(
        lambda i: f"{i}\t{f'u{i % 30}' if i % 9 else chr(92) + 'N'}\t{'|'.join(GENRE_LISTS[i])}\t{LIKED[i]}"
    ).encode()
    rows = split_rows(content, "\t", [], null=(r"\N",))
    return Shape("copy.txt", content, rows, "c3", lists={"c2": parts("c2", "|")})


def _pandas() -> Shape:
    content = pd.DataFrame(table(price=lambda i: None if i % 4 == 0 else i / 8)).to_csv(index=True).encode()
    read = pd.read_csv(BytesIO(content), dtype=str, keep_default_na=False)
    rows = [{("" if k == "Unnamed: 0" else k): v or None for k, v in row.items()} for row in read.to_dict("records")]
    return Shape("frame.csv", content, rows, "liked", lists={"tags": parts("tags", "|")})


def _parquet_named_csv() -> Shape:
    content = BytesIO()
    pd.DataFrame(ITEMS).to_parquet(content)
    rows = pd.read_parquet(BytesIO(content.getvalue())).to_dict("records")
    return Shape("export.csv", content.getvalue(), rows, "liked", lists={"tags": lambda r: list(r["tags"])})


CHINESE, EMOJI = lists(6, ["剧情", "科幻", "动作", "喜剧"]), lists(7, ["😀", "😎", "🎉", "🚀"])
WORDS = lists(8, ["red", "green", "blue", "n9"], 0, 4)
SHAPES: dict[str, Shape] = {
    "tsv_with_comments": _comments(),
    "pipe_with_spaces": _spaced_pipes(),
    "quoted_newlines": _quoted_newlines(),
    "utf16_tabs": delimited("utf16.txt", table(), "utf-16", delimiter="\t"),
    "gb18030": delimited(
        "chinese.csv", [row | {"tags": "|".join(CHINESE[i])} for i, row in enumerate(table())], "gb18030"
    ),
    "cp1252_quotes": delimited("quotes.csv", table(title=lambda i: f"“Nº {i % 20}” – 5 €"), "cp1252"),
    "semicolons_with_thousands_dots": _thousands(),
    "json_lines_gzip_without_extension": in_json("events", gzip.compress(jsonl(ITEMS)), jsonl(ITEMS)),
    "json_lines_xz": in_json("events.jsonl.xz", lzma.compress(jsonl(ITEMS)), jsonl(ITEMS)),
    "zstd": packed("data.csv.zst", _compressed("zstd", BODY)),
    "lz4": packed("data.csv.lz4", _compressed("lz4", BODY)),
    "zstd_without_extension": packed("data", _compressed("zstd", BODY)),
    "gzip_named_csv": packed("data.csv", gzip.compress(BODY)),
    "zip_named_dat": packed("data.dat", zipped("inner/data.csv", BODY)),
    "pretty_array": in_json("pretty.json", json.dumps(ITEMS, indent=2, ensure_ascii=False).encode()),
    "array_in_one_line": in_json("line.txt", json.dumps(ITEMS).encode()),
    "nested_parquet_structs": _nested_parquet(),
    "parquet_structs_with_weights": _weighted_parquet(),
    "parquet_named_csv": _parquet_named_csv(),
    "yes_no": _label("yes.csv", ["yes", "no", "no"], lambda v: v == "yes"),
    "ratings_1_to_10": _label("ten.csv", list(range(1, 11)), lambda v: int(v) >= 8),
    "minus_one_and_one": _label("signs.csv", [-1, 1, 1], lambda v: v == "1"),
    "booleans": _label("booleans.csv", [True, False, False], lambda v: v == "True"),
    "letters": _label("letters.csv", ["Y", "N"], lambda v: v == "Y"),
    "day_first": _timed(
        "days.csv",
        lambda i: (TIME + timedelta(days=i)).strftime("%d/%m/%Y %H:%M"),
        lambda v: datetime.strptime(v, "%d/%m/%Y %H:%M"),
    ),
    "month_first": _timed(
        "months.csv",
        lambda i: (TIME + timedelta(days=i)).strftime("%m/%d/%Y"),
        lambda v: datetime.strptime(v, "%m/%d/%Y"),
    ),
    "epoch_ms": _timed("ms.csv", lambda i: 1611131400000 + 3_600_000 * i, int),
    "epoch_ns": _timed("ns.csv", lambda i: 1611131400000000000 + 3_600_000_000_000 * i, int),
    "apache_times": _timed(
        "apache.csv",
        lambda i: (TIME + timedelta(hours=i)).strftime("%d/%b/%Y:%H:%M:%S %z"),
        lambda v: datetime.strptime(v, "%d/%b/%Y:%H:%M:%S %z"),
    ),
    "dirty_price_and_iso_times": _dirty_price(),
    "preamble": _preamble(),
    "excel_separator_line": _excel(),
    "duplicate_names": _by_hand(
        "twice.csv", lambda i: f"u{i % 30},{'|'.join(GENRE_LISTS[i])},z{i % 4},{LIKED[i]}", "user,tags,user,liked"
    ),
    "trailing_delimiter": _by_hand(
        "trailing.csv", lambda i: f"u{i % 30};{'|'.join(GENRE_LISTS[i])};{LIKED[i]};", "user;tags;liked;", delimiter=";"
    ),
    "empty_lines": _by_hand(
        "gaps.csv", lambda i: f"u{i % 30},{'|'.join(GENRE_LISTS[i])},{LIKED[i]}", "user,tags,liked", end="\n\n"
    ),
    "windows_lines_all_quoted": delimited("windows.csv", table(), end="\r\n", quoting=csv.QUOTE_ALL),
    "ragged_rows": _ragged(),
    "postgres_copy": _copy(),
    "pandas_index": _pandas(),
    "single_quotes": delimited("single.csv", table(", "), "utf-8", ",", quotechar="'"),
    "lone_quotes": Shape(
        "lone.tsv",
        (
            lone := lines(
                lambda i: f'{7 + i % 20}" screen\t{"|".join(GENRE_LISTS[i])}\t{LIKED[i]}', "name\ttags\tliked"
            ).encode()
        ),
        split_rows(lone, "\t"),
        "liked",
        lists={"tags": parts("tags", "|")},
    ),
    "carets": delimited("carets.txt", table(), delimiter="^"),
    "tildes_without_header": changed(
        Shape(
            "tildes",
            (tilde := by_csv(table(), header=False, delimiter="~").encode()),
            split_rows(tilde, "~", []),
            "c3",
            lists={"c2": parts("c2", "|")},
        )
    ),
    "double_pipes": Shape(
        "double.dat",
        (double := lines(lambda i: f"{i}||u{i % 30}||{','.join(GENRE_LISTS[i])}||{LIKED[i]}").encode()),
        split_rows(double, "||", []),
        "c3",
        lists={"c2": parts("c2", ",")},
    ),
    "escaped_delimiters": delimited(
        "escaped.csv", table(title=lambda i: f"a, b {i % 9}"), quoting=csv.QUOTE_NONE, escapechar="\\", quotechar=None
    ),
    "lists_in_semicolons": delimited("inner.csv", table(";"), separator=";"),
    "lists_in_spaces": delimited(
        "spaces.csv",
        [row | {"tags": " ".join(WORDS[i])} for i, row in enumerate(table())],
        separator=" ",
    ),
    "json_lists_in_tabs": Shape(
        "inner.tsv",
        (
            inner := lines(
                lambda i: f"{i}\t{quoted(json.dumps(GENRE_LISTS[i]))}\t{LIKED[i]}", "id\ttags\tliked"
            ).encode()
        ),
        csv_rows(inner, delimiter="\t"),
        "liked",
        lists={"tags": parsed("tags", json.loads)},
    ),
    "byte_order_mark_and_tabs": changed(
        (marked := delimited("marked.tsv", table(), delimiter="\t")), content=b"\xef\xbb\xbf" + marked.content
    ),
    "emoji": delimited("emoji.csv", [row | {"tags": "|".join(EMOJI[i])} for i, row in enumerate(table())]),
}
