"""The dialect of CSV text, found from the text alone."""

from __future__ import annotations

from typing import Any

import pytest

from fieldpool.pipeline.sniffing.csv_dialect import FoundDialect, sniff_dialect
from fieldpool.pipeline.sniffing.csv_text import Piece


def sniffed(*texts: str, **given: Any) -> FoundDialect:
    """Returns the dialect of the parts of one file."""
    last = len(texts) - 1
    pieces = [Piece(text, is_start=index == 0, is_end=index == last) for index, text in enumerate(texts)]
    return sniff_dialect(pieces, given)


def table(delimiter: str, rows: int = 30) -> str:
    lines = ["id", "user", "price", "tags"], *([str(i), f"u{i % 7}", f"{i}.5", "a b"] for i in range(rows))
    return "".join(delimiter.join(line) + "\n" for line in lines)


@pytest.mark.parametrize(
    "delimiter", [",", "\t", ";", "|", "\x01", "~", "^", "::", "||", "|~|", "^|^", "\t|\t", " | ", ", ", "§", "\x1e"]
)
def test_delimiter(delimiter: str) -> None:
    found = sniffed(table(delimiter))
    assert (found.delimiter, found.width, found.header) == (delimiter, 4, True)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("color\nfoo\nboo\nmoon\nzoo\n", id="a letter in every row"),
        pytest.param("code\n1050\n2051\n3052\n4053\n", id="a digit in every row"),
        pytest.param("time\n2024-03-01 10:00:07\n2024-03-02 11:00:07\n2024-03-03 12:00:08\n", id="times"),
        pytest.param("time\n2024-03-01 10:00:07,123\n2024-03-02 11:00:07,456\n", id="times with milliseconds"),
        pytest.param("name\nAnn Lee\nBob Ray\nCid Day\n", id="two words"),
        pytest.param("review\nGood, but slow.\nI like it\nNo, no, no; never\nWell\n", id="sentences"),
        pytest.param("url\nhttp://a.b/c\nhttp://d.e/f\n", id="addresses"),
        pytest.param("c0\nv0\na;b\n", id="a delimiter in one row"),
        pytest.param("n\n1\n2\n3\n", id="numbers"),
        pytest.param("tags\n" + "a|b\nc|d\n" * 9, id="lists of two"),
        pytest.param("price\n" + "0,5\n7,25\n" * 9, id="decimal commas"),
        pytest.param("line\n" + "2024-01-01 10:00:00 INFO start\n" * 9, id="a log"),
    ],
)
def test_one_column(text: str) -> None:
    found = sniffed(text)
    assert (found.delimiter, found.header, found.skip_rows) == (None, True, 0)


@pytest.mark.parametrize("first", ["x,age\n", ""])
def test_numbers_after_times_are_a_column(first: str) -> None:
    found = sniffed(first + "2024-03-15 12:32:07,442377\n2024-03-23 12:19:07,5174\n2024-03-13 12:52:07,28\n")
    assert (found.delimiter, found.width) == (",", 2)


def test_rows_of_different_lengths_are_not_one_column() -> None:
    text = "a,b,c\n" + "".join("1,2,3\n" if i % 3 else "1,2\n" if i % 2 else "1,2,3,4\n" for i in range(60))
    found = sniffed(text)
    assert (found.delimiter, found.width) == (",", 3)
    assert found.reasons["delimiter"].startswith("67.2% of the sampled rows")


def test_rows_with_one_more_value_than_the_header_are_not_one_column() -> None:
    found = sniffed("a,b,c\n" + "1,2,3,\n" * 20)
    assert (found.delimiter, found.skip_rows) == (",", 0)
    assert "not certain" in found.reasons["header"]


def test_quoted_line_ends_do_not_hide_the_delimiter() -> None:
    rows = "".join(f'{i};"first line\nsecond line, {i}\n\nlast";{i % 2}\n' for i in range(20))
    found = sniffed("id;text;label\n" + rows)
    assert (found.delimiter, found.width, found.share) == (";", 3, 1.0)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_escapes_count_in_every_part_of_a_file(position: int) -> None:
    parts = ["".join(f'{i};"text {i}";{i % 2}\n' for i in range(50))] * 3
    parts[position] += r'7;"5\" pipe; long";1' + "\n"
    assert sniffed("id;text;label\n" + parts[0], *parts[1:]).escape == "\\"


