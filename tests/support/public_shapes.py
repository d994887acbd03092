"""Small generated files in the shapes of the field's public data sets and of common exports.

Names, titles and numbers are invented. `SHAPES` has them by name, all with 300 rows.
"""

from __future__ import annotations

import ast
import bz2
import json
import lzma
import random
from collections.abc import Callable, Iterator
from datetime import datetime
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from shapes import ROWS, Row, Shape, csv_rows, json_rows, named, parsed, parts, split_rows

GENRES = ["Drama", "Sci-Fi", "Rock 'n' Roll", "Action", "Café"]
BITS = [i % 2 for i in range(ROWS)]


def lists(seed: int, values: list[str], least: int = 0, most: int = 3) -> list[list[str]]:
    """Returns a list of some of the values for each row."""
    rng = random.Random(seed)
    return [rng.sample(values, rng.randint(least, most)) for _ in range(ROWS)]


GENRE_LISTS = lists(1, GENRES, 1)


def lines(line: Callable[[int], str], header: str = "", end: str = "\n") -> str:
    """Returns a text with a line for each row."""
    return "".join(f"{text}{end}" for text in [*([header] if header else []), *map(line, range(ROWS))])


def quoted(text: str) -> str:
    """Returns a text in quotes, with its quotes doubled."""
    return '"' + text.replace('"', '""') + '"'


def _ratings() -> Shape:
    rng = random.Random(2)
    content = lines(lambda i: f"{i % 40}::{i % 60}::{rng.randint(1, 5)}::{978300000 + i}").encode()
    rows = split_rows(content, "::", [])
    return Shape("films/ratings.dat", content, rows, "c2", lambda v: int(v) >= 4, times={"c3": int})


def _titles() -> Shape:
    content = lines(lambda i: f"{i}::Café {i} (1995)::{'|'.join(GENRE_LISTS[i])}::{BITS[i]}").encode("latin-1")
    rows = split_rows(content, "::", [], encoding="latin-1")
    return Shape("films/titles.dat", content, rows, "c3", lists={"c2": parts("c2", "|")})


def _mysql() -> Shape:
    def line(i: int) -> str:
        title = r"Peek \"Deluxe\"; Vol &amp; 2" if i % 50 == 7 else f"Tïtle {i % 30}"
        age = "NULL" if i % 3 == 0 else f'"{20 + i % 40}"'
        return f'"{i % 40}";"{i % 60:09d}X";"{title}";"köln, nrw";{age};"{BITS[i]}"'

    content = lines(line, '"User-ID";"Item";"Title";"Place";"Age";"Read"', "\r\n").encode("latin-1")
    rows = csv_rows(content, encoding="latin-1", null=("", "NULL"), delimiter=";", escapechar="\\", doublequote=False)
    return Shape("books/ratings.csv", content, rows, "Read")


def _with_lists(file: str, write: Callable[[list[str]], str], parse: Callable[[str], Any], **member: str) -> Shape:
    def line(i: int) -> str:
        return f"{i},u{i % 30},{quoted(write(GENRE_LISTS[i]))},{BITS[i]}"

    content = lines(line, "id,user,tags,liked").encode()
    column = f"tags[].{member['member']}" if member else "tags"
    return Shape(file, content, csv_rows(content), "liked", lists={column: parsed("tags", parse, **member)})


def _business() -> Shape:
    def one(i: int) -> dict[str, Any]:
        attributes = {"wifi": "free"} if i % 2 else None
        return {"place": f"b{i}", "open": BITS[i], "attributes": attributes, "categories": ", ".join(GENRE_LISTS[i])}

    content = lines(lambda i: json.dumps(one(i))).encode()
    return Shape(
        "places/business.json", content, json_rows(content), "open", lists={"categories": parts("categories", ",")}
    )


def _recipes() -> Shape:
    rows = [{"id": i, "user": f"u{i % 30}", "ingredients": GENRE_LISTS[i], "liked": BITS[i]} for i in range(ROWS)]
    content = json.dumps(rows, indent=1).encode()
    return Shape(
        "recipes/train.json", content, json_rows(content), "liked", lists={"ingredients": lambda r: r["ingredients"]}
    )


