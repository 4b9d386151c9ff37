"""What Service and Endpoint share: a record of Keystone's catalog, which v2.0 can make and delete and not change.

An update makes the new record, then deletes ours. It may be cut off between any two calls: what is being replaced is noted
before, so that the next run takes up the record that the first one made, and never makes one more.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from ..catalog import EndpointRecord, ServiceRecord
from .lifecycle import REMARKS, Lifecycle, State

R = TypeVar("R", bound=ServiceRecord | EndpointRecord)


class CatalogRecord(Lifecycle, Generic[R]):
    """A record that is known by a natural key and has some content besides.

    Of several records with our key one that fits is taken, else the first; the others are shown and left alone. A record that was there
    before our first create stays on destroy, with the content that it had then.
    """

    contents: tuple[str, ...]
    """The inputs besides the key."""
    uuid: str
    """The output that holds Keystone's UUID."""

    # ------------------------------------------------------------ what a record implements

    @abstractmethod
    def _records(self, state: State) -> list[R]:
        """The records of this key, sorted by UUID."""

    @abstractmethod
    def _create(self, wanted: State, old: R | None) -> R:
        """Makes a record; `old` is the one whose place it takes."""

    @abstractmethod
    def _carry_over(self, old: R, new: R) -> None:
        """Gives the new record what hangs on the old one, unless it has that already."""

    @abstractmethod
    def _delete(self, uuid: str) -> None:
        """Deletes a record."""

    @abstractmethod
    def _remarks(self, ours: R, records: Iterable[R], state: State) -> list[str]:
        """What is to be said of records beside ours."""

    @abstractmethod
    def note_of(self, state: State) -> str:
        """The name of the note about what was there."""

    # ------------------------------------------------------------ lifecycle

    def make(self, wanted: State) -> dict[str, Any]:
        """Adopts a record of this key and makes it as wanted, or makes one; never a second of ours.

        Where a run was here before, only what it has left is ours: a record that came later is somebody's, and stays as it is.
        """
        records, name = self._records(wanted), self.note_of(wanted)
        now = self._first_note(self._fitting(records, wanted) or next(iter(records), None), records, wanted)
        note = json.loads(self.access.note_first(name, json.dumps(now)))
        mine = records if note == now else [each for each in records if self._is_of_the_note(each, note, wanted)]
        if note != now and not mine:
            # Ours, or the one that was there before us, is gone. One that others have is adopted now where nothing has to change.
            mine = [each for each in records if self._fits(each, wanted)]
            note = self._first_note(next(iter(mine), None), records, wanted)
            self.access.note(name, json.dumps(note))
        mine = [each for each in mine if each.id not in note["others"]]
        record = self._fitting(mine, wanted) or next(iter(mine), None)
        if "replacing" in note:
            # A run that was cut off has noted which one it was replacing.
            record = next((each for each in mine if each.id == note["replacing"]["old"]), record)
        return self._become(record, records, wanted, note)

    def _first_note(self, record: R | None, records: list[R], wanted: State) -> dict[str, Any]:
        """What there was before us: `record`, which is adopted, and the others."""
        if record is None:
            return self._made_by_us(records, wanted)
        others = [each.id for each in records if each.id != record.id]
        content = self._content(record)
        note: dict[str, Any] = {"adopted": True, "found": content, "others": others, "says": content}
        if not self._fits(record, wanted):
            note["replacing"] = self._replacing(record, records, wanted)
        return note

    def _made_by_us(self, records: list[R], wanted: State) -> dict[str, Any]:
        others = [each.id for each in records]
        return {"adopted": False, "found": {}, "others": others, "says": self._content(wanted)}

    def _is_of_the_note(self, record: R, note: State, wanted: State) -> bool:
        """Whether it is the record of an earlier run: by what that has noted of it, or because it is what is wanted now.

        By its UUID alone it cannot be known: an update of its Service gives it another one.
        """
        if record.id in note["others"]:
            return False
        if record.id == note.get("replacing", {}).get("old"):
            return True
        replaced = self._left_by_a_run_that_died([record], note)
        # A note of an earlier version does not say what ours says.
        return bool(replaced) or self._content(record) in (self._content(wanted), note["found"], note.get("says"))

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The recorded record, or another of the same key when that is gone."""
        records = self._records(known)
        record = self._ours(records, known)
        if record is None:
            return None
        outputs = {**self._outputs(record, records, known), REMARKS: self._remarks(record, records, known)}
        return {**known, **self._content(record)}, outputs

    def change(self, known: State, wanted: State) -> dict[str, Any]:
        """Makes the new record first, then deletes the old one."""
        records = self._records(known)
        record = self._ours(records, known)
        note = self._noted(known, record, wanted)
        if record is None:
            left = self._left_by_a_run_that_died(records, note)
            record = self._fitting(left, wanted) or next(iter(left), None)
        if record is None and note["adopted"]:
            # Somebody deleted the one that was there before us: the one that is made now is ours.
            note = self._made_by_us(records, wanted)
            self.access.note(self.note_of(wanted), json.dumps(note))
        return self._become(record, records, wanted, note)

    def remove(self, known: State) -> None:
        """Deletes our record; one that was there before us gets its earlier content back."""
        records = self._records(known)
        record = self._ours(records, known)
        before = {**known, **(known.get("found") or {})}
        note = self._noted(known, record if known.get("adopted") else None, before)
        if not note["adopted"]:
            ours = [record] if record else []
            for uuid in dict.fromkeys(each.id for each in [*self._left_by_a_run_that_died(records, note), *ours]):
                self._delete(uuid)
        elif record is not None:
            self.access.keep(f"{self.kind} {self.name_of(known)}", "the record stays: it was there before us")
            self._become(record, records, {**known, **note["found"]}, note)
        self.access.forget_note(self.note_of(known))

    # ------------------------------------------------------------ replacing

    def _become(self, old: R | None, records: list[R], wanted: State, note: dict[str, Any]) -> dict[str, Any]:
        """Makes the record as wanted. The note comes first; the old one goes when all that hangs on it hangs on the new one."""
        left = [each for each in self._left_by_a_run_that_died(records, note) if old is None or each.id != old.id]
        if old is not None and self._fits(old, wanted):
            new, gone = old, left
        else:
            new, gone = self._fitting(left, wanted) or self._made(old, records, left, wanted, note), left
            if old is not None:
                self._carry_over(old, new)
                gone = [*left, old]
        deleted = {each.id for each in gone if each.id != new.id}
        for uuid in sorted(deleted):
            self._delete(uuid)
        if note.pop("replacing", None):
            self.access.note(self.note_of(wanted), json.dumps({**note, "says": self._content(wanted)}))
        return self._outputs(new, [each for each in records if each.id not in deleted], note)

    def _made(self, old: R | None, records: list[R], left: list[R], wanted: State, note: dict[str, Any]) -> R:
        # Those that a run left behind hold nothing that the old one has not, and nobody knows them once the note is written anew.
        while left:
            self._delete(left[0].id)
            records.remove(left.pop(0))
        if old is not None:
            replacing = self._replacing(old, records, wanted)
            if note.get("replacing") != replacing:
                note["replacing"] = replacing
                self.access.note(self.note_of(wanted), json.dumps(note))
        return self._create(wanted, old)

    def _replacing(self, old: R, records: Iterable[R], wanted: State) -> dict[str, Any]:
        return {"old": old.id, "before": [each.id for each in records], "by": self._content(wanted)}

    def _left_by_a_run_that_died(self, records: list[R], note: State) -> list[R]:
        replacing = note.get("replacing")
        if not replacing:
            return []
        return [
            each for each in records if each.id not in replacing["before"] and self._content(each) == replacing["by"]
        ]

    def _noted(self, known: State, record: R | None, wanted: State) -> dict[str, Any]:
        """The note, or without one what the state says."""
        others = list(known.get("other_records") or [])
        note = {"adopted": bool(known.get("adopted")), "found": dict(known.get("found") or {}), "others": others}
        if record is not None and not self._fits(record, wanted):
            note["replacing"] = {"old": record.id, "before": [record.id, *others], "by": self._content(wanted)}
        return dict(json.loads(self.access.note_first(self.note_of(known), json.dumps(note))))

    # ------------------------------------------------------------ records

    def _content(self, source: R | State) -> dict[str, Any]:
        if isinstance(source, (ServiceRecord, EndpointRecord)):
            return {key: getattr(source, key) for key in self.contents}
        return {key: source[key] for key in self.contents}

    def _fits(self, record: R, wanted: State) -> bool:
        return self._content(record) == self._content(wanted)

    def _fitting(self, records: Iterable[R], wanted: State) -> R | None:
        return next((each for each in records if self._fits(each, wanted)), None)

    def _ours(self, records: list[R], known: State) -> R | None:
        """The recorded record, or the one that took its place.

        An update of a Service gives all its endpoints new UUIDs, also those of others. Then only a record with the content that we know
        of ours is ours. What remains: when ours is gone, one of somebody else with the very same content is taken for it.
        """
        for record in records:
            if record.id == known.get(self.uuid):
                return record
        # Somebody may have made ours anew. Those that were others' before stay theirs.
        others = known.get("other_records") or []
        renewed = [record for record in records if record.id not in others]
        fitting = self._fitting(renewed, known)
        return fitting if fitting or _some_gone(others, records) else next(iter(renewed), None)

    def _outputs(self, record: R, records: Iterable[R], note: State) -> dict[str, Any]:
        return {
            self.uuid: record.id,
            "adopted": bool(note.get("adopted")),
            "found": dict(note.get("found") or {}),
            "other_records": [each.id for each in records if each.id != record.id],
        }


def _some_gone(others: Iterable[str], records: Iterable[ServiceRecord | EndpointRecord]) -> bool:
    """Whether records of others are there no more, at least not under the UUIDs that we know."""
    return not set(others) <= {each.id for each in records}