@pytest.mark.parametrize(
    ("text", "quote", "escape"),
    [
        pytest.param("a,b\n" + "1,\"x\"\"y\"\n" * 5, '"', None, id="doubled"),
        pytest.param("a,b\n" + "1,\"x\\\"y\"\n" * 5, '"', "\\", id="escaped"),
        pytest.param("a,b\n" + "1,'x, y'\n" * 5, "'", None, id="single quotes"),
        pytest.param("a,b\n" + "1,it's\n" * 5, '"', None, id="apostrophes"),
        pytest.param("a,b\n" + "1,'tis\n" * 5, '"', None, id="apostrophes at the start"),
        pytest.param("a,b\n" + "1,'x,y'\n" * 30, "'", None, id="single quotes around delimiters"),
        pytest.param("a\tb\n" + '1\t"open\n' * 5, "none", None, id="quotes as text"),
        pytest.param("a,b\n" + "1,x\\, y\n" * 5, '"', "\\", id="an escaped delimiter"),
        pytest.param("a,b\n" + '1,say \\"hi\\"\n' * 5, '"', "\\", id="escaped quotes without quotes around"),
        pytest.param("a,b\n" + "1,C:\\new\\dir\n" * 5, '"', None, id="paths"),
        pytest.param("a\tb\n" + '1\t{"k": "say \\"hi\\""}\n' * 5, '"', None, id="escapes of JSON"),
        pytest.param("a,b\n" + '1,"{""k"": ""say \\""hi\\""""}"\n' * 5, '"', None, id="escapes of JSON in quotes"),
        pytest.param("a,b\n" + "1,\"['x', 'y, z']\"\n" * 5, '"', None, id="lists of Python"),
    ],
)  # fmt: skip
def test_quote_and_escape(text: str, quote: str, escape: str | None) -> None:
    found = sniffed(text)
    assert (found.quote, found.escape, found.width, found.share) == (quote, escape, 2, 1.0)


def test_faulty_quotes_in_a_few_rows_do_not_make_all_quotes_text() -> None:
    rows = "".join(f'{i},"n {i}",{i},{i},{i},{i}\n' for i in range(300))
    found = sniffed("id,name,a,b,c,d\n" + rows + '5,"bad"x,3,1,1,1\n')
    assert (found.quote, found.share < 1) == ('"', True)


def test_a_few_quoted_values_are_quoted_whatever_the_types_of_the_sampled_rows() -> None:
    prices = ['"12,50"' if i % 800 == 7 else str(i) for i in range(3000)]
    rows = [f"{i},1,2,3,4,{'a|b' if i % 10 == 9 else i},{price}" for i, price in enumerate(prices)]
    assert sniffed("id,a,b,c,d,size,price\n" + "\n".join(rows) + "\n").quote == '"'


@pytest.mark.parametrize(
    ("text", "has_header"),
    [
        pytest.param("id,price\n1,2.5\n2,3.5\n", True, id="names above numbers"),
        pytest.param("1,2.5\n2,3.5\n3,1.5\n", False, id="only numbers"),
        pytest.param("user,2019,2020,2021\nu1,3,4,5\nu2,5,6,7\nu3,6,7,8\n", True, id="years as names"),
        pytest.param("0,1,2\n5,7,9\n5,6,3\n2,2,8\n", True, id="counted columns"),
        pytest.param("id,2019\n1,3\n2,5\n3,6\n", True, id="a name and a number"),
        pytest.param("0,1,2\n1,2,3\n2,3,4\n3,4,5\n", False, id="numbers that count on"),
        pytest.param("user,item,label\n", True, id="only names"),
        pytest.param("17,u1,2.5\n", False, id="one row"),
        pytest.param("2024-01-01,a\n2024-01-02,b\n", False, id="times"),
        pytest.param("pv,red\npv,blue\nbuy,red\npv,green\n", False, id="words that occur again"),
        pytest.param("hash,kind\n3fa9b2c1,x9\n88e0aa41,x1\nffa9b200,x7\n", True, id="names above codes"),
        pytest.param("77a9b2c1,x3\n3fa9b2c1,x9\n88e0aa41,x1\nffa9b200,x7\n", False, id="codes"),
        pytest.param(",user,liked\n0,u0,0\n1,u1,1\n", True, id="the index of pandas"),
        pytest.param("u1,,NULL\nu2,x,NULL\nu1,y,NULL\n", False, id="missing values"),
    ],
)
def test_header(text: str, has_header: bool) -> None:
    assert sniffed(text).header is has_header


def test_uncertain_header_is_reported() -> None:
    found = sniffed("alpha,beta\nred wine,white bread\nold cheese,plum\n")
    assert (found.header, found.reasons["header"].startswith("not certain")) == (True, True)


ROWS = "id;user;price\n" + "".join(f"{i};u{i};2.5\n" for i in range(20))


