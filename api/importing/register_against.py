"""What the rows of a register have against the ledger: names, numbers, rights that are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple

from api.importing.instants import instant
from api.importing.register_columns import IDENTITY, NAME, NUMBER, USCC, Column, compared
from api.importing.register_faults import WHOLE_ROW, Problem
from api.importing.register_overlaps import Taken
from api.importing.register_plan import Plan
from api.importing.register_repeats import reservation, told
from api.importing.register_spool import Entry, RegisterSpool
from api.importing.running import GRANT_NUMBER
from api.importing.site import Site
from api.normal_forms import normal_form
from domain import exclusions
from domain.commands.customers import IDENTITY_CLAIM, NUMBER_CLAIM, USCC_CLAIM
from domain.customers import Customer, status_at
from domain.exclusions import exclusion_stream
from domain.view import MAX_MERGE_STEPS

CLAIMS: Final = {"organization": USCC_CLAIM, "person": IDENTITY_CLAIM}
"""Form of a customer -> the claim by which it is found."""


class Known(NamedTuple):
    """A customer that the ledger has: under which id its rights are, and its state."""

    id: str
    customer: Customer


class Against:
    """Holds rows against the ledger, some at a time: refuses, marks as present, finds customers.

    What is told here was so when it was looked at; what must never be, the append refuses."""

    def __init__(self, site: Site, plan: Plan, spool: RegisterSpool) -> None:
        self._site = site
        self._plan = plan
        self._spool = spool
        self._taken: Taken[str] | None = None

    def present(self, entries: Sequence[Entry]) -> None:
        """Mark the rows that an earlier run wrote; `changed` is asked when all were looked at."""
        written = self._written(entries)
        for entry in entries:
            said = written.get(entry.row)
            if said is None or entry.state != "sound":
                continue
            key = self._site.namer.key(key_of(entry, self._plan))
            if said == fingerprint_of(entry, self._plan, self._site):
                # Of rows that say the same one alone is there; the others repeat it.
                if self._spool.run("INSERT OR IGNORE INTO present VALUES (?)", key):
                    self._spool.run("UPDATE rows SET state = 'present' WHERE row = ?", entry.row)
            else:
                self._spool.run("INSERT INTO changed VALUES (?, ?)", entry.row, key)

    def changed(self) -> None:
        """Refuse the rows that say something else than the row that was written; where that row is
        here as well, they repeat it."""
        lost = "SELECT row FROM changed WHERE key NOT IN (SELECT key FROM present)"
        with closing(self._spool.each(lost)) as found:
            for (row,) in found:
                self._keep(Problem(row, WHOLE_ROW, "register.row_changed"))

    def compare(self, entries: Sequence[Entry]) -> None:
        """Look at rows that are not present; the spool knows afterwards what became of them."""
        written = self._written(entries)
        rest = [entry for entry in entries if entry.state != "present"]
        self._numbers([entry for entry in rest if entry.row not in written])
        known = self._customers(rest)
        self._rights([entry for entry in rest if entry.row not in written], known)

    def _written(self, entries: Sequence[Entry]) -> dict[int, bytes]:
        """Return the rows that an earlier run wrote, with what each said then."""
        named = [e for e in entries if e.ident is not None and (whole(e) or e.number is not None)]
        keys = {e.row: self._site.namer.key(key_of(e, self._plan)) for e in named}
        known = self._site.known(list(keys.values()))
        return {row: known[key] for row, key in keys.items() if key in known}

    def _numbers(self, entries: Sequence[Entry]) -> None:
        hashes = {e.row: self._site.hash(GRANT_NUMBER, e.number) for e in entries if e.number}
        taken = self._site.claimed(GRANT_NUMBER, list(hashes.values()))
        for entry in entries:
            if hashes.get(entry.row, b"") in taken:
                self._refuse(entry, NUMBER, "register.number_taken")

    def _customers(self, entries: Sequence[Entry]) -> dict[str, Known]:
        """Return the customers that the ledger has, by what identifies them; refuse rows that
        call one by another name, or whose customer does not stand."""
        site, found, numbered = self._site, dict[str, Known](), set[str]()
        for form, kind in CLAIMS.items():
            idents = {e.ident for e in entries if e.ident is not None and e.form == form}
            numbers = {i: site.hash(NUMBER_CLAIM, customer_number(site, form, i)) for i in idents}
            hashes = {ident: site.hash(kind, ident) for ident in idents}
            # Numbers first: a customer made in between has both, and is found by the second.
            taken = site.claimed(NUMBER_CLAIM, list(numbers.values()))
            streams = site.claimed(kind, list(hashes.values()))
            for ident, keyed_hash in hashes.items():
                known = settled_customer(site, streams.get(keyed_hash))
                if known is not None:
                    found[ident] = known
                elif numbers[ident] in taken:
                    numbered.add(ident)
        names = {ident: self._site.titled(*known) for ident, known in found.items()}
        for entry in entries:
            identity = USCC if entry.form == "organization" else IDENTITY
            if entry.ident in numbered:
                self._refuse(entry, identity, "register.number_of_another")
            known = found.get(entry.ident or "")
            if known is None:
                continue
            name = names[entry.ident or ""]
            if name is not None and entry.compared not in (None, compared(name)):
                shown = name if entry.form == "organization" else "…"
                self._refuse(entry, NAME, "register.name_in_ledger", name=shown)
            status = status_at(known.customer, self._plan.now)
            if status != "confirmed":
                self._refuse(entry, identity, f"register.customer_{status}")
        return found

    def _rights(self, entries: Sequence[Entry], known: dict[str, Known]) -> None:
        """Refuse rows that give what is given already: to this customer, or, of an exclusive kind,
        to anyone."""
        plan = self._plan
        readable = [e for e in entries if whole(e)]
        ids = {known[e.ident or ""].id for e in readable if e.ident in known}
        refs = [f"customer:{one}" for one in sorted(ids)]
        held: dict[str, Taken[tuple[str, str]]] = {}
        for one in self._site.held(refs, plan.body.kind, plan.actions, plan.now) if refs else ():
            taken = held.setdefault(one.customer, Taken(plan.pivot))
            taken.add((one.grant_id, one.number), one.taken)
        for entry in readable:
            own, wanted = self._own(entry), reservation(entry)
            customer = known.get(entry.ident or "")
            mine = None if customer is None else held.get(customer.id)
            for met in () if mine is None else mine.meeting(wanted):
                grant_id, number = met.holder
                if grant_id != own:
                    params = {"number": number, **told(met.shared, plan.zone)}
                    self._refuse_scope(entry, "register.same_in_ledger", params)
                    break
            else:
                self._exclusive(entry, own)

    def _exclusive(self, entry: Entry, own: str) -> None:
        if not self._plan.body.exclusive:
            return
        site, wanted = self._site, reservation(entry)
        for met in self._reserved().meeting(wanted):
            if met.holder == own:
                continue
            other = site.ledgers.load(site.tenant, "grant", met.holder).state
            for taken in exclusions.reservations(other, self._plan.now):
                shared = exclusions.conflict(taken, wanted)
                if shared is not None:
                    params = {"number": other.number, **told(shared, self._plan.zone)}
                    self._refuse_scope(entry, "register.exclusive_in_ledger", params)
                    return

    def _reserved(self) -> Taken[str]:
        """Return what the kind's grants took at the most, read once."""
        if self._taken is None:
            self._taken = Taken(self._plan.pivot)
            stream = exclusion_stream(self._plan.policy.policy)
            state = self._site.ledgers.load(self._site.tenant, "exclusion", stream).state
            for grant_id, took in exclusions.taken(state).items():
                for one in took:
                    self._taken.add(grant_id, one)
        return self._taken

    def _own(self, entry: Entry) -> str:
        return grant_id_of(entry, self._plan, self._site) if whole(entry) else ""

    def _refuse_scope(self, entry: Entry, code: str, params: dict[str, Any]) -> None:
        self._keep(Problem(entry.row, self._plan.scope_place, code, params))

    def _refuse(self, entry: Entry, column: Column, code: str, **params: Any) -> None:
        self._keep(Problem(entry.row, self._plan.place(column), code, params))

    def _keep(self, problem: Problem) -> None:
        """Keep a problem, unless the file itself has one at this cell: run again, the ledger has
        the row that it was told against."""
        said = "SELECT count(*) FROM problems WHERE row = ? AND place = ?"
        if not self._spool.one(said, problem.row, problem.place):
            self._spool.refuse(problem)