def _items() -> Shape:
    def one(i: int) -> dict[str, Any]:
        shelves = [{"count": str(3), "name": name} for name in GENRE_LISTS[i]]
        return {"id": i, "liked": bool(BITS[i]), "device": {"os": "ab"[i % 2]}, "shelves": shelves}

    content = lines(lambda i: json.dumps(one(i))).encode()
    return Shape(
        "shop/items.jsonl",
        content,
        json_rows(content),
        "liked",
        lists={"shelves[].name": lambda r: [shelf["name"] for shelf in r["shelves"]]},
        weights={"shelves[].count": lambda r: [float(shelf["count"]) for shelf in r["shelves"]]},
    )


def _ads() -> Shape:
    rng = random.Random(3)

    def numbers() -> list[str]:
        return [str(rng.randint(-1, 500)) if rng.random() > 0.2 else "" for _ in range(13)]

    def words() -> list[str]:
        return [f"{rng.randint(0, 30):08x}" if rng.random() > 0.1 else "" for _ in range(26)]

    content = lines(lambda i: "\t".join([str(BITS[i]), *numbers(), *words()])).encode()
    return Shape("ads/day_0", content, split_rows(content, "\t", []), "c0")


def _sessions() -> Shape:
    def line(i: int) -> str:
        return f"{i // 4},2014-04-{1 + i // 20:02d}T10:51:09.{i:03d}Z,2145{i % 60:04d},{'S' if i % 5 == 0 else i % 9}"

    content = lines(line).encode()
    return Shape("sessions/clicks.dat", content, csv_rows(content, []), times={"c1": datetime.fromisoformat})


def _checkins() -> Shape:
    def line(i: int) -> str:
        return f"{i % 40}\t2010-10-{1 + i // 20:02d}T23:55:27Z\t30.2359091167\t-97.7951395833\t{i % 60}"

    content = lines(line).encode()
    return Shape("checkins/all.txt", content, split_rows(content, "\t", []), times={"c1": datetime.fromisoformat})


def _events() -> Shape:
    def line(i: int) -> str:
        event = "addtocart" if i % 9 == 0 else "view"
        return f"{1433221332117 + i * 86400},{i % 40},{event},{i % 70},{i if i % 90 == 0 else ''}"

    content = lines(line, "timestamp,visitorid,event,itemid,transactionid").encode()
    return Shape(
        "shop/events.csv", content, csv_rows(content), "event", lambda v: v == "addtocart", times={"timestamp": int}
    )


def _behaviour() -> Shape:
    def line(i: int) -> str:
        return f"{i % 40},{i % 60},{i % 7},{'buy' if i % 9 == 0 else 'pv'},{1511544070 + i * 100}"

    content = lines(line).encode()
    return Shape("shop/behaviour.csv", content, csv_rows(content, []), "c3", lambda v: v == "buy", times={"c4": int})


def _views() -> Shape:
    def line(i: int) -> str:
        return f"{i // 3};{'NA' if i % 3 else i};{i % 70};{i * 1000};2016-05-{1 + i // 20:02d}"

    content = lines(line, "session;user;item;frame;date").encode()
    rows = csv_rows(content, delimiter=";", null=("", "NA"))
    return Shape("shop/views.csv", content, rows, times={"date": datetime.fromisoformat})


def _impressions() -> Shape:
    rng = random.Random(4)
    history = [[f"N{rng.randint(1, 50)}" for _ in range(rng.randint(0, 6))] for _ in range(ROWS)]

    def line(i: int) -> str:
        shown = " ".join(f"N{rng.randint(1, 50)}-{int(k == 0)}" for k in range(5))
        time = f"11/{11 + i // 60}/2019 {1 + i % 12}:{i % 60:02d}:58 {'AM' if i % 2 else 'PM'}"
        return f"{i}\tU{i % 40}\t{time}\t{' '.join(history[i])}\t{shown}"

    content = lines(line).encode()
    return Shape(
        "news/behaviors.tsv",
        content,
        list(_exploded(split_rows(content, "\t", []))),
        "c4",
        lists={"c3": parts("c3", " ")},
        times={"c2": lambda v: datetime.strptime(v, "%m/%d/%Y %I:%M:%S %p")},
    )


def _exploded(rows: list[Row]) -> Iterator[Row]:
    for row in rows:
        for pair in row["c4"].split(" "):
            item, clicked = pair.split("-")
            yield {**row, "item": item, "clicked": clicked}


