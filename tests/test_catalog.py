"""Names, options, spelling and preconditions of rules and attacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garfield import catalog
from garfield.aggregators import make_aggregator
from garfield.aggregators.pre_aggregations import STEPS
from garfield.aggregators.registry import RULES
from garfield.catalog.__main__ import tables


def refusal(call, *arguments, **keywords) -> str:
    with pytest.raises(catalog.CatalogError) as error:
        call(*arguments, **keywords)
    return str(error.value)


def test_every_rule_of_the_catalogue_can_be_made_and_no_other():
    assert set(RULES) == set(catalog.RULES) - {"vanilla"}
    assert set(STEPS) == set(catalog.PRE_AGGREGATIONS)


@pytest.mark.parametrize(
    ("text", "n", "f", "words"),
    [
        ("krum", 4, 1, ["krum needs n >= 2f+3", "n = 4", "f = 1", "at least 5 inputs", "f = 0 at the most"]),
        ("bucketing(s=2)+bulyan", 12, 3, ["bulyan needs n >= 4f+3", "leaves 6", "at least 29 inputs", "f = 0"]),
        ("krum(q=3)", 11, 2, ["krum has no option 'q'", "takes none"]),
        ("nope", 5, 1, ["no aggregation rule 'nope'; there are ", "trimmed-mean"]),
        ("medain", 5, 1, ["did you mean median?"]),
        ("trimmed-mean(f=1)", 5, 1, ["no option 'f'"]),
        ("multi-krum(k=1)", 11, 2, ["it has m, neighbours"]),
        ("multi-krum(m=10)", 11, 2, ["9 at the most"]),
        ("multi-krum(m=2.5)", 11, 2, ["a whole number is needed"]),
        ("condense(p=2)", 11, 2, ["at most 1"]),
        ("clip(c=0)+median", 5, 1, ["above 0"]),
        ("median(kind=upper)", 5, 1, ["must be one of mean, lower"]),
        ("bucketing(3)+median", 5, 1, ["bucketing takes s=3"]),
        ("nnm", 5, 1, ["needs a rule behind it, as in nnm+trimmed-mean"]),
        ("krum+median", 5, 1, ["krum is an aggregation rule and comes last"]),
        ("nnn+median", 5, 1, ["did you mean nnm?"]),
        ("smea", 60, 20, ["above 200,000", "use f = ", "or caf"]),
        ("median", 0, 0, ["n is at least 1"]),
        ("nnm+", 5, 1, ["names no aggregation rule"]),
        ("vanilla", 5, 0, ["use average"]),
        ("nnm+vanilla", 5, 1, ["nothing can stand before it; use average"]),
        ("bucketing(s=100)+krum", 11, 2, ["leaves 1", "at least 601 inputs"]),
    ],
)
def test_what_can_not_work_is_refused_in_one_sentence(text, n, f, words):
    said = refusal(make_aggregator, text, n=n, f=f)
    for word in words:
        assert word in said
    assert said.endswith((".", "?"))
    assert ". " not in said


@pytest.mark.parametrize("name", [*catalog.RULES, "nnm+median", "bucketing(s=3)+krum", "arc+bulyan"])
def test_the_n_and_f_that_are_said_to_do_do(name):
    for f in range(1, 5):
        least = next((n for n in range(1, 200) if allowed(name, n, f)), None)
        if least is None or least == 1:
            continue
        said = refusal(catalog.check_rule, name, least - 1, f)
        assert f"at least {least} inputs" in said or "at the most" in said
        assert all(allowed(name, n, f) for n in (least, least + 1, least + 7) if name != "smea")


def allowed(text: str, n: int, f: int) -> bool:
    try:
        catalog.check_rule(text, n, f)
    except catalog.CatalogError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("brute", "mda"),
        (" clip( c = 1e+2 ) + nnm +geometric-median ", "clip(c=100)+nnm+geometric-median"),
        ("bucketing(s=2)+median()", "bucketing+median"),
        ("centered-clipping(tau=0.1,iterations=3)", "centered-clipping(tau=0.1)"),
        ("clip(c=1.00000001)+median", "clip(c=1.00000001)+median"),
    ],
)
def test_spelling(text, short):
    assert catalog.format_rule(catalog.parse_rule(text)) == short
    assert make_aggregator(text, n=11, f=2).text == short


def test_spelling_of_attacks():
    assert catalog.format_attack(catalog.parse_attack("empire( eps=3 )")) == "ipm(eps=3)"
    assert catalog.format_attack(catalog.parse_attack("alie(z=auto)")) == "alie"
    assert catalog.parse_attack("mimic(rank=4)").options == {"rank": 4}


def _options(entry) -> st.SearchStrategy:
    values = {}
    for name, option in entry.options.items():
        if option.choices:
            values[name] = st.sampled_from(option.choices)
        elif option.kind is int:
            values[name] = st.integers(max(1, int(option.minimum or 0)), 50)
        else:
            values[name] = st.floats(0.001, min(option.maximum or 1e9, 1e9))
    return st.fixed_dictionaries({}, optional=values)


@given(data=st.data())
def test_what_is_written_parses_to_the_same(data):
    parts = []
    for table in [catalog.PRE_AGGREGATIONS] * data.draw(st.integers(0, 3)) + [catalog.RULES]:
        name = data.draw(st.sampled_from(sorted(table)))
        options = data.draw(_options(table[name]))
        inner = ", ".join(f"{key} = {value!r}".replace("'", "") for key, value in options.items())
        parts.append(f"{name}({inner})")
    specs = catalog.parse_rule("+".join(parts))
    assert catalog.parse_rule(catalog.format_rule(specs)) == specs


@pytest.mark.parametrize("name", [*catalog.RULES, *catalog.PRE_AGGREGATIONS, *catalog.ATTACKS])
def test_every_entry_says_what_it_is_in_a_line(name):
    entry = (catalog.RULES | catalog.PRE_AGGREGATIONS | catalog.ATTACKS)[name]
    assert 5 < len(entry.summary) < 110
    assert not entry.summary.endswith(".")
    assert all(option.help for option in entry.options.values())
    assert f"`{name}" in tables()


def test_the_catalogue_needs_no_torch():
    script = (
        "import sys; from garfield import catalog, combinations; print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_readme_has_the_tables():
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    told = readme.partition("<!-- catalog: begin -->\n")[2].partition("\n<!-- catalog: end -->")[0]
    assert told == tables(), "renew it: python -m garfield.catalog"


def test_data_sets_and_splits_are_spelled_like_rules():
    assert catalog.format_dataset(catalog.parse_dataset("synthetic( shape=1x28x28,size=500 )")) == (
        "synthetic(shape=1x28x28, size=500)"
    )
    found = catalog.find_dataset("synthetic(shape=1x28x28, size=500, classes=7)")
    assert (found.shape, found.classes, found.train, found.test) == ((1, 28, 28), 7, 500, 50)
    assert catalog.find_dataset("mnist") is catalog.DATASETS["mnist"]
    assert catalog.format_shards(catalog.parse_shards("dirichlet(alpha=0.1)")) == "dirichlet(alpha=0.1)"


@pytest.mark.parametrize(
    ("parse", "text", "words"),
    [
        (catalog.parse_dataset, "minst", ["no data set 'minst'", "did you mean mnist?"]),
        (catalog.parse_dataset, "synthetic(shape=3x32)", ["shape=3x32", "as in shape=3x32x32"]),
        (catalog.parse_dataset, "synthetic(classes=1)", ["at least 2"]),
        (catalog.parse_dataset, "mnist(size=3)", ["mnist has no option 'size'", "write mnist"]),
        (catalog.parse_shards, "dirichlet(alpha=0)", ["above 0"]),
        (catalog.parse_shards, "bylabel", ["did you mean by-label?"]),
    ],
)
def test_a_data_set_or_split_that_is_not_there_is_refused_in_one_sentence(parse, text, words):
    said = refusal(parse, text)
    assert all(word in said for word in words)
    assert ". " not in said
