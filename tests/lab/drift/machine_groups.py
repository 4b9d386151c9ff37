"""Kinds of machines that do not meet, caused and repaired together, and one of the catalog that stands in no other group."""

from __future__ import annotations

from tests.lab.drift import catalog_kinds as catalog
from tests.lab.drift import files_kinds as files
from tests.lab.drift import machine_kinds as machine
from tests.lab.drift import packages_kinds as packages
from tests.lab.drift import services_kinds as services
from tests.lab.drift.kinds import Kind

# What a package's own scripts have started nobody has noted, so an edit of nova.conf after that is drift of its service: another version
# comes last, and where nova.conf is not touched. The processor has virtualization from one group to the next. What is to restart nothing on
# compute1 stands in no group with what restarts nova-compute there.
GROUPS: dict[str, list[Kind]] = {
    "what is left as it is on machines": [
        files.COMMENTED,
        files.COMMENTED_THERE,
        services.PUT_BACK,
        packages.HELD_BACK,
        services.BY_HAND,
        services.RECORD_DISABLED,
        services.RECORD_DOUBLED,
        machine.CLOCK,
    ],
    "options": [*files.OPTIONS, files.OWNER_AND_MODE, files.GONE, packages.REMOVED, services.REMOVAL_CUT_OFF],
}
SLOW_GROUPS: dict[str, list[Kind]] = {
    "services": [
        services.STOPPED,
        services.DISABLED_AT_BOOT,
        services.LINKS_REMOVED,
        services.HAS_READ_SOMETHING_ELSE,
        services.ANOTHER_CONFIGURATION,
        files.CRLF,
        files.OF_NOVA_COMPUTE_CONF,
        files.TAKEN_OUT_THERE,
        packages.HALF_CONFIGURED,
        catalog.URLS_OF_CLIENTS,
    ],
    "whole files": [files.LINK, machine.GAINED],
    "what crashes": [services.CRASHING, machine.LOST, packages.REMOVED_WITH_ITS_SERVICE],
    "another version, the schema, the record": [
        packages.ANOTHER_VERSION,
        services.RECORD_GONE,
        services.SCHEMA_BEHIND,
        services.SQLITE_BACK,
    ],
}
