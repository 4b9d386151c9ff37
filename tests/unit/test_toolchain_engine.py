"""toolchain/engine decides where the Pulumi engine comes from. Stand-ins for pulumi, curl and go."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST_PROGRAMS = ("pulumi-language-python", "pulumi-language-python-exec", "pulumi-resource-pulumi-python")
PINNED = "3.259.0"

NO_NETWORK = "exit 7"
# What Pulumi's installer does with its options.
INSTALLER = r"""
out=
while [ $# -gt 0 ]; do case $1 in --output) out=$2; shift ;; esac; shift; done
cat >"$out" <<'END'
#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in --version) version=$2; shift ;; --install-root) root=$2; shift ;; esac
    shift
done
mkdir -p "$root/bin"
for program in pulumi pulumi-language-python pulumi-language-python-exec pulumi-resource-pulumi-python; do
    printf '#!/bin/sh\necho v%s\n' "$version" >"$root/bin/$program"
    chmod +x "$root/bin/$program"
done
END
"""
# A go that answers what the scripts ask, and "builds" in the way that the rest of its text says.
GO = r"""
case $1 in
env) echo go1.25.11; exit ;;
list) echo "$SDK"; exit ;;
esac
while [ "$1" != -o ]; do shift; done
out=$2
"""
GO_BUILDS = GO + (
    f"""for program in pulumi pulumi-language-python; do
    printf '#!/bin/sh\\necho v{PINNED}\\n' >"$out$program"
    chmod +x "$out$program"
done"""
)


@dataclass
class Machine:
    """A copy of toolchain/ and a PATH with the system's tools and our stand-ins."""

    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "cache" / "engine"

    def program(self, name: str, text: str, folder: str = "bin") -> None:
        path = self.folder / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def pulumi(self, version: str, folder: str = "bin") -> None:
        self.program("pulumi", f"echo v{version}", folder)
        for name in HOST_PROGRAMS:
            self.program(name, "exit 0", folder)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder}/bin:{self.folder}/system",
            "HOME": str(self.folder),
            "NOVA_INFRA_CACHE": str(self.folder / "cache"),
            "SDK": str(self.folder / "sdk"),
        }

    @property
    def command(self) -> str:
        return str(self.folder / "toolchain" / "engine")

    def engine(self, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.command],
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    shutil.copytree(ROOT / "toolchain", tmp_path / "toolchain", ignore=shutil.ignore_patterns(".engine-path"))
    # The system's tools, whatever of pulumi, go and curl this machine has besides.
    (tmp_path / "system").mkdir()
    tools = "awk bash cat chmod cut dirname flock grep head install mkdir mktemp mv readlink rm sed setsid"
    for name in [*tools.split(), "sha256sum", "sh", "sleep", "sort", "tail", "timeout", "uname"]:
        found = shutil.which(name)
        assert found, f"{name} is not on this machine"
        (tmp_path / "system" / name).symlink_to(found)
    for script in ("cmd/pulumi-language-python-exec", "dist/pulumi-resource-pulumi-python", "dist/x.cmd"):
        (tmp_path / "sdk" / "python" / script).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sdk" / "python" / script).write_text("#!/bin/sh\n")
    made = Machine(tmp_path)
    made.program("curl", NO_NETWORK)
    return made


def answered(run: subprocess.CompletedProcess[str]) -> Path:
    assert run.returncode == 0, run.stderr
    return Path(run.stdout.splitlines()[-1])


