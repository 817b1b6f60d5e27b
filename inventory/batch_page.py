"""The page of an import: how far it is, which lines were left out, and its being undone."""

from collections.abc import Iterator
from typing import Any

from django.http import JsonResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from inventory.imports.running import MOST_NAMED
from inventory.imports.undoing import can_undo
from inventory.models import BatchState, ImportFailure, KeyBatch, KeyUpload, LeftOutReason

MOVING = {BatchState.QUEUED, BatchState.RUNNING, BatchState.UNDOING}
WORDS = {
    BatchState.QUEUED: gettext_lazy("Waiting for its turn"),
    BatchState.RUNNING: gettext_lazy("Being imported. What is in already is for sale already."),
    BatchState.DONE: gettext_lazy("Imported"),
    BatchState.FAILED: gettext_lazy("Failed"),
    BatchState.UNDOING: gettext_lazy("Being undone"),
    BatchState.UNDONE: gettext_lazy("Undone"),
}


def progress_of(batch: KeyBatch) -> dict[str, Any]:
    """What the page shows, and asks for again while it is moving."""
    state = BatchState(batch.state)
    return {
        "state": state,
        "moving": state in MOVING,
        "words": WORDS[state],
        "why": ImportFailure(batch.failure).label if batch.failure and state == BatchState.FAILED else "",
        "percent": _percent(batch),
        "figures": [
            (_("lines read"), batch.lines),
            (_("imported"), batch.imported),
            (_("duplicates left out"), batch.duplicates),
            (_("lines refused"), batch.refused),
            *([(_("taken back"), batch.undone)] if batch.undone else []),
        ],
        "remains": _remains(batch) if state == BatchState.UNDONE else "",
        "left_out": batch.duplicates + batch.refused,
        "most_named": MOST_NAMED,
        "undoable": can_undo(batch),
    }


def progress_numbers(batch: KeyBatch) -> JsonResponse:
    progress = progress_of(batch)
    body = {
        "state": progress["state"],
        "percent": progress["percent"],
        "figures": render_to_string("admin/inventory/_batch_figures.html", {"progress": progress}),
    }
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


def left_out_lines(batch: KeyBatch) -> StreamingHttpResponse:
    """A CSV of line and reason, with a mark by which spreadsheets know that it is UTF-8."""
    reasons = {reason: str(reason.label) for reason in LeftOutReason}
    headings = _("line number"), _("reason")

    def rows() -> Iterator[str]:
        yield "\ufeff" + ",".join(headings) + "\r\n"
        lines = batch.left_out_lines.order_by("line").values_list("line", "reason")
        for line, reason in lines.iterator(chunk_size=5000):
            yield f"{line},{reasons[LeftOutReason(reason)]}\r\n"

    response = StreamingHttpResponse(rows(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="import-{batch.pk}-left-out.csv"'
    response["Cache-Control"] = "no-store"
    return response


def _percent(batch: KeyBatch) -> int:
    """Of the upload in bytes, or of the keys to take back; 100 once nothing moves any more."""
    if batch.state == BatchState.UNDOING:
        return 100 * batch.undone // max(1, batch.imported)
    upload = KeyUpload.objects.filter(batch=batch).only("position", "size").first()
    return 100 * upload.position // max(1, upload.size) if upload else 100


def _remains(batch: KeyBatch) -> str:
    count = batch.imported - batch.undone
    if not count:
        return _("All of its keys are taken back.")
    return ngettext(
        "%(count)d key remains: it is sold, void, seen by staff, or promised to an open order.",
        "%(count)d keys remain: they are sold, void, seen by staff, or promised to open orders.",
        count,
    ) % {"count": count}