def _libffm() -> Shape:
    def line(i: int) -> str:
        both = f"2:{100 + i % 5}:0.3333 2:{100 + (i + 1) % 5}:0.3333"
        return f"{BITS[i]} 0:{i % 40}:1 1:{40 + i % 60}:0.5 {both}"

    content = lines(line).encode()

    def of_field(number: str, position: int) -> Callable[[Row], list[Any]]:
        return lambda row: [t.split(":")[position] for t in row["pairs"] if t.split(":")[0] == number]

    def values_of(number: str) -> Callable[[Row], list[float]]:
        return lambda row: [float(value) for value in of_field(number, 2)(row)]

    rows = [{"c0": label, "pairs": pairs} for label, *pairs in map(str.split, content.decode().splitlines())]
    return Shape(
        "ffm/train.ffm",
        content,
        rows,
        "c0",
        lists={number: of_field(number, 1) for number in "012"},
        weights={f"{number}.value": values_of(number) for number in "012"},
    )


def _hive() -> Shape:
    def line(i: int) -> str:
        user = f"u{i % 30}" if i % 7 else r"\N"
        return f"{i}\x01{user}\x01{chr(2).join(GENRE_LISTS[i])}\x01{BITS[i]}"

    content = lines(line).encode()
    rows = named((text.split("\x01") for text in content.decode().split("\n") if text), [], (r"\N",))
    return Shape("hive/000000_0", content, rows, "c3", lists={"c2": parts("c2", "\x02")})


def _sheet() -> Shape:
    def line(i: int) -> str:
        return f"{i};u{i % 30};{i},5;{', '.join(GENRE_LISTS[i])};{BITS[i]}"

    content = b"\xef\xbb\xbf" + lines(line, "id;user;price;tags;liked", "\r\n").encode()
    return Shape(
        "sheet/data.csv",
        content,
        csv_rows(content, delimiter=";"),
        "liked",
        lists={"tags": parts("tags", ",")},
        numbers={"price": lambda v: float(v.replace(",", "."))},
    )


def _money() -> Shape:
    def line(i: int) -> str:
        return f'{i},u{i % 30},"1,{i:03d}.50",{i % 100}%,{BITS[i]}'

    content = lines(line, "id,user,price,rate,liked").encode()
    return Shape(
        "sheet/money.csv",
        content,
        csv_rows(content),
        "liked",
        numbers={"price": lambda v: float(v.replace(",", "")), "rate": lambda v: float(v.rstrip("%")) / 100},
    )


def _twins() -> Shape:
    def line(i: int) -> str:
        return f"{i},u{i % 30},{'|'.join(GENRE_LISTS[i])},c,{BITS[i]}"

    content = lines(line, ",user,tags,tags,liked").encode()
    return Shape("sheet/pandas.csv", content, csv_rows(content), "liked", lists={"tags": parts("tags", "|")})


BODY = lines(lambda i: f"{i},u{i % 30},{'|'.join(GENRE_LISTS[i])},{BITS[i]}", "id,user,tags,liked").encode()


def packed(file: str, content: bytes) -> Shape:
    """Returns the shape of a plain CSV file in other bytes."""
    return Shape(file, content, csv_rows(BODY), "liked", lists={"tags": parts("tags", "|")})


def zipped(name: str, body: bytes) -> bytes:
    """Returns a zip archive with one file."""
    content = BytesIO()
    with ZipFile(content, "w") as archive:
        archive.writestr(name, body)
    return content.getvalue()


SHAPES: dict[str, Shape] = {
    "two_character_delimiter": _ratings(),
    "latin1_titles": _titles(),
    "mysql_export": _mysql(),
    "python_lists": _with_lists("kaggle/python.csv", repr, ast.literal_eval),
    "json_lists": _with_lists("kaggle/json.csv", json.dumps, json.loads),
    "json_objects": _with_lists(
        "kaggle/objects.csv",
        lambda genres: json.dumps([{"id": len(genre), "name": genre} for genre in genres]),
        json.loads,
        member="name",
    ),
    "comma_space_lists": _business(),
    "json_array": _recipes(),
    "list_of_objects": _items(),
    "ads_without_header": _ads(),
    "sessions": _sessions(),
    "checkins": _checkins(),
    "event_words": _events(),
    "behaviour": _behaviour(),
    "semicolons": _views(),
    "impressions": _impressions(),
    "libffm": _libffm(),
    "hive_text": _hive(),
    "decimal_comma": _sheet(),
    "money": _money(),
    "index_and_twins": _twins(),
    "bz2": packed("packed/data.csv.bz2", bz2.compress(BODY)),
    "xz": packed("packed/data.csv.xz", lzma.compress(BODY)),
    "utf16": packed("packed/utf16.csv", BODY.decode().encode("utf-16")),
    "zip": packed("packed/data.csv.zip", zipped("data.csv", BODY)),
}
