"""Edits of random files: comments follow their block, every other byte stays, the value is what was asked.

A text is put together of gaps and blocks, so what an edit must give is known.
"""

import tomllib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.hostsfile import HostsFile
from controller.hostsfile.blocks import layout
from controller.hostsfile.tomlvalues import same, toml


def of(text: str) -> HostsFile:
    return HostsFile(Path("hosts.toml"), text, "read")


words = st.text("abc #[]='\"\\x0", max_size=8)
basic = st.builds(toml, st.text(max_size=8).filter(lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text)))
values = st.one_of(
    basic,
    st.sampled_from(
        [
            "1",
            "[1, 2]",
            "[ # ]\n 1,\n\n # [[host]]\n 2 ]",
            '{ a = "}", b = [1] }',
            '"""\n# no comment\n[[host]]\n\\""" """',
            "'''\nit's\n[run]''''",
            '"""two quotes"""""',
            "2020-01-01 10:00:00",
            "'#'",
        ]
    ),
)
comment = words.map(lambda text: "# " + text)
blanks = st.sampled_from(["", " ", "\t"])


@st.composite
def block(draw, header, number):
    rows = [draw(comment) for _ in range(draw(st.integers(0, 2)))]
    rows.append(draw(blanks) + header + draw(st.sampled_from(["", " # [[x]]", "  # = "])))
    if "host" in header:
        rows.append(f'name = "h{number}"')
    for index in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(["k{}", '"k {}"', "k{}.sub", "'k.{}' . x"])).format(index)
        rows.append(draw(blanks) + key + " = " + draw(values) + draw(st.sampled_from(["", " # c", "\t#c"])))
        rows += draw(st.sampled_from([[], [], ["# inside"], [""]]))
    if "host" in header and draw(st.booleans()):
        rows += ["# nested", "[host.env]", "A = '1'"]
    while rows[-1] == "":
        rows.pop()
    return rows


gap = st.lists(comment, max_size=2).map(lambda rows: ["", *rows, ""] if rows else [""])


@st.composite
def files(draw):
    """(gaps, blocks, indices of the hosts among them): each a text whose lines end as `newline` says."""
    headers = ["[[host]]"] * draw(st.integers(1, 4)) + draw(st.sampled_from([[], ["[run]"], ["[zz]", "[preset.x]"]]))
    headers = draw(st.permutations(headers))
    newline = draw(st.sampled_from(["\n", "\r\n"]))

    def joined(rows):
        return "".join(row.replace("\n", newline) + newline for row in rows)

    blocks = [joined(draw(block(header, number))) for number, header in enumerate(headers)]
    gaps = [draw(st.sampled_from(["", joined(["# top", ""])])), *(joined(draw(gap)) for _ in blocks[1:]), ""]
    return gaps, blocks, [i for i, header in enumerate(headers) if header == "[[host]]"], newline


def text_of(gaps, blocks):
    return gaps[0] + "".join(part for pair in zip(blocks, gaps[1:], strict=True) for part in pair)


bounded = settings(max_examples=60)


@bounded
@given(files())
def test_layout_finds_the_blocks_and_gaps(file):
    gaps, blocks, _, _ = file
    found = layout(text_of(gaps, blocks))
    assert [part.text for part in found.blocks] == blocks
    assert list(found.gaps) == gaps
    assert found.text == text_of(gaps, blocks)


@bounded
@given(files(), st.data())
def test_move_permutes_blocks_and_leaves_the_rest(file, data):
    gaps, blocks, hosts, _ = file
    at, to = (data.draw(st.integers(0, len(hosts) - 1)) for _ in range(2))
    edited = of(text_of(gaps, blocks))
    was = tomllib.loads(edited.text())["host"]
    edited.move_host(at, to)
    order = list(hosts)
    order.insert(to, order.pop(at))
    for slot, origin in zip(hosts, order, strict=True):
        assert layout(edited.text()).blocks[slot].text == blocks[origin]
    assert list(layout(edited.text()).gaps) == gaps
    was.insert(to, was.pop(at))
    assert same(tomllib.loads(edited.text())["host"], was)


@bounded
@given(files(), st.data())
def test_remove_takes_one_block_and_only_blank_lines_beside_it(file, data):
    gaps, blocks, hosts, newline = file
    at = data.draw(st.integers(0, len(hosts) - 1))
    edited = of(text_of(gaps, blocks))
    edited.remove_host(at)
    gone = hosts[at]
    assert [part.text for part in layout(edited.text()).blocks] == blocks[:gone] + blocks[gone + 1 :]
    left = layout(edited.text()).gaps
    assert (left[:gone], left[gone + 1 :]) == (tuple(gaps[:gone]), tuple(gaps[gone + 2 :]))
    comments = [row for row in (gaps[gone] + gaps[gone + 1]).split(newline) if row.strip()]
    assert [row for row in left[gone].split(newline) if row.strip()] == comments
    edited.undo()
    assert edited.text() == text_of(gaps, blocks)


@bounded
@given(files(), st.data())
def test_add_and_duplicate_leave_every_other_line(file, data):
    gaps, blocks, hosts, newline = file
    edited = of(text_of(gaps, blocks))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(hosts)))
        edited.add_host(at, name="new", workers=2)
    else:
        at = edited.duplicate_host(data.draw(st.integers(0, len(hosts) - 1)))
    parts = layout(edited.text()).blocks
    new = [i for i, part in enumerate(parts) if part.path == ("host",)][at]
    assert [part.text for part in parts[:new] + parts[new + 1 :]] == blocks
    assert sorted(row for g in layout(edited.text()).gaps for row in g.split(newline) if row) == sorted(
        row for g in gaps for row in g.split(newline) if row
    )
    edited.remove_host(at)
    assert edited.text() == text_of(gaps, blocks)


@bounded
@given(files(), st.data(), st.text(max_size=10).filter(lambda text: text.isprintable() and not text.startswith("-")))
def test_set_changes_one_line(file, data, text):
    gaps, blocks, hosts, newline = file
    at = data.draw(st.integers(0, len(hosts) - 1))
    key = data.draw(st.sampled_from(["data_dir", "interface"]))
    edited = of(text_of(gaps, blocks))
    edited.set_host(at, key, text)
    old, new = (value.split(newline) for value in (text_of(gaps, blocks), edited.text()))
    if not text.strip():
        assert old == new
        return
    assert tomllib.loads(edited.text())["host"][at][key] == text.strip()
    added = next(i for i, row in enumerate(new) if i >= len(old) or row != old[i])
    assert new[:added] + new[added + 1 :] == old
    edited.set_host(at, key, "other")
    edited.set_host(at, key, None)
    assert edited.text() == text_of(gaps, blocks)


@bounded
@given(files(), st.data())
def test_a_missing_last_newline_stays_missing(file, data):
    gaps, blocks, hosts, newline = file
    text = text_of(gaps, blocks).removesuffix(newline)
    edited = of(text)
    assert edited.text() == text
    edited.move_host(data.draw(st.integers(0, len(hosts) - 1)), 0)
    assert not edited.text().endswith("\n") or blocks[-1].endswith(newline * 2)
    edited.undo()
    assert edited.text() == text
