"""The pages of report and profile: every picture inline and well-formed, nothing fetched, the right numbers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from served_model import ROWS, SPEC, Served, click_row, make_served

from fieldpool.model.evaluation import evaluate
from fieldpool.model.run import Run
from fieldpool.model.training.train import load_model
from fieldpool.pipeline.reports.data_profile import page, profile
from fieldpool.pipeline.reports.model_report import write_report
from fieldpool.pipeline.reports.run_profile import field_profiles
from fieldpool.transforms.errors import UserError

AGE = SPEC["fields"]["age"]

# Elements that have no end tag.
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """An HTML page: its elements closed in order, its words, and whatever it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.fetched += [str(given[name]) for name in ("src", "srcset", "data", "poster") if name in given]
        if tag in ("link", "use", "image"):
            self.fetched += [str(v) for n, v in attrs if n.endswith("href") and not str(v).startswith(("#", "data:"))]
        self.fetched += [tag] if tag in ("script", "iframe", "object", "embed") else []
        self.ids += [str(given["id"])] if "id" in given else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append(data.strip())


def check_page(html: str) -> tuple[Page, list[ET.Element]]:
    """Returns a page and its pictures, after checking what holds for all pages."""
    found = Page(html)
    assert found.fetched == []
    assert not re.search(r"url\((?!#)|@import", html)
    assert len(found.ids) == len(set(found.ids))
    pictures = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]
    labels = [picture.get("aria-label") for picture in pictures]
    assert len(set(labels)) == len(labels)
    for picture in pictures:
        drawn = [e for e in picture.iter() if e.tag.endswith(("path", "use")) and "clip-path" in e.attrib]
        assert drawn, picture.get("aria-label")
        for reference in re.findall(r"#([\w-]+)", str(ET.tostring(picture))):
            assert reference in found.ids or re.fullmatch("[0-9a-f]{3,6}", reference)
    assert set(re.findall(r"(?:fill|stroke): (#\w+)", html)) == set()  # Only colours of the page's theme.
    return found, pictures


