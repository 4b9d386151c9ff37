"""What a provider process makes of its configuration."""

from __future__ import annotations

from nova_infra.access import KEYS, PREFIX, access_from
from nova_infra.provider import _Access


def test_every_input_of_the_provider_is_a_key_that_a_provider_process_reads() -> None:
    assert set(_Access().inputs()) == {PREFIX + key for key in KEYS}


def test_resources_with_the_same_configuration_share_one_access() -> None:
    configuration = {PREFIX + "identity_url": "http://controller:35357/v2.0"}
    assert access_from(configuration.get) is access_from(configuration.get)
    assert access_from({}.get) is not access_from(configuration.get)
