"""What is said, before anything starts, of several parameter servers: what can't work and how much may fail."""

from __future__ import annotations

import pytest

from garfield import addresses, combinations, experiment, settings
from garfield.settings import SettingError

FOUR = {"num_ps": 4, "num_workers": 8, "aggregator": "median", "mar": "median", "fw": 2, "fps": 1}


def findings(**parameters: object) -> dict[str, tuple[str, str]]:
    values = settings.defaults() | FOUR | parameters
    return {finding.name: (finding.level, finding.text) for finding in combinations.check(values)}


def quorums(**parameters: object) -> tuple[int, int]:
    values = settings.defaults() | FOUR | parameters
    return experiment.gradient_quorum(values), experiment.model_quorum(values)


def test_what_a_step_waits_for() -> None:
    assert quorums() == (6, 3), "n-f where servers merge"
    assert quorums(quorum="all") == (8, 4)
    assert quorums(quorum=8) == (8, 4)
    assert quorums(quorum=7) == (7, 3)
    assert quorums(mar="crash", fps=0) == (8, 1)
    assert quorums(num_ps=1, mar="vanilla", fps=0) == (8, 1)


def test_how_much_may_fail() -> None:
    def spare(**parameters: object) -> tuple[int, int]:
        return experiment.spare(settings.defaults() | FOUR | parameters)

    assert spare() == (1, 2)
    assert spare(quorum="all") == (0, 0)
    assert spare(mar="crash", fps=0) == (3, 0)
    assert spare(mar="crash", fps=0, quorum="n-f") == (3, 2)


def test_several_servers_need_a_way_to_agree() -> None:
    level, text = findings(mar="vanilla")["mar"]
    assert level == "error"
    assert text.startswith("mar = vanilla: 4 parameter servers have to agree on a model; use crash (")
    assert "median, trimmed-mean, krum" in text


def test_a_mar_is_checked_on_the_models_it_is_given() -> None:
    assert findings() == {}
    assert findings(num_ps=3, quorum="all") == {}
    level, text = findings(num_ps=3)["mar"]
    assert level == "error"
    assert text.startswith("mar = median, fps = 1: median needs n >= 2f+1: n = 2 inputs can't tolerate f = 1")
    assert text.endswith("Below quorum = all only num_ps - fps = 2 of 3 are waited for.")


@pytest.mark.parametrize(
    ("parameters", "name", "level", "words"),
    [
        ({"mar": "crash"}, "fps", "error", "no Byzantine one; use 0"),
        ({"mar": "crash", "fps": 0, "attack_ps": "reverse", "byz_servers": 1}, "mar", "warning", "withstands no Byz"),
        ({"mar": "average"}, "fps", "warning", "withstands no Byzantine server"),
        ({"mar": "average", "fps": 4}, "fps", "error", "none would be waited for"),
        ({"aggregator": "vanilla", "fw": 0}, "aggregator", "warning", "averaged as by average"),
        ({"byz_servers": [4], "attack_ps": "reverse"}, "byz_servers", "error", "rank 4 is no server; those are 0 to 3"),
        ({"byz_servers": 5, "attack_ps": "reverse"}, "byz_servers", "error", "there are only 4"),
        ({"attack_ps": "alie", "byz_servers": 1}, "attack_ps", "error", "not an attack of a server"),
        ({"num_ps": 1, "mar": "crash"}, "fps", "error", "a single parameter server is trusted"),
    ],
)
def test_what_does_not_fit_is_told(parameters: dict[str, object], name: str, level: str, words: str) -> None:
    found = findings(**parameters)[name]
    assert found[0] == level
    assert words in found[1]


def test_crash_is_a_mar_and_no_rule() -> None:
    assert settings.find_setting("mar").parse("crash") == "crash"
    assert settings.find_setting("mar").parse("nnm+median(kind=mean)") == "nnm+median"
    with pytest.raises(SettingError):
        settings.find_setting("aggregator").parse("crash")
    with pytest.raises(SettingError, match="mar"):
        settings.find_setting("mar").parse("crush")


def test_addresses_of_several_servers() -> None:
    master = "10.0.0.1:29500,[fe80::1]:7,lab3"
    assert addresses.split(master) == [("10.0.0.1", 29500), ("fe80::1", 7), ("lab3", 29500)]
    assert [addresses.join(address) for address in addresses.split(master)] == [
        "10.0.0.1:29500",
        "[fe80::1]:7",
        "lab3:29500",
    ]
    assert addresses.is_loopback("127.0.0.1:1,localhost:2")
    assert not addresses.is_loopback("127.0.0.1:1,10.0.0.1")
    with pytest.raises(SettingError):
        addresses.split("10.0.0.1:29500,")
