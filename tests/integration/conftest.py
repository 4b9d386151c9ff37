"""The resources' own code against the lab's servers and machines, without the engine."""

from __future__ import annotations

import pytest

from nova_infra.access import Access
from tests.nodes import Lab, lab_state, setting


@pytest.fixture(scope="module")
def access(lab: Lab) -> Access:
    """What nova_infra.Provider hands to a provider process for the stack `lab`."""
    configuration = {
        "ssh_private_key_file": str(lab_state() / "id_ed25519"),
        "ssh_known_hosts_file": str(lab_state() / "known_hosts"),
        "controller_name": "controller",
        "controller_host": lab.address("controller"),
        "controller_user": "ubuntu",
        "identity_url": "http://controller:35357/v2.0",
        "identity_username": "admin",
        "identity_tenant": "admin",
        "identity_password": setting("ADMIN_PASS"),
        "identity_region": "regionOne",
        "database_user": "root",
        "database_password": setting("DB_ROOT_PASS"),
    }
    return Access(lambda key: configuration.get(key, ""))
