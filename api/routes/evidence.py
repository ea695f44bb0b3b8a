"""Evidence files over HTTP: streamed in, sealed on the way; streamed out for a stated purpose."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Annotated, Final

import msgspec

from api.bodies import Malformed
from api.problems import Answered
from api.routes.operations import Call, Operation, answered
from api.routes.reading import unmasks
from api.shapes import Id
from domain.errors import Refused

SUBJECTS: Final = frozenset({"customer", "person"})


class UploadQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose file it is: `customer:<id>` or `person:<id>`; it is sealed under their key."""

    subject: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(?:customer|person):[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\s\S])",
            examples=["customer:01900000-0000-7000-8000-000000000000"],
        ),
    ]


class FileQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose file it is."""

    subject: Id


async def upload(call: Call) -> Answered:
    """Take a file: the raw body, piece by piece, never whole in memory."""
    question = call.query(UploadQuestion)
    kind, _, subject = question.subject.partition(":")
    if kind not in SUBJECTS:
        raise Refused(f"{kind}.unknown")
    edge = call.services.edge(call.tenant, call.caller.party)
    await call.work(edge.subject, kind, subject)
    media_type = (call.header(b"content-type") or b"").decode("latin-1")
    store = call.services.evidence
    opened = await call.work(store.upload, call.tenant, subject, media_type)
    try:
        async for piece in _pieces(call):
            await call.work(opened.write, piece)
        stored = await call.work(opened.finish)
    finally:
        # Without `finish` nothing is kept; a crash leaves a partial file that is swept later.
        opened.__exit__()
    document = {
        "file": stored.id,
        "subject": subject,
        "sha256": stored.hash,
        "size": stored.size,
        "media_type": stored.media_type,
    }
    location = f"/v1/evidence/{stored.id}?subject={subject}".encode()
    return answered(document, 201, [(b"location", location)])


async def _pieces(call: Call) -> AsyncGenerator[bytes]:
    if call.header(b"content-encoding") not in (None, b"identity"):
        raise Malformed("body.encoding")
    while True:
        message = await call.receive()
        if message["type"] == "http.disconnect":
            raise Malformed("body.cut")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body", False):
            return


async def download(call: Call) -> None:
    """Give a file out, for a purpose, after the access log has its row."""
    question = call.query(FileQuestion)
    if not await unmasks(call, question.subject):
        raise Refused("purpose.missing")
    store, name = call.services.evidence, call.part("file")
    stored = await call.work(store.find, call.tenant, question.subject, name)
    chunks: Iterator[bytes] = await call.work(store.open, call.tenant, question.subject, name)
    await call.send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", stored.media_type.encode()),
                (b"content-length", str(stored.size).encode()),
                (b"content-disposition", b"attachment"),
            ],
        }
    )
    while chunk := await call.work(next, chunks, b""):
        await call.send({"type": "http.response.body", "body": chunk, "more_body": True})
    await call.send({"type": "http.response.body", "body": b""})


OPERATIONS: Final = (
    Operation(
        name="evidence.upload",
        method="POST",
        path="/v1/evidence",
        scope="grants:request",
        also=("grants:verify", "grants:approve", "grants:supervise", "customers"),
        summary="Store a file of evidence, sealed under its subject's key",
        summary_zh="存储证据文件，以其主体的密钥封存",
        query=UploadQuestion,
        raw_body="The file itself: PDF, JPEG, PNG, audio or plain text, as its Content-Type says.",
        answer="What an `evidence` entry of a command needs.",
        created=True,
        handle=upload,
    ),
    Operation(
        name="evidence.download",
        method="GET",
        path="/v1/evidence/{file}",
        scope="personal:read",
        summary="Read a file of evidence, for a stated purpose",
        summary_zh="按说明的用途读取证据文件",
        query=FileQuestion,
        unmasks=True,
        media_type="application/octet-stream",
        answer="The file as it was handed in.",
        handle=download,
    ),
)