def one_sentence(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 1
    assert run.stdout == ""
    *steps, last = run.stderr.splitlines()
    assert all(line.startswith(("==> ", "    ")) for line in steps)
    assert last.startswith("error: ")
    assert last.endswith(".")
    return last


def test_a_new_enough_pulumi_on_path_is_used(machine: Machine) -> None:
    machine.pulumi("3.250.0")
    run = machine.engine()
    assert (run.returncode, run.stdout, run.stderr) == (0, "\n", "")
    assert not machine.cache.exists()
    assert (machine.folder / "toolchain" / ".engine-path").read_text() == "\n"


@pytest.mark.parametrize("version", ["3.249.9", "2.300.0", "3.99.0"])
def test_an_older_one_is_not(machine: Machine, version: str) -> None:
    machine.pulumi(version)
    machine.program("go", GO_BUILDS)
    run = machine.engine()
    assert answered(run).parent.parent == machine.cache
    assert f"is version {version} and 3.250.0 is needed" in run.stderr


def test_one_without_a_language_host_is_not(machine: Machine) -> None:
    machine.program("pulumi", "echo v3.260.0")
    machine.program("go", GO_BUILDS)
    run = machine.engine()
    assert answered(run).parent.parent == machine.cache
    assert "comes without pulumi-language-python" in run.stderr


def test_the_installer_comes_before_the_build(machine: Machine) -> None:
    machine.program("curl", INSTALLER)
    machine.program("go", "exit 99")
    folder = answered(machine.engine())
    assert folder.parent.name.startswith(f"installer-{PINNED}-")
    assert {path.name for path in folder.iterdir()} == {"pulumi", *HOST_PROGRAMS}


def test_a_page_in_place_of_the_installer_is_not_run(machine: Machine) -> None:
    machine.program("curl", 'while [ "$1" != --output ]; do shift; done; echo "<html>" >"$2"')
    machine.program("go", GO_BUILDS)
    assert answered(machine.engine()).parent.name.startswith("modules-")


def test_a_failing_installer_is_named_and_the_engine_is_built(machine: Machine) -> None:
    page = "#!/bin/sh\\necho the disk is on fire\\nexit 1\\n"
    machine.program("curl", f'while [ "$1" != --output ]; do shift; done; printf "{page}" >"$2"')
    machine.program("go", GO_BUILDS)
    run = machine.engine()
    assert answered(run).parent.name.startswith("modules-")
    assert "the installer failed (the disk is on fire;" in run.stderr


def test_the_engine_is_built_once_and_found_again(machine: Machine) -> None:
    machine.program("go", GO_BUILDS)
    first = machine.engine()
    assert {path.name for path in answered(first).iterdir()} == {"pulumi", *HOST_PROGRAMS}
    # As in a shell that has sourced ./activate: our own engine on PATH is not the user's.
    again = machine.engine(PATH=f"{answered(first)}:{machine.environment['PATH']}")
    assert (again.stdout, again.stderr) == (first.stdout, "")
    assert (machine.folder / "toolchain" / ".engine-path").read_text() == first.stdout


def test_other_pins_are_another_engine(machine: Machine) -> None:
    machine.program("go", GO_BUILDS)
    first = answered(machine.engine())
    with (machine.folder / "toolchain" / "language-host" / "go.sum").open("a") as sums:
        sums.write("\n")
    assert answered(machine.engine()) != first


def test_without_go_it_says_so(machine: Machine) -> None:
    assert "there is no go on PATH; install Go 1.25.11 or newer" in one_sentence(machine.engine())


def test_an_old_go_is_named(machine: Machine) -> None:
    machine.program("go", "echo go1.19.8")
    assert "needs Go 1.25.11 or newer and the go on PATH is 1.19.8" in one_sentence(machine.engine())


@pytest.mark.parametrize(
    ("go_says", "sentence"),
    [
        (
            'a@v1: Get "http://127.0.0.1:1/a.zip": dial tcp 127.0.0.1:1: connect: connection refused',
            "set GOPROXY to a module proxy",
        ),
        ("module lookup disabled by GOPROXY=off", "set GOPROXY to a module proxy"),
        ("a@v1: reading http://127.0.0.1:1/a.zip: 403 Forbidden", "set GOPROXY to a module proxy"),
        ("write /tmp/a.out: no space left on device", "There is no room to build the engine"),
        ("go: go.mod requires go >= 1.99 (running go 1.25; GOTOOLCHAIN=local)", "needs Go 1.25.11"),
        ("x.go:1:2: syntax error", "could not be built from Go modules"),
    ],
)
def test_a_failed_build_is_one_sentence_with_what_go_said(machine: Machine, go_says: str, sentence: str) -> None:
    machine.program("go", GO + f"echo 'go: downloading a v1' >&2\necho '{go_says}' >&2\nexit 1")
    said = one_sentence(machine.engine())
    assert sentence in said
    assert f"(go said: {go_says}" in said
    assert "or put Pulumi 3.250.0 or newer on PATH" in said


def test_an_interrupted_build_ends_with_all_it_started_and_can_be_run_again(machine: Machine) -> None:
    note = machine.folder / "pid"
    machine.program("go", GO + f"echo $$ >{note}.new; mv {note}.new {note}; sleep 60; true")
    run = subprocess.Popen(
        [machine.command], env=machine.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until(note.exists)
    run.send_signal(signal.SIGTERM)
    assert run.wait(10) == 128 + signal.SIGTERM
    builder = int(note.read_text())
    until(lambda: not alive(builder))
    assert not list(machine.cache.glob("work.*"))
    assert not list(machine.cache.glob("modules-*/bin"))

    machine.program("go", GO_BUILDS)
    assert answered(machine.engine()).is_dir()


def test_two_runs_at_once_build_one_engine(machine: Machine) -> None:
    machine.program("go", GO_BUILDS.replace("out=$2\n", f"out=$2; echo built >>{machine.folder}/built; sleep 0.5\n"))
    runs = [
        subprocess.Popen([machine.command], env=machine.environment, stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    answers = {run.communicate(timeout=60)[0] for run in runs}
    assert len(answers) == 1
    # One for each of the two modules.
    assert (machine.folder / "built").read_text().count("built") == 2


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
