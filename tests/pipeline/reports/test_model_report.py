"""The pages of report and profile: charts are inline and well-formed, nothing is fetched, numbers are correct."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from served_model import ROWS, SPEC, Served, click_row, make_served

from fieldpool.model.evaluation import evaluate
from fieldpool.model.run import Run
from fieldpool.model.training.folder import load_model
from fieldpool.pipeline.reports.data_profile import profile_data, profile_page
from fieldpool.pipeline.reports.model_report import write_report
from fieldpool.transforms.errors import UserError

AGE = SPEC["fields"]["age"]

# Elements that have no end tag.
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """A parsed HTML page: its text, ids and headings, and what it would fetch. All elements must be closed in order."""

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
    """Returns a page and its charts, after checking what holds for all pages."""
    found = Page(html)
    assert found.fetched == []
    assert not re.search(r"url\((?!#)|@import", html)
    assert len(found.ids) == len(set(found.ids))
    charts = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]
    assert len(titles(charts)) == len(charts)
    for chart in charts:
        drawn = [e for e in chart.iter() if e.tag.endswith(("path", "use")) and "clip-path" in e.attrib]
        assert drawn, chart.get("aria-label")
        for reference in re.findall(r"#([\w-]+)", str(ET.tostring(chart))):
            assert reference in found.ids or re.fullmatch("[0-9a-f]{3,6}", reference)
    assert set(re.findall(r"(?:fill|stroke): (#\w+)", html)) == set()  # Only colours of the page's theme.
    return found, charts


def titles(charts: list[ET.Element]) -> set[str | None]:
    return {chart.get("aria-label") for chart in charts}


@pytest.fixture(scope="module")
def report(served: Served, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(Run(str(served.run)), str(served.model), str(path), data=["<script>alert(1)</script>", "rows.parquet"])
    return path.read_text(encoding="utf-8")


def test_report_is_one_page_with_all_charts(report: str) -> None:
    found, charts = check_page(report)
    assert titles(charts) >= {
        "Loss by epoch",
        "Eval AUC by epoch",
        "ROC curve of test",
        "Precision and recall on test",
        "Calibration on test",
        "Predicted probabilities on test",
        "history: rows by list length",
        "history: values covered by the most frequent tokens",
    }
    for heading in ("Quality", "Slices", "Training data", "Model", "Reproduction"):
        assert heading in found.headings


def test_report_shows_the_metrics_of_evaluate(report: str, served: Served) -> None:
    measured = evaluate(load_model(str(served.model)), Run(str(served.run)), "test", gauc_by="user", slices=["history"])
    for name in ("auc", "gauc", "pr_auc", "logloss", "ece"):
        assert f"{measured[name]:.4f}" in report
    assert f"the {measured['gauc_examples']} of {measured['examples']} rows whose value is in the vocabulary" in report
    assert "<summary>history (list length after truncation)<span>" in report
    for values in measured["slices"]["history"].values():
        assert f'<td class="n">{values["logloss"]:.4f}</td>' in report


def test_report_has_formula_poolings_versions_counts_and_commands(report: str, served: Served) -> None:
    text = "".join(Page(report).words)
    for words in (
        "logit  = bias + Σ_f linear_f + FM + MLP",
        "mean: Σ w·x / Σ w, w from watched; last 3",
        "max: the maximum of each dimension; first 3 values",
        "sqrtn: Σ w·x / √Σ w²",
        "fieldpool transform spec.yaml '<script>alert(1)</script>' rows.parquet --out",
        f"fieldpool evaluate {served.run} {served.model} --split test",
        "tensorflow",
        "embedding_dim",
        f"0 of {ROWS} rows were rejected",
    ):
        assert words in text
    assert "duplicate keys" not in text


def test_names_from_the_data_are_text_not_markup(report: str) -> None:
    assert "<script" not in report
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#39; rows.parquet" in report


def test_every_colour_is_defined_for_light_and_dark(report: str) -> None:
    style = report[report.index("<style>") : report.index("</style>")]
    light, dark = style.split("prefers-color-scheme: dark", 1)
    for variable in set(re.findall(r"var\((--[\w-]+)\)", report)) - {"--font"}:
        assert f"{variable}:" in light
        assert f"{variable}:" in dark


def test_report_needs_no_vocabulary_eval_split_or_slices(tmp_path: Path) -> None:
    spec = {name: value for name, value in SPEC.items() if name != "vocabularies"} | {"fields": {"age": AGE}}
    rows = [click_row(i) | {"part": "train", "id": f"r{i % 18}"} for i in range(20)]
    served = make_served(tmp_path, spec, rows)
    write_report(Run(str(served.run)), str(served.model), str(tmp_path / "r.html"))
    page, charts = check_page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "ROC curve of train" in titles(charts)
    assert page.words[page.words.index("duplicate keys") + 1] == "2"


def test_report_has_groups_slices_and_ranks_of_carried_columns(tmp_path: Path) -> None:
    evaluation = {"gauc_by": "market", "slices": ["market"], "ranking": {"by": "market", "at": [1, 2]}}
    of_market = {"carry": {"market": "genres"}, "evaluation": evaluation}
    spec = {name: value for name, value in SPEC.items() if name != "vocabularies"} | {"fields": {"age": AGE}}
    served = make_served(tmp_path, spec | of_market, [click_row(i) for i in range(40)])
    write_report(Run(str(served.run)), str(served.model), str(tmp_path / "r.html"))
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "rows whose value is not missing and has rows with both labels." in text
    assert "<summary>market<span>" in text
    measured = evaluate(load_model(str(served.model)), Run(str(served.run)), "test")
    for title, name in (("nDCG@1", "ndcg@1"), ("hit rate@2", "hit_rate@2"), ("MRR", "mrr")):
        assert f'<th class="n">{title}</th>' in text
        assert f'<td class="n">{measured[name]:.4f}</td>' in text
    assert "Rows are ranked within the values of market" in text


def test_folder_without_training_is_reported(served: Served, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training.json: no such file; pass the folder that `fieldpool train` wrote"):
        write_report(Run(str(served.run)), str(tmp_path), str(tmp_path / "r.html"))


def test_profile_is_one_page_with_all_charts(served: Served) -> None:
    found, charts = check_page(profile_page(profile_data([str(served.data)]), "Data profile"))
    assert "history: rows by list length" in titles(charts)
    assert "The proposed spec" in found.headings


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_browser_shows_every_chart_without_errors(report: str, tmp_path: Path, scheme: str) -> None:
    """`make test-browser` installs playwright, and its Chromium if the machine has none."""
    from playwright.sync_api import sync_playwright

    (tmp_path / "report.html").write_text(report, encoding="utf-8")
    errors: list[str] = []
    requested: list[str] = []
    installed = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        shown = browser.new_page(color_scheme=scheme, viewport={"width": 1200, "height": 900})
        shown.on("console", lambda message: errors.append(message.text))
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.on("request", lambda request: requested.append(request.url))
        shown.goto((tmp_path / "report.html").as_uri())
        shown.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        sizes = shown.eval_on_selector_all("svg", "all => all.map(s => [s.getBBox().width, s.clientHeight])")
        body = "getComputedStyle(document.body)"
        ink, ground = shown.evaluate(f"[{body}.color, {body}.backgroundColor]")
        text = shown.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
        is_wider_than_the_window = shown.evaluate("document.documentElement.scrollWidth > innerWidth")
        browser.close()
    assert errors == []
    assert [url for url in requested if not url.startswith("data:")] == [(tmp_path / "report.html").as_uri()]
    assert len(sizes) == report.count("<svg")
    assert all(width > 100 and height > 100 for width, height in sizes)
    assert (brightness(ink) < brightness(ground)) == (scheme == "light")
    assert abs(brightness(text) - brightness(ground)) > 60
    assert not is_wider_than_the_window


def brightness(colour: str) -> float:
    red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
    return 0.3 * red + 0.6 * green + 0.1 * blue
