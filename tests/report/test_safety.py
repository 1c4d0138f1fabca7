"""Text of unknown origin stays text, outputs stay inside the project, and the code has no door for either to leave by.

One run of the real notebooks, on a source whose every name is an attack.
"""

from __future__ import annotations

import ast
import csv
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
import real_run
from playwright.sync_api import Browser, Page

from patternbook.charts.drawing import LABEL_WIDTH
from patternbook.errors import UserError
from patternbook.markup import attribute, code, escaped, fenced, in_chart
from patternbook.params import load_params
from patternbook.paths import RunPaths

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "</style></td></table><b>bold</b>",
    "[link](javascript:alert(3))",
    "{{< var eda.revenue >}}",
    "{{< embed notebooks/02_eda.ipynb#tbl-kpis >}}",
    "::: {.kpis}",
    '```\n````````\n`#read("/etc/passwd")`{=typst} <script>alert(4)</script>',
    "$x^2$ and #pagebreak()",
    "back\\slash \"double\" 'single' &amp; &lt;",
    '<a href="javascript:alert(5)">link</a>',
    "../../../../etc/passwd",
    "=1+2",
]
LONG = "A" * 300
FOREIGN = ["שלום עולם", "نص عربي", "👩‍👩‍👧 Zoe\u0308"]
NAMES = [*HOSTILE, LONG, *FOREIGN]
TITLE = "<script>alert(6)</script> **T** {{< var eda.revenue >}} `#x`{=typst} $z$ \\ \"q\" 's' &amp; שלום"
ORGANISATION = f"[Org](javascript:alert(7)) </style> {LONG}"
CONFIDENTIALITY = "{{< var x >}} <img src=x onerror=alert(8)>"
BRAND = 'brand"; DROP TABLE x; -- <b>'
FILE = "&lt; `x` $y$ [a](b) #c " + "ü" * 110 + "..csv"  # 248 bytes; a file's name may have 255
MARGIN = 24 / 25.4 * 72  # points


class Run(NamedTuple):
    paths: RunPaths
    before: set[Path]
    after: set[Path]

    @property
    def pages(self) -> list[Path]:
        return [self.paths.report / "executive.html", *sorted(self.paths.report.glob("notebooks/*.html"))]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Run:
    outer = tmp_path_factory.mktemp("outer")
    (outer / "raw").mkdir()
    (outer / "project").mkdir()
    write_log(outer / "raw" / FILE)
    before = set(outer.rglob("*"))
    paths = real_run.run(
        outer / "project",
        run="hostile",
        source={"kind": "clickstream", "folder": "../raw", "files": ["*.csv"], "columns": {"brand": BRAND}},
        quality={"max_rejected_share": 0.5},
        eda={"top_products": 50},
        report={"title": TITLE, "organisation": ORGANISATION, "confidentiality": CONFIDENTIALITY},
    )
    return Run(paths, before, set(outer.rglob("*")))


def write_log(file: Path) -> None:
    """Customers of all platforms, half of the first two and all of the others buy; one row cannot be read."""
    header = ["event_time", "event_type", "product_id", "category_id", "category_code", BRAND, "name", "price"]
    header += ["user_id", "user_session", "platform", "device"]
    count = len(NAMES)
    with file.open("w", newline="", encoding="utf-8") as stream:
        log = csv.writer(stream)
        log.writerow(header)
        for user in range(40 * count):
            turn, group = divmod(user, count)
            product, buys = turn % count, group > 1 or turn % 2
            for number, kind in enumerate(("view", "cart", "purchase") if buys else ("view", "cart")):
                name, at = NAMES[product], f"2024-0{1 + user % 2}-{1 + user % 28:02d} 10:{number:02d}:00 UTC"
                texts = [name, name, NAMES[(product + 1) % count], name]
                log.writerow([at, kind, product, *texts, 9.5, user, f"s{user}", NAMES[group], name])
        log.writerow([HOSTILE[0], "view", 1, "", "", "", "", 1, 1, "s1", "", ""])
        log.writerow(["2024-01-05 10:00:00 UTC", HOSTILE[2], 1, "", "", "", "", 1, 1, "s1", "", ""])


