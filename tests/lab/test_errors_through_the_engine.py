"""What a user of `pulumi up` sees when something refuses: the resource's name and our sentence; no traceback and no secret.

One small program with a resource for each cause. tests/integration makes many more causes happen, without the engine.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.error_rows import assert_printed
from tests.nodes import ROOT, Lab, lab_state

pytestmark = [pytest.mark.lab, pytest.mark.engine]

SECRET = "lab-hunter2-secret"
PROGRAM = """
import os
import nova_infra
import pulumi

lab, secret = os.environ["LAB_STATE"], os.environ["LAB_SECRET"]
ssh = nova_infra.SSHArgs(
    private_key_file=f"{lab}/id_ed25519", known_hosts_file=f"{lab}/known_hosts", password=secret, sudo_password=secret
)
compute1 = {"host": os.environ["LAB_COMPUTE1"], "user": "ubuntu"}
access = nova_infra.Provider(
    "access",
    ssh=ssh,
    controller=nova_infra.ControllerArgs(host=os.environ["LAB_CONTROLLER"], user="ubuntu"),
    database=nova_infra.DatabaseServerArgs(password=secret),
)
opts = pulumi.ResourceOptions(provider=access)
database = nova_infra.DatabaseArgs(name="novainfratest", user="novainfratest", password=secret, on_delete="drop")
nova_infra.Database("the-database", database, opts)
packages = nova_infra.NodePackagesArgs("compute1", compute1, {"no-such-package": "present"})
nova_infra.NodePackages("the-packages", packages, opts)
another = {**compute1, "host_key": os.environ["LAB_OTHER_KEY"]}
packages = nova_infra.NodePackagesArgs("compute1", another, {"novainfratest": "present"})
nova_infra.NodePackages("the-stranger", packages, opts)
"""


@pytest.fixture(scope="module")
def printed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `pulumi up` prints for the program; nothing is made."""
    folder, backend = tmp_path_factory.mktemp("program"), tmp_path_factory.mktemp("backend")
    runtime = f"runtime: {{name: python, options: {{virtualenv: {ROOT / '.venv'}}}}}"
    Path(folder, "Pulumi.yaml").write_text(f"name: refused\n{runtime}\n")
    Path(folder, "__main__.py").write_text(PROGRAM)
    environment = {
        **os.environ,
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_CONFIG_PASSPHRASE": "of this test",
        "PULUMI_STACK": "refused",
        "NO_COLOR": "1",
        "PYTHONPATH": str(ROOT),
        "LAB_STATE": str(lab_state()),
        "LAB_SECRET": SECRET,
        "LAB_CONTROLLER": lab.address("controller"),
        "LAB_COMPUTE1": lab.address("compute1"),
        # A key that is not the machine's: the one that logs in.
        "LAB_OTHER_KEY": (lab_state() / "id_ed25519.pub").read_text().rsplit(" ", 1)[0],
    }
    # The lab's own settings are of another project.
    up = (
        f". ./activate && unset PULUMI_OPTION_CONFIG_FILE && cd {folder} && pulumi stack init refused --non-interactive >/dev/null && "
        "exec pulumi up --yes --skip-preview --non-interactive --continue-on-error"
    )
    ours = "/var/lib/nova-infra"
    there = lab.inside("compute1", f"ls -d {ours} 2>/dev/null; true")
    done = subprocess.run(
        ["bash", "-c", up],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    # The state knows nothing that destroy could take away; the node's lock has been taken.
    if not there:
        lab.inside("compute1", f"rm -r {ours}")
    text = done.stdout + done.stderr
    assert done.returncode != 0, text
    return text


def said_of(printed: str, resource: str) -> str:
    """What stands under a resource's name among the diagnostics."""
    diagnostics = printed.partition("Diagnostics:")[2]
    parts = re.split(r"^  (?=\S.* \(.*\):$)", diagnostics, flags=re.MULTILINE)
    return "\n".join(part for part in parts if f"({resource}):" in part.splitlines()[0])


def test_a_password_that_mariadb_refuses_is_said_under_the_databases_name(printed: str) -> None:
    assert_printed("MariaDB refuses the password", said_of(printed, "the-database"))


def test_a_package_that_apt_does_not_have_is_said_under_the_packages_name(printed: str) -> None:
    assert_printed("No such package", said_of(printed, "the-packages"))


def test_a_host_key_that_is_not_the_trusted_one_is_said_under_its_resources_name(printed: str) -> None:
    assert_printed("Wrong host key", said_of(printed, "the-stranger"))


def test_nobody_reads_a_traceback_or_a_secret(printed: str) -> None:
    assert "Traceback" not in printed
    assert 'File "' not in printed
    assert SECRET not in printed
