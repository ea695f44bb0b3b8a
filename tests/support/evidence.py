"""Short ways to put files into an evidence store and to look at what lies there."""

import os
from pathlib import Path

from api.evidence import EvidenceStore, StoredFile
from api.key_cache import SubjectKey
from domain.sealing import Unopenable
from tests.support.keys import fresh_id


class Keys:
    """Subject keys in memory; who needs the real ones asks for `key_store`."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], SubjectKey] = {}

    def subject_key(self, tenant: str, subject: str) -> SubjectKey:
        new = SubjectKey(fresh_id(), os.urandom(32))
        return self.keys.setdefault((tenant, subject), new)

    def known_key(self, tenant: str, subject: str, key_id: str) -> bytes:
        key = self.keys.get((tenant, subject))
        if key is None or key.id != key_id:
            raise Unopenable("sealed.forged")
        return key.key


def pdf(size: int) -> bytes:
    """A file of so many bytes that begins as a PDF does and in which no two chunks are alike."""
    numbers = b"".join(b"%7d\n" % number for number in range(size // 8 + 1))
    return (b"%PDF-1.7\n" + numbers)[:size]


def put(store: EvidenceStore, content: bytes, tenant: str, subject: str) -> StoredFile:
    return store.put(tenant, subject, [content], "application/pdf")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def read(store: EvidenceStore, tenant: str, subject: str, file_id: str) -> bytes:
    return b"".join(store.open(tenant, subject, file_id))
