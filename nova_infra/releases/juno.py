"""Juno (2014.2) on Ubuntu 14.04, from "OpenStack Installation Guide for Ubuntu 14.04", chapter 5."""

from __future__ import annotations

from .release import NOVA_COMPUTE_CONF, NOVA_CONF, Ownership, Port, Release, Role

_CONTROLLER_SERVICES = (
    # The conductor first: the others call it as soon as they start.
    "nova-conductor",
    "nova-cert",
    "nova-consoleauth",
    "nova-scheduler",
    "nova-api",
    "nova-novncproxy",
)

JUNO = Release(
    name="juno",
    controller=Role(
        packages=(
            "nova-api",
            "nova-cert",
            "nova-conductor",
            "nova-consoleauth",
            "nova-novncproxy",
            "nova-scheduler",
            "python-novaclient",
        ),
        services=_CONTROLLER_SERVICES,
        files={NOVA_CONF: "controller/nova.conf"},
        reads=dict.fromkeys(_CONTROLLER_SERVICES, (NOVA_CONF,)),
    ),
    compute=Role(
        packages=("nova-compute", "sysfsutils"),
        services=("nova-compute",),
        files={NOVA_CONF: "compute/nova.conf", NOVA_COMPUTE_CONF: "compute/nova-compute.conf"},
        # The Upstart job and the SysV script start it with both --config-file options.
        reads={"nova-compute": (NOVA_CONF, NOVA_COMPUTE_CONF)},
    ),
    ownership=Ownership("root", "nova", "640"),
    variables_ownership=Ownership("root", "root", "600"),
    absent=("/var/lib/nova/nova.sqlite",),
    listed_services=frozenset({"nova-cert", "nova-conductor", "nova-consoleauth", "nova-scheduler", "nova-compute"}),
    ports={
        "nova-api": Port(8774, "osapi_compute_listen_port", "osapi_compute_listen"),
        "nova-novncproxy": Port(6080, "novncproxy_port", "novncproxy_host"),
    },
    api_service="nova-api",
    # Juno's nova/service.py: `enabled_apis`, and NAME_listen_port, NAME_listen of each.
    apis={
        "ec2": Port(8773, "ec2_listen_port", "ec2_listen"),
        "metadata": Port(8775, "metadata_listen_port", "metadata_listen"),
    },
)
