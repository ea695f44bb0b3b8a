"""Callers who ask one service, over and over, whether a customer may; each question with the moment
it was sent."""

from __future__ import annotations

import threading
import time
from typing import Any, NamedTuple

from domain.values import Party
from tests.support.drill_doors import Service

PATIENCE_S = 30.0
CHECKER = Party("service:checker")


class Asked(NamedTuple):
    """A check: when it was sent (`time.monotonic`), and whether it was allowed; None: no answer."""

    sent: float
    allowed: bool | None


class Asker(threading.Thread):
    """Asks without end, while it is let; `asked` is what it asked since it was last let go on."""

    def __init__(self, service: Service, tenant: str, pause_s: float = 0.002) -> None:
        super().__init__(daemon=True)
        self._service = service
        self._token = service.doors.token(tenant, CHECKER)
        self._pause_s = pause_s
        self._go = threading.Event()
        self._idle = threading.Event()
        self._ended = False
        self._body: Any = None
        self.asked: list[Asked] = []
        self.start()

    def ask_about(self, customer: str) -> None:
        """Begin to ask about this customer."""
        self.asked = []
        self._body = {
            "subject": {"type": "customer", "id": customer},
            "action": {"name": "sell"},
            "resource": {"type": "territory", "id": "CN/31", "properties": {"product": "tea"}},
        }
        self._idle.clear()
        self._go.set()

    def pause(self) -> list[Asked]:
        """Ask no more; return what was asked, once the last question is answered."""
        self._go.clear()
        assert self._idle.wait(PATIENCE_S), "a check was never answered"
        return self.asked

    def until(self, allowed: bool, since: float = 0.0) -> None:
        """Return once a check sent after `since` was answered so."""
        end = time.monotonic() + PATIENCE_S
        while not any(one.sent > since and one.allowed is allowed for one in self.asked):
            assert time.monotonic() < end, f"never answered {allowed}"
            time.sleep(0.002)

    def end(self) -> None:
        self._ended = True
        self._go.set()
        self.join(PATIENCE_S)

    def run(self) -> None:
        while True:
            if not self._go.is_set():
                self._idle.set()
                self._go.wait()
            if self._ended:
                return
            sent = time.monotonic()
            said = self._service.say("POST", "/access/v1/evaluation", self._token, self._body)
            allowed = said.document["decision"] if said.status == 200 else None
            self.asked.append(Asked(sent, allowed))
            time.sleep(self._pause_s)