@pytest.mark.parametrize(
    ("text", "skip_rows", "comment"),
    [
        pytest.param(ROWS, 0, None, id="none"),
        pytest.param("Report of May\n\n" + ROWS, 2, None, id="title and blank line"),
        pytest.param("Report of May;;\n;;\n" + ROWS, 2, None, id="title padded with delimiters"),
        pytest.param("sep=;\n" + ROWS, 1, None, id="a spreadsheet's line"),
        pytest.param("# made by x\n# 2024; v1\n" + ROWS, 2, None, id="comments before the header"),
        pytest.param("# made by x\n" + ROWS + "# part; 2\n" + ROWS[14:], 0, "#", id="comments anywhere"),
        pytest.param("#" + ROWS, 0, None, id="a header with #"),
        pytest.param("tag\n#a\n#b\nc\n", 0, None, id="one column of #"),
        pytest.param("c0\nv0\na;b\n", 0, None, id="a delimiter in the last row"),
        pytest.param("c0\nv0\nw0\na;b\nc;d\ne;f\n", 0, None, id="a change of dialect"),
        pytest.param("c0\nv0\n" + "a;b;c\n" * 9, 0, None, id="a change to several columns"),
        pytest.param("x\n1;2\n3;4\n5;6\n", 0, None, id="no names after the line"),
        pytest.param("1;;\n;;\n" + ROWS[14:], 0, None, id="rows with missing values"),
        pytest.param("id;user\n" + ROWS, 0, None, id="a shorter row first"),
    ],
)
def test_skipped_lines(text: str, skip_rows: int, comment: str | None) -> None:
    found = sniffed(text)
    assert (found.skip_rows, found.comment) == (skip_rows, comment)
    assert ("skip_rows" in found.reasons, "comment" in found.reasons) == (skip_rows > 0, comment is not None)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param(["1", "2", "NA", "3"], ["NA"], id="among numbers"),
        pytest.param(["2024-01-01", "2024-01-02", "None"], ["None"], id="among dates"),
        pytest.param(["red", "NA", "blue"], [], id="among words"),
        pytest.param(["red", "\\N", "blue"], ["\\N"], id="the word of Hive and MySQL"),
        pytest.param(['"red"', "NULL", '"blue"'], ["NULL"], id="bare among quoted values"),
        pytest.param(['"red"', '"NULL"', '"blue"'], [], id="a quoted word"),
        pytest.param(["1.5", "N/A", "nan", "2.5"], ["N/A", "nan"], id="several words"),
        pytest.param(["1", "unknown", "2"], [], id="an unknown word"),
    ],
)
def test_null_words(values: list[str], words: list[str]) -> None:
    found = sniffed("id;v;w\n" + "".join(f"{index};{value};x\n" for index, value in enumerate(values * 5)))
    assert found.null_values == ["", *words]


def test_a_null_word_that_is_a_value_of_another_column_is_reported() -> None:
    found = sniffed("n;country\n" + "1;DE\nNA;NA\n2;FR\n" * 5)
    assert found.null_values == [""]
    assert "NA may be a word: 5 of 15 sampled values of `country`" in found.reasons["null_values"]


@pytest.mark.parametrize(
    ("values", "decimal", "thousands"),
    [
        (["1.5", "20.25"], ".", None),
        (["1,5", "20,25", "7"], ",", None),
        (["0,125", "0,500"], ",", None),
        (["1.002,50", "3,1"], ",", "."),
        (["1,002.50", "999.5"], ".", ","),
        (["1,234,567", "2,000"], ".", ","),
        (["1 234,5", "7,5"], ",", " "),
        (["1\u00a0234,5", "7,5"], ",", " "),
        (["1\u202f234,5", "7,5"], ",", " "),
        (["1'234.5", "7.5"], ".", "'"),
        (["$1,002.50", "3.00"], ".", ","),
        (["1,2,3", "4", "5,6"], ".", None),
        ([*["7.50"] * 30, "12,50"], ".", None),
    ],
)
def test_number_signs(values: list[str], decimal: str, thousands: str | None) -> None:
    found = sniffed("id;v\n" + "".join(f"{index};{value}\n" for index, value in enumerate(values * 5)))
    assert (found.delimiter, found.decimal, found.thousands) == (";", decimal, thousands)


def test_commas_that_may_be_either_sign_are_reported() -> None:
    found = sniffed("id;v\n" + "".join(f"{index};1,{index + 100}\n" for index in range(20)))
    assert (found.decimal, found.thousands) == (".", None)
    assert found.reasons["thousands"] == "not certain: commas and points of `v` may be either sign"


@pytest.mark.parametrize(
    ("given", "value"),
    [("delimiter", ";"), ("quote", "none"), ("escape", "\\"), ("header", False), ("skip_rows", 1), ("comment", "%")],
)
def test_stated_entries_are_kept(given: str, value: Any) -> None:
    found = sniffed(table(","), **{given: value})
    assert getattr(found, given) == value
    assert given not in found.reasons


@pytest.mark.parametrize("text", ["", "\n\n", "x", '"', "\\", ",", "# only a comment\n", "sep=;\n", "\0\0\n"])
def test_any_text_has_a_dialect(text: str) -> None:
    assert isinstance(sniffed(text), FoundDialect)


def test_reasons_are_one_line() -> None:
    found = sniffed('"a\nb";v\n' + "NA;x\n1;y\n2;z\n" * 3)
    assert found.null_values == ["", "NA"]
    assert not any("\n" in reason for reason in found.reasons.values())


def test_long_texts_with_faults_count_as_much_as_their_lines() -> None:
    """A few of these rows are not certain to be one row, so that each of their 40 lines is a fault."""
    text = "\n".join(["fine, thanks, bye", *["plain"] * 38])
    last = ["plain", "plain", "plain", 'He said ""hi"", ok']
    rows = [f'u{i % 9},"{text}\n{last[i % 4]}",{i % 5},{i % 2}' for i in range(80)]
    found = sniff_dialect([Piece("user,text,stars,label\n" + "\n".join(rows) + "\n")], {})
    assert (found.delimiter, found.quote, found.width) == (",", '"', 4)