def bare(text: str) -> str:
    """Text without blanks and places to break, which a page may move."""
    return re.sub(r"[\s\u200b\u202a-\u202e]", "", text)


def pdf(hostile: Run, *options: str) -> str:
    command = ["pdftotext", *options, str(hostile.paths.report / "executive.pdf"), "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with real_run.browser() as started:
        yield started


class Visit(NamedTuple):
    page: Page
    dialogs: list[str]
    requests: list[str]
    errors: list[str]


def visit(chrome: Browser, file: Path) -> Visit:
    seen = Visit(chrome.new_page(), [], [], [])
    seen.page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.goto(file.as_uri())
    real_run.draw_charts(seen.page)
    seen.page.wait_for_timeout(100)
    return seen


# -- the report in a browser and on paper -----------------------------------------------------------------------


@pytest.mark.slow
def test_nothing_runs_and_nothing_is_injected(hostile: Run, chrome: Browser) -> None:
    own = {file.as_uri() for file in [*hostile.pages, hostile.paths.report / "notebooks" / "plotly.min.js"]}
    for file in hostile.pages:
        seen = visit(chrome, file)
        outside = [url for url in seen.requests if not url.startswith(("data:", "blob:")) and url not in own]
        assert (seen.dialogs, outside, seen.errors) == ([], [], []), file.name
        count = "selector => document.querySelectorAll(selector).length"
        for selector in (
            "img:not(.plot > .poster)",
            "main style",
            "[onerror]",
            "main td b",
            "main a[href^='javascript' i]",
            "a[*|href^='j']",
        ):
            assert seen.page.evaluate(count, selector) == 0, f"{file.name}: {selector}"
        assert seen.page.evaluate("[...document.scripts].filter(s => /^\\s*alert/.test(s.textContent)).length") == 0


@pytest.mark.slow
def test_every_name_is_whole_in_html(hostile: Run, chrome: Browser) -> None:
    executive = visit(chrome, hostile.paths.report / "executive.html").page
    assert bare(executive.text_content("h1") or "") == bare(TITLE)
    assert executive.title() == TITLE
    shown = bare(executive.text_content("body") or "")
    for text in (*NAMES, ORGANISATION, CONFIDENTIALITY, BRAND, FILE):
        assert bare(text) in shown, text


@pytest.mark.slow
def test_plotly_shows_names_as_text(hostile: Run, chrome: Browser) -> None:
    page = visit(chrome, hostile.paths.report / "notebooks" / "06_funnel_temporal.html").page
    labels = {bare(text) for text in page.locator("svg .ytick text").all_text_contents()}
    for name in NAMES:
        short = name if len(name) <= LABEL_WIDTH else f"{name[: LABEL_WIDTH - 1]}…"
        assert bare(short) in labels, name


@pytest.mark.slow
def test_every_name_is_whole_on_paper(hostile: Run) -> None:
    shown = bare(pdf(hostile, "-raw"))
    for text in (*HOSTILE, LONG, BRAND, *ORGANISATION.split(), *CONFIDENTIALITY.split(), *TITLE.split()[:-1]):
        assert bare(text) in shown, text
    for word in ("שלום", "עולם", "نص", "عربي"):
        assert word in shown or word[::-1] in shown, word
    assert "root:" not in shown


@pytest.mark.slow
def test_nothing_runs_off_the_page(hostile: Run) -> None:
    boxes = pdf(hostile, "-bbox")
    width = float(re.findall(r'<page width="([\d.]+)"', boxes)[0])
    ends = [float(end) for end in re.findall(r'xMax="([\d.]+)"', boxes)]
    assert len(ends) > 500
    assert max(ends) < width - MARGIN + 2
    assert min(float(start) for start in re.findall(r'xMin="([\d.]+)"', boxes)) > MARGIN - 2
    bottoms = [float(end) for end in re.findall(r'yMax="([\d.]+)"', boxes)]
    assert max(bottoms) < float(re.findall(r'<page width="[\d.]+" height="([\d.]+)"', boxes)[0])


@pytest.mark.slow
def test_every_name_is_whole_in_the_workbook(hostile: Run) -> None:
    sheet = pl.read_excel(hostile.paths.exports / "tables.xlsx", sheet_name="eda.top_products")
    assert set(sheet["product"]) == set(NAMES)


# -- where outputs go -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_writes_into_data_and_reports_alone(hostile: Run) -> None:
    root = hostile.paths.root
    given = {"notebooks", "params.yaml", "_quarto.yml"}
    new = hostile.after - hostile.before
    assert {path.relative_to(root).parts[0] for path in new if path != root} == {
        "data", "reports", "_variables.yml", *given,
    }  # fmt: skip
    assert {path.name for path in (root / "reports").iterdir()} == {
        "executive.qmd", "theme", "filters", "hostile", "latest",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["../x", "/tmp/x", "..", ".", "a/b", "a\\b", "a\0b", "a\nb", "a b", "x" * 300, "ünicode", "", "latest", "theme"],
)
def test_a_run_may_not_be_called(name: str, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("run: placeholder\nsource: {kind: simulated}\n", "utf-8")
    with pytest.raises(UserError, match=r"key 'run'|run may not be called|control characters|not valid YAML"):
        load_params(file, [f'run="{name}"' if "\\" not in name and "\n" not in name else f"run='{name}'"])


@pytest.mark.parametrize("locale", ["../../etc", "<script>", "xx_YY", "en\0US"])
def test_a_locale_is_one(locale: str) -> None:
    from patternbook.formats import Formats

    with pytest.raises(UserError, match=r"currency\.locale"):
        Formats("USD", locale)


# -- markup -----------------------------------------------------------------------------------------------------


def test_a_fence_is_longer_than_any_inside() -> None:
    lines = fenced("```\n" + "`" * 12 + "\nx", "{=html}").splitlines()
    assert lines[0] == "`" * 13 + " {=html}"
    assert lines[-1] == "`" * 13


def test_code_holds_backticks() -> None:
    assert code("a") == "`a`"
    assert code("a`b") == "`` a`b ``"


def test_an_attribute_and_escaped_text_are_one_line() -> None:
    assert attribute('a\n\n"b" <c>') == "a &quot;b&quot; &lt;c>"
    assert escaped("a\n\n# b") == "a \\# b"


def test_plotly_reads_neither_tags_nor_tex() -> None:
    assert in_chart("<b>$x$</b>\n&amp;") == "&lt;b&gt;&#36;x&#36;&lt;/b&gt; &amp;amp;"


# -- the code ---------------------------------------------------------------------------------------------------

UNSAFE_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}
UNSAFE_CALLS |= {"yaml.full_load", "pd.read_pickle", "np.load", "subprocess.getoutput", "subprocess.getstatusoutput"}
SOURCES = sorted((real_run.PROJECT / "src").rglob("*.py"))


def unsafe(tree: ast.AST) -> Iterator[str]:
    """What a piece of code does that would run text, as `line: what`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (f"{node.lineno}: {name}" for name in names if name.split(".")[0] in UNSAFE_MODULES)
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            shell = [word for word in node.keywords if word.arg == "shell" and ast.unparse(word.value) != "False"]
            safe_loader = any("SafeLoader" in ast.unparse(word.value) for word in node.keywords)
            if name in UNSAFE_CALLS and not safe_loader:
                yield f"{node.lineno}: {name}"
            yield from (f"{node.lineno}: {name} in a shell" for _ in shell)


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(real_run.PROJECT / "src")))
def test_no_code_runs_text(file: Path) -> None:
    assert list(unsafe(ast.parse(file.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from joblib import dump", "eval(x)", "exec(x)", "os.system(x)", "yaml.load(x)",
        "yaml.load(x, Loader=yaml.Loader)", "subprocess.run(x, shell=True)", "subprocess.run(x, shell=y)",
    ],
)  # fmt: skip
def test_unsafe_code_would_be_found(text: str) -> None:
    assert list(unsafe(ast.parse(text)))
