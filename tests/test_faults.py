"""Whatever breaks between a controller and its machines: nothing is left behind, in time, and the person is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netlab
from tests.faultmatrix import FAULTS, Fault, measure

pytestmark = pytest.mark.skipif(netlab.why_not() is not None, reason=str(netlab.why_not()))

LEASE = 2.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    with netlab.lab(tmp_path_factory.mktemp("lab"), 2) as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_nothing_is_left(lab: netlab.Lab, fault: Fault, tmp_path: Path) -> None:
    found = measure(lab, fault, LEASE, tmp_path)
    assert found.survivors == {}
    assert found.struck <= fault.bound(LEASE)
    assert found.outcome == fault.outcome
    assert [line for line in found.said if fault.says in line], "\n".join(found.said)
