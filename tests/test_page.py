"""The page of a study: it stands alone, says no more than is known, and shows any name without obeying or losing it."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from finished_run import GAINS, HOSTILE, S1, S2, plan, write_run

from kpcore.cli.app import outcome
from kpcore.errors import KpError
from kpcore.records.results import SplitInfo
from kpcore.records.shown import Body, read_shown
from kpcore.report.page import write_page
from kpcore.report.page.cells import page_tables
from kpcore.report.page.courses import label_curves
from kpcore.report.page.folder import read_run
from kpcore.report.page.plans import understood
from kpcore.report.page.sets import known_as, short
from kpcore.report.page.words import questions, saved
from kpcore.study.shown.gallery import SIZE

LONG = "a_name_of_sixty_characters_that_nobody_would_type_by_hand_ever"


class Reader(HTMLParser):
    """What a page has: ids, headings, references, texts, and what is open where it should be closed."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.levels, self.links, self.labelled, self.tags, self.open, self.words = [], [], [], [], [], [], []
        self.images, self.headers = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        self.ids += [found["id"]] if "id" in found else []
        self.levels += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.links += [found[key] for key in ("href", "src", "xlink:href") if key in found]
        self.labelled += found.get("aria-labelledby", "").split()
        if tag == "svg" and found.get("role") == "img":
            self.images.append(found)
        if tag == "th":
            self.headers.append(found.get("scope"))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A page of three seeds, and its folder. Read it only."""
    folder = write_run(tmp_path_factory.mktemp("page") / "run")
    write_page(folder)
    return folder


@pytest.fixture(scope="module")
def page(drawn):
    return (drawn / "report/index.html").read_text()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = write_run(tmp_path_factory.mktemp("hostile") / "run", name=HOSTILE, splits=("c",), seeds=(0, 1))
    write_page(folder)
    return folder


def test_every_section_is_there_and_nothing_is_said_to_be_missing(page):
    found = Reader(page)
    assert found.levels[0] == 1 and found.levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(found.levels, found.levels[1:], strict=False))
    sections = ["answer", "tables", "convergence", "modes", "splits", "thresholds", "joints", "gallery", "parts", "how"]
    assert [one for one in found.ids if one in sections] == sections
    assert 'class="nothing"' not in page and "could not show" not in page


def test_it_stands_alone_and_every_reference_leads_somewhere(page):
    found = Reader(page)
    assert len(set(found.ids)) == len(found.ids)
    assert {one for one in found.links if not one.startswith(("#", "data:"))} == set()
    assert {one[1:] for one in found.links if one.startswith("#")} <= set(found.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(found.ids)
    assert set(found.labelled) <= set(found.ids)
    assert "http" not in page and "<script" not in page and "@import" not in page


def test_drawings_and_tables_are_told_to_those_who_do_not_see_them(page):
    found = Reader(page)
    assert ("html", {"lang": "en"}) in found.tags
    assert len(found.images) > 10 and all("aria-labelledby" in one for one in found.images)
    assert found.headers and set(found.headers) <= {"col", "row"}
    assert page.count("<caption>") == page.count("<table>")
    assert "stage 1 loaded, frozen, its head on S1 loaded, frozen, no loss" in found.text


def test_the_answer_comes_in_words_with_its_interval(drawn, page):
    (first, _) = questions(read_run(drawn))
    assert first.text == "Does a network that learned S1 learn S2 better than “Mode random”?"
    assert [(one.mode, one.word) for one in first.answers] == [
        ("Mode transfer", "Yes, better"), ("Mode frozen", "No, worse"),
    ]  # fmt: skip
    text = first.answers[0].text
    assert re.fullmatch(
        r"\+1\d\.\d points \(95% interval \+\d+\.\d to \+\d+\.\d; 3 seeds, 60 samples on 30 images\)", text
    )
    assert any("Mode frozen, worse than Mode random" in line for line in first.warnings)
    assert text in Reader(page).text


def test_one_seed_is_said_to_be_about_these_trainings_only(tmp_path):
    (first,) = questions(read_run(write_run(tmp_path / "run", seeds=(0,), splits=("c",))))
    assert all("about these two trainings only" in one.more[0] for one in first.answers)
    assert [one.word for one in first.answers] == ["Better in these two trainings", "Worse in these two trainings"]


def test_a_mode_without_a_finished_training_is_not_known(tmp_path):
    folder = write_run(tmp_path / "run", seeds=(0, 1), splits=("c",))
    results = json.loads((folder / "results.json").read_text())
    kept = ("split", "mode", "seed")
    results["rows"] = [
        row
        if row["mode"] != "transfer"
        else {**{key: row[key] for key in kept}, "status": "failed", "reason": "no memory"}
        for row in results["rows"]
    ]
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "values.h5").unlink()
    (first,) = questions(read_run(folder))
    assert (first.answers[0].verdict, first.answers[0].text) == ("unknown", "Its training failed: no memory")
    assert first.answers[1].text == "Nothing is known of single samples, so no difference can be told from chance"


def test_shares_of_the_labels_have_curves_and_stand_in_the_answer(tmp_path):
    folder = write_run(tmp_path / "run", seeds=(0, 1), splits=("c",), shares=(0.1, 1.0))
    write_page(folder)
    (first,) = questions(read_run(folder))
    (more,) = [line for line in first.answers[0].more if line.startswith("With 10%")]
    assert re.match(r"With 10% of the labels, 3 images: yes, better, \+\d+\.\d points \(95% interval", more)
    text = (folder / "report/index.html").read_text()
    assert "How many labels does it save?" in text
    assert "10% of the labels, 3 images" in Reader(text).text
    assert "Mode transfer: " in text[text.index('id="labels-0-d"') :][:300]


@pytest.mark.parametrize(("shape", "far"), [(0.5, False), (2.0, True), (30.0, True)])
def test_a_mean_shape_far_off_the_curves_is_written_and_does_not_press_them_flat(tmp_path, shape, far):
    """The curves lie between 0 and some score; a line of 30 times that height would leave nothing of them to see."""
    folder = write_run(tmp_path / "run", seeds=(0, 1), splits=("c",), shares=(0.1, 1.0))
    run = read_run(folder)
    ((split, panel),) = label_curves(run)
    low, high = panel.figure.axes[0].dataLim.intervaly
    off = split.model_copy(update={"mean_shape": {"average": high + shape * (high - low)}})
    ((_, panel),) = label_curves(replace(run, results=run.results.model_copy(update={"splits": (off,)})))
    axes = panel.figure.axes[0]
    assert bool(axes.get_ylim()[1] < off.mean_shape["average"]) is far
    words = f"mean shape {off.mean_shape['average']:.1f}, off the scale"
    assert [text.get_text() for text in axes.texts] == [words] * far


def test_equal_curves_lie_level(page):
    assert "Split c: Mode transfer lies level with “Mode random” on average." in Reader(page).text


def test_what_a_mode_saves_of_labels_is_a_sentence(tmp_path):
    folder = write_run(tmp_path / "run", seeds=(0, 1), splits=("c",), shares=(0.1, 0.5, 1.0))
    write_page(folder)
    run = read_run(folder)
    (asked,) = questions(run)
    every = [text for _, text in saved(run, "c")]
    assert len(every) == 6 and all(" with " in line and "Mode random" in line for line in every)
    assert [line.split(" with ")[0] for line in asked.saved] == ["Mode transfer", "Mode frozen"]
    text = Reader((folder / "report/index.html").read_text()).text
    assert [text.count(line) for line in every] == [1 + (line in asked.saved) for line in every]
    assert "straight in log(images) between the numbers tried" in text


def test_the_papers_figures_stand_beside_every_column_that_has_one(tmp_path):
    folder = write_run(tmp_path / "run", seeds=(0,), splits=("c",))
    results = json.loads((folder / "results.json").read_text())
    results["splits"][0]["reference"] = {"transfer": {"knee": 61.5, "average": 60.0}, "random": {"wrist": 41.0}}
    (folder / "results.json").write_text(json.dumps(results))
    (table,) = page_tables(read_run(folder))
    found = {line.name: [cell.paper for cell in line.cells] for line in table.lines}
    none = [""] * len(table.header)
    assert found["Mode transfer"] == ["61.5", *none[1:]] and found["Mode random"] == ["", "", "41.0", *none[3:]]
    assert found["Mode frozen"] == none
    place = table.header.index("Paper")
    assert [line.cells[place].value for line in table.lines[:3]] == ["60.0", "–", "–"]
    write_page(folder)
    assert "paper 61.5" in (folder / "report/index.html").read_text()
    results["splits"][0]["not_compared"] = "other people"
    (folder / "results.json").write_text(json.dumps(results))
    (table,) = page_tables(read_run(folder))
    assert not any(cell.paper for line in table.lines for cell in line.cells) and "Paper" not in table.header


@pytest.mark.parametrize(
    ("seeds", "told"), [((0, 1), "band: lowest to highest of 2 seeds"), ((0,), "one seed, no band")]
)
def test_a_band_is_said_to_be_a_range_over_seeds_at_the_figure(tmp_path, seeds, told):
    folder = write_run(tmp_path / "run", seeds=seeds, splits=("c",))
    write_page(folder)
    text = Reader((folder / "report/index.html").read_text()).text
    assert text.count(f"; {told}") == 2, "at convergence, and at thresholds"
    assert ("which is no interval" in text) == (len(seeds) > 1)
    assert ("Bands go from" in text) == (len(seeds) > 1)


def test_the_samples_of_any_data_set_are_not_called_people(page):
    text = Reader(page[page.index("<body>") :]).text
    assert "60 samples on 30 images" in text and "people" not in text and "person" not in text


def test_whose_mean_shape_is_better_is_flagged(tmp_path):
    folder = write_run(tmp_path / "run", seeds=(0, 1), splits=("c",))
    text = (folder / "results.json").read_text()
    (folder / "results.json").write_text(re.sub(r'"average": 20.0', '"average": 99.0', text))
    write_page(folder)
    page = (folder / "report/index.html").read_text()
    assert page.count("worse than the mean shape</small>") == 3
    assert "Worse than the mean shape, which looks at no picture: Mode transfer, Mode frozen, Mode random." in page


def test_names_are_shown_and_never_obeyed(hostile):
    text = (hostile / "report/index.html").read_text()
    found = Reader(text)
    assert {tag for tag, _ in found.tags} & {"script", "img", "iframe", "object"} == set()
    assert [tag for tag, one in found.tags if any(key.startswith("on") for key in one)] == []
    assert "{{ 7777*7777 }}" in found.text and "60481729" not in found.text
    assert "\x1b" not in text
    assert all(one.startswith(("#", "data:")) for one in found.links)
    assert len(set(found.ids)) == len(found.ids)


def test_shortened_names_are_told_in_full(tmp_path):
    folder = write_run(tmp_path / "run", name=LONG, splits=("c",), seeds=(0, 1))
    write_page(folder)
    text = (folder / "report/index.html").read_text()
    assert f"<title>knee{LONG}</title>" in text


def test_where_the_data_lies_is_not_told(page):
    assert "/home/somebody" not in page and "epochs = 2" in page
    assert str(Path.cwd()) not in page


def test_it_is_drawn_again_from_the_folder_alone_and_the_same(drawn, tmp_path, capsys):
    again = tmp_path / "run"
    shutil.copytree(drawn, again)
    before = (again / "report/index.html").read_bytes()
    shutil.rmtree(again / "report/figures")
    (again / "report/index.html").unlink()
    assert outcome(["report", str(again)]) == 0
    assert "index.html" in capsys.readouterr().out
    assert (again / "report/index.html").read_bytes() == before
    figures = again / "report/figures"
    assert (figures / "all.pdf").read_bytes()[:5] == b"%PDF-"
    assert (figures / "convergence-0.svg").read_text().count("<svg") == 1


def test_what_is_not_there_is_said_and_the_rest_is_drawn(tmp_path):
    folder = write_run(tmp_path / "run", seeds=(0, 1), splits=("c",))
    for name in ("values.h5", "report/shown.json", "report/slices.h5", "timing.json", "study.toml"):
        (folder / name).unlink()
    shutil.rmtree(folder / "jobs")
    write_page(folder)
    text = Reader((folder / "report/index.html").read_text()).text
    assert "6 of 6 trainings are no longer in the cache" in text
    assert "shown.json: no such file" in text
    assert str(tmp_path) not in text
    assert "No intervals: nothing is known of single samples." in text


def test_a_folder_without_results_is_one_line(tmp_path, capsys):
    assert outcome(["report", str(tmp_path)]) == 2
    assert "results.json: no such file; give the folder that 'kp run' wrote" in capsys.readouterr().err


def test_a_record_that_is_not_as_it_was_written_is_named(drawn, tmp_path):
    path = tmp_path / "shown.json"
    path.write_text((drawn / "report/shown.json").read_text().replace('"body":0', '"body":7'))
    with pytest.raises(KpError, match="a body that is not there"):
        read_shown(path)
    path.write_text("{")
    with pytest.raises(KpError, match="is not JSON"):
        read_shown(path)


@pytest.mark.slow
def test_a_page_of_sixteen_rows_and_three_seeds_is_below_five_megabytes(tmp_path):
    folder = write_run(tmp_path / "run", splits=("a", "b", "c", "d"), modes=tuple(GAINS), side=SIZE)
    write_page(folder)
    assert len(read_run(folder).results.rows) == 4 * 4 * 3
    assert len((folder / "report/index.html").read_bytes()) < 5_000_000


def test_a_plan_is_read_as_it_was_carried_out():
    split = SplitInfo(name="c", steps=(S1, S2), columns=S2)
    found = understood(plan("frozen", S1, S2), split)
    assert found.units["stage0"].text == "loaded, frozen" and found.units["stage1"].text == "new"
    assert (found.heads, found.supervision) == (["S1", "S2"], ["", "S2"])
    assert "1 tensors of the S1 network are left behind." in found.remarks
    assert "The hash of all frozen parts is the same before and after training." in found.remarks
    assert understood({"tensors": "nonsense"}, split) is None


def test_sets_are_told_in_few_words():
    body = Body(keypoints=("l_hip", "r_hip", "nose"), groups=("hip", "hip", "nose"), edges=(), shape=(None,) * 3)
    assert short(("l_hip", "r_hip", "nose"), body) == "hip, nose (3 points)"
    assert short(("l_hip", "nose"), body) == "l_hip, nose"
    split = SplitInfo(name="c", steps=(("nose",), ("l_hip",)), columns=("l_hip",))
    assert known_as(("l_hip", "nose"), split) == "S1 + S2"
    assert known_as(("r_hip",), split) == "1 points"


# In a browser


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; these tests are skipped where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install 'kptransfer[browser]'"
    )
    place = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if place is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield opened
        opened.close()


OVERLAPS = """() => {
  const wrong = [];
  for (const svg of document.querySelectorAll('svg.panel')) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(one => [one.textContent, one.getBoundingClientRect()]);
    texts.forEach(([name, box], place) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1
          || box.bottom > frame.bottom + 1) wrong.push('cut: ' + name);
      for (const [other, there] of texts.slice(place + 1)) {
        const across = Math.min(box.right, there.right) - Math.max(box.left, there.left);
        const down = Math.min(box.bottom, there.bottom) - Math.max(box.top, there.top);
        if (across > 1 && down > 3) wrong.push('over: ' + name + ' / ' + other);
      }
    });
  }
  const wide = document.documentElement.clientWidth;
  for (const one of document.querySelectorAll('h1,h2,h3,p,li,dd,figure,caption span,summary')) {
    const box = one.getBoundingClientRect();
    if (box.width && (box.right > wide + 1 || box.left < -1)) wrong.push('outside: ' + one.textContent.slice(0, 60));
  }
  if (document.documentElement.scrollWidth > wide) wrong.push('the page is wider than the window');
  return wrong;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["drawn", "hostile"])
