"""Kinds that do not meet, caused and repaired together: a group takes as long as one kind."""

from __future__ import annotations

from tests.lab.drift import catalog_kinds as catalog
from tests.lab.drift import database_kinds as database
from tests.lab.drift import files_kinds as files
from tests.lab.drift import identity_kinds as identity
from tests.lab.drift import machine_groups
from tests.lab.drift import services_kinds as services
from tests.lab.drift.kinds import Kind

GROUPS: dict[str, list[Kind]] = {
    "servers' records, and nova.conf": [
        database.CHARACTER_SET,
        database.USER_MISSING,
        database.REVOKED,
        database.REVOKED_OF_ALL,
        database.EXTRA,
        database.GRANT_OPTION,
        database.PASSWORD,
        # While something else of its resource is repaired, it is left all the same.
        database.OTHER_USER,
        database.ANOTHER_ACCOUNT,
        identity.EXTRA_ROLE,
        identity.DISABLED,
        identity.EMAIL_CHANGED,
        identity.ROLE_TAKEN,
        identity.DEFAULT_TENANT,
        catalog.DESCRIPTION,
        catalog.URL_CHANGED,
        files.ADDED_THERE,
        files.DOUBLED_THERE,
        files.MOVED_THERE,
        files.OWNER_AND_MODE_THERE,
        files.CRLF_THERE,
        files.NOVA_CONF_GONE,
    ],
    **machine_groups.GROUPS,
}
# The first groups have a kind of each sort. nova-manage asks a schema that is gone for 60 s, each time.
SLOW_GROUPS: dict[str, list[Kind]] = {
    "a password and records that are gone": [
        database.COLLATION,
        identity.PASSWORD,
        catalog.ENDPOINT_GONE,
        files.EMPTIED_THERE,
    ],
    "what hangs together is gone": [
        identity.GONE,
        catalog.SERVICE_GONE,
        services.API_STOPPED,
        files.LINK_THERE,
        files.EMPTIED,
    ],
    "what is left as it is": [
        database.OTHER_USER,
        database.ANONYMOUS_USER,
        database.ANOTHER_ACCOUNT,
        identity.EXTRA_ROLE,
        catalog.SECOND_ENDPOINT,
    ],
    "the schema is gone": [database.SCHEMA_GONE],
    **machine_groups.SLOW_GROUPS,
}