def customer_number(site: Site, form: str, ident: str) -> str:
    """Return the number that a register gives to a customer whom it makes.

    It stays when a correction replaces what identified the customer, and so tells that it did."""
    return ident if form == "organization" else f"r-{site.namer.key(ident)[:16]}"


def settled_customer(site: Site, stream: str | None) -> Known | None:
    """Return a customer, or the one it was merged into; None where there is none."""
    for _ in range(MAX_MERGE_STEPS):
        if stream is None:
            return None
        customer: Customer | None = site.ledgers.load(site.tenant, "customer", stream).state
        if customer is None:
            return None
        if customer.merged_into is None:
            return Known(stream, customer)
        stream = customer.merged_into
    return None


def whole(entry: Entry) -> bool:
    """Tell whether of a row everything could be read that a grant is made of."""
    read = (entry.ident, entry.scope, entry.starts, entry.ends)
    return all(one is not None for one in read)


def key_of(entry: Entry, plan: Plan) -> str:
    """Return what a row is called for good: by its customer and number, else by all it grants."""
    return "/".join(_called(entry, plan))


def _called(entry: Entry, plan: Plan) -> Iterator[str]:
    yield from ("register", plan.body.kind)
    if entry.number is not None:
        yield from ("number", str(entry.ident), normal_form(GRANT_NUMBER, entry.number))
    else:
        yield from ("row", *_granted(entry, plan))


def _granted(entry: Entry, plan: Plan) -> Iterator[str]:
    yield from (str(entry.ident), ",".join(plan.actions), str(entry.scope))
    yield from (str(entry.starts), str(entry.ends))


def fingerprint_of(entry: Entry, plan: Plan, site: Site) -> bytes:
    """Return what tells whether a row says the same as when it was imported."""
    name = (str(entry.compared), entry.contact, entry.phone)
    return site.namer.said(key_of(entry, plan), *_granted(entry, plan), *name)


def grant_id_of(entry: Entry, plan: Plan, site: Site) -> str:
    """Return the id of the grant that a row becomes."""
    return site.namer.id(instant(entry.starts or 0), "grant", key_of(entry, plan))
