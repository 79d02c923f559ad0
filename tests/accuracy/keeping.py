"""docs/accuracy.json and the page made of it, which `accuracy` and `kernels` both add to."""

from __future__ import annotations

import os

from tests.accuracy import page, results
from tests.accuracy.programs import TOP

STORE = TOP / "docs" / "accuracy.json"
PAGE = TOP / "docs" / "ACCURACY.md"


def keep(book: results.Book) -> None:
    """Add results to those that are kept, and write the page anew.

    Raises:
        ValueError: the file of those that are kept is not one of ours.
    """
    kept = results.load(STORE) if STORE.exists() else results.Book()
    results.save(STORE, results.merge(kept, book))
    PAGE.write_text(page.document(results.load(STORE)), encoding="utf-8")
    owner = PAGE.parent.stat()
    for path in (STORE, PAGE):  # as the checkout, which root writes into
        os.chown(path, owner.st_uid, owner.st_gid)