def test_nothing_is_cut_or_covered_or_fetched(browser, request, which, width, scheme):
    path = request.getfixturevalue(which) / "report/index.html"
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab, said, asked = context.new_page(), [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert tab.evaluate(OVERLAPS) == []
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    context.close()


CONTRAST = """() => {
  const parse = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const below = one => { for (let at = one; at; at = at.parentElement) {
    const found = parse(getComputedStyle(at).backgroundColor);
    if (found.length === 3 || found[3] > 0.99) return found.slice(0, 3);
  } return [255, 255, 255]; };
  const wrong = [];
  for (const one of document.querySelectorAll('p,li,th,td,small,a,summary,dt,dd,span,strong,code,h1,h2,h3')) {
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    const [a, b] = [light(parse(getComputedStyle(one).color)), light(below(one))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) wrong.push(ratio.toFixed(2) + ' ' + one.textContent.trim().slice(0, 40));
  }
  return wrong;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_below_it(browser, drawn, scheme):
    context = browser.new_context(color_scheme=scheme)
    tab = context.new_page()
    tab.goto((drawn / "report/index.html").as_uri())
    assert tab.evaluate(CONTRAST) == []
    context.close()


def test_the_command_says_what_the_page_lacks(drawn, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(drawn, folder, symlinks=True)
    (folder / "values.h5").write_text("broken")
    assert outcome(["report", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert "Written:" in out and "The page lacks something: " in err and "values.h5" in err
    assert str(tmp_path) not in (folder / "report" / "index.html").read_text()