@pytest.fixture(scope="module")
def report(served: Served, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(Run(str(served.run)), str(served.model), str(path), data=["clicks.parquet"])
    return path.read_text(encoding="utf-8")


def test_a_report_is_one_page_with_all_its_pictures(report: str) -> None:
    found, pictures = check_page(report)
    labels = {picture.get("aria-label") for picture in pictures}
    assert labels >= {
        "Loss by epoch",
        "Eval AUC by epoch",
        "ROC curve of test",
        "Precision and recall on test",
        "Calibration on test",
        "Predicted probabilities on test",
        "history: rows by the length of their list",
        "history: share of the values that the most frequent tokens cover",
    }
    for heading in ("How good it is", "Where it is good, and where not", "What it was trained on", "What it computes"):
        assert heading in found.headings


def test_a_report_says_what_evaluate_says(report: str, served: Served) -> None:
    measured = evaluate(load_model(str(served.model)), Run(str(served.run)), "test", gauc_by="user", slices=["history"])
    for name in ("auc", "gauc", "pr_auc", "logloss", "ece"):
        assert f"{measured[name]:.4f}" in report
    for values in measured["slices"]["history"].values():
        assert f'<td class="n">{values["logloss"]:.4f}</td>' in report


def test_a_report_has_formula_poolings_versions_counts_and_commands(report: str, served: Served) -> None:
    text = "".join(Page(report).words)
    for words in (
        "logit  = bias + Σ_f linear_f + FM + MLP",
        "mean: Σ w·x / Σ w, w from watched; last 3",
        "max: the largest of each column; first 3",
        "sqrtn: Σ w·x / √Σ w²",
        "fieldpool transform spec.yaml clicks.parquet --out",
        "tensorflow",
        "embedding_dim",
        f"0 of {ROWS} rows were set aside",
    ):
        assert words in text


def test_names_from_the_data_are_text_not_markup(served: Served, tmp_path: Path) -> None:
    write_report(Run(str(served.run)), str(served.model), str(tmp_path / "r.html"), data=["<script>alert(1)</script>"])
    check_page((tmp_path / "r.html").read_text(encoding="utf-8"))


def test_colours_follow_the_theme(report: str) -> None:
    style = report[report.index("<style>") : report.index("</style>")]
    light, dark = style.split("prefers-color-scheme: dark", 1)
    for variable in set(re.findall(r"var\((--[\w-]+)\)", report)) - {"--font"}:
        assert f"{variable}:" in light
        assert f"{variable}:" in dark


def test_fields_of_a_run(served: Served) -> None:
    fields = {field.name: field for field in field_profiles(Run(str(served.run)))}
    train = [row for row in served.rows if row["part"] == "train"]
    lengths = [len(row["history"]) for row in train]
    assert fields["history"].lengths == {n: lengths.count(n) for n in sorted(set(lengths))}
    assert fields["history"].max_len == 3
    (cut,) = [cut for cut in fields["history"].cuts() if cut[0] == 3]
    assert cut[1] == pytest.approx(sum(n > 3 for n in lengths) / len(lengths))
    assert cut[2] == pytest.approx(sum(max(n - 3, 0) for n in lengths) / sum(lengths))
    users = [row["user"] or "(none)" for row in train]
    assert fields["user"].counts is not None
    assert fields["user"].counts.tolist() == sorted((users.count(u) for u in set(users)), reverse=True)
    assert fields["user"].embedding_mb == (2 + 4) * 5 * 4 / 1e6
    assert (fields["item"].table_rows, fields["history"].table_rows) == (3 + fields["item"].tokens, None)


def test_a_report_of_train_rows_and_numbers_alone(tmp_path: Path) -> None:
    """No vocabulary, no eval or test split, nothing to slice by."""
    spec = {name: value for name, value in SPEC.items() if name != "vocabularies"} | {"fields": {"age": AGE}}
    rows = [click_row(i) | {"part": "train"} for i in range(20)]
    served = make_served(tmp_path, spec, rows)
    write_report(Run(str(served.run)), str(served.model), str(tmp_path / "r.html"))
    _, pictures = check_page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "ROC curve of train" in {picture.get("aria-label") for picture in pictures}


def test_a_folder_without_a_training(served: Served, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training.json: no such file; name the folder that `fieldpool train` wrote"):
        write_report(Run(str(served.run)), str(tmp_path), str(tmp_path / "r.html"))


def test_a_profile_is_one_page_with_all_its_pictures(served: Served) -> None:
    found, pictures = check_page(page(profile([str(served.data)]), "Data profile"))
    labels = {picture.get("aria-label") for picture in pictures}
    assert "history: rows by the length of their list" in labels
    assert "The proposed spec" in found.headings


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_every_picture_and_complains_of_nothing(report: str, tmp_path: Path, scheme: str) -> None:
    """`make test-browser` brings playwright, and its Chromium where the machine has none."""
    import shutil

    from playwright.sync_api import sync_playwright

    (tmp_path / "report.html").write_text(report, encoding="utf-8")
    complaints: list[Any] = []
    requested: list[str] = []
    installed = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        shown = browser.new_page(color_scheme=scheme, viewport={"width": 1200, "height": 900})
        shown.on("console", lambda message: complaints.append(message.text))
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("request", lambda request: requested.append(request.url))
        shown.goto((tmp_path / "report.html").as_uri())
        shown.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        sizes = shown.eval_on_selector_all("svg", "all => all.map(s => [s.getBBox().width, s.clientHeight])")
        body = "getComputedStyle(document.body)"
        ink, ground = shown.evaluate(f"[{body}.color, {body}.backgroundColor]")
        text = shown.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
        is_wider_than_the_window = shown.evaluate("document.documentElement.scrollWidth > innerWidth")
        browser.close()
    assert complaints == []
    assert [url for url in requested if not url.startswith("data:")] == [(tmp_path / "report.html").as_uri()]
    assert len(sizes) == report.count("<svg")
    assert all(width > 100 and height > 100 for width, height in sizes)
    assert (brightness(ink) < brightness(ground)) == (scheme == "light")
    assert abs(brightness(text) - brightness(ground)) > 60
    assert not is_wider_than_the_window


def brightness(colour: str) -> float:
    red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
    return 0.3 * red + 0.6 * green + 0.1 * blue
