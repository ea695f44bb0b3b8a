"""A defect of the verifier is told and ends nothing else: the service it runs in goes on."""

from __future__ import annotations

import threading

import pytest

from replay.verifier import Done, Verifier


def test_a_defect_is_told_and_the_verifier_looks_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    verifier = Verifier("postgresql://nobody@localhost:1/nowhere")
    stop, defects = threading.Event(), [RuntimeError("defect")]

    def step() -> Done:
        if defects:
            raise defects.pop()
        stop.set()
        return Done(0, worked=False)

    monkeypatch.setattr("replay.verifier.FAULT_S", 0.0)
    monkeypatch.setattr(verifier, "step", step)
    verifier.run(stop)
    assert stop.is_set()
    assert "stumbled" in caplog.text
