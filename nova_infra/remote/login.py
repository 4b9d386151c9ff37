"""Who we are on a machine, and whom we trust: keys, agent, passphrases, host keys, as asyncssh takes them.

Files are read at each connection, so that a new key counts at once; what is in them is parsed once in a process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import asyncssh

from ..errors import ConnectionFailed
from ..wording import escaped
from .reason import CONNECT_SECONDS, reason_of

# AES-GCM is one call of the crypto library a packet, where asyncssh puts ChaCha20-Poly1305 together from three; it has none of the
# weakness of the latter (CVE-2023-48795). OpenSSH 6.6 (Ubuntu 14.04) has it; what has not takes another one of the list.
CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
KEEPALIVE_SECONDS = 15


@dataclass(frozen=True)
class Address:
    """Where a machine is reached. `host_key` is a line as ssh-keyscan prints it, without the host (`ssh-ed25519 AAAA...`)."""

    host: str
    port: int = 22
    user: str = "root"
    host_key: str = ""

    def __str__(self) -> str:
        return escaped(f"{self.user}@{self.host}") + (f":{self.port}" if self.port != 22 else "")


@dataclass(frozen=True)
class Login:
    """What proves who we are, and whom we trust. Files are read on the machine where Pulumi runs."""

    private_key: str = ""
    private_key_file: str = ""
    private_key_password: str = ""
    password: str = ""
    sudo_password: str = ""
    agent_socket_path: str = ""
    known_hosts_file: str = ""
    verify_host_keys: bool = True
    setting: str = "ssh"
    """How the keys of the stack that hold these secrets begin: `ssh`, or `jumpHost`."""

    def secrets(self) -> list[str]:
        """What must not appear in any text."""
        return [self.private_key, self.private_key_password, self.password, self.sudo_password]

    def options(self, who: str, address: Address) -> dict[str, Any]:
        """What asyncssh.connect is told; `who` begins the sentence about what cannot be used. Raises ConnectionFailed."""
        options: dict[str, Any] = {
            "username": address.user,
            "config": None,
            "known_hosts": self._trusted(who, address),
            "encryption_algs": CIPHERS,
            "connect_timeout": CONNECT_SECONDS,
            "login_timeout": CONNECT_SECONDS,
            "keepalive_interval": KEEPALIVE_SECONDS,
        }
        if self._has_key():
            options |= {"client_keys": [self._private_key(who)], "agent_path": None}
        elif self.password and not self.agent_socket_path:
            # sshd counts each key that is tried before the password.
            options |= {"client_keys": None, "agent_path": None}
        else:
            options["agent_path"] = self._agent(who) or None
        if self.password:
            options["password"] = self.password
        return options

    async def advice(self) -> str:
        """What to check when a machine has refused us: the end of the sentence `Check the user name and ...`."""
        if self._has_key():
            return "that the public key is in its authorized_keys"
        if self.password:
            return f"the password ({self.setting}Password)"
        path = self._agent()
        if not path:
            return "who we are: no key was named (private_key_file), and there is no SSH agent ($SSH_AUTH_SOCK) where Pulumi runs"
        try:
            agent = await asyncssh.connect_agent(path)
            try:
                count = len(await agent.get_keys())
            finally:
                agent.close()
        except (OSError, ValueError) as error:
            return f"the SSH agent at {path}, which cannot be asked: {reason_of(error)}"
        if not count:
            return f"the SSH agent at {path}, which holds no key; `ssh-add` puts one there"
        keys = "key" if count == 1 else "keys"
        return f"that its authorized_keys has the public key; the SSH agent at {path} holds {count} {keys}"

    def _agent(self, who: str = "") -> str:
        path = self.agent_socket_path or os.environ.get("SSH_AUTH_SOCK", "")
        try:
            return str(_expanded(path)) if path else ""
        except OSError as error:
            raise ConnectionFailed(
                f"{who}: the SSH agent at {escaped(path)} cannot be asked: {reason_of(error)}. Correct the path (agent_socket_path)."
            ) from None

    def _has_key(self) -> bool:
        return bool(self.private_key or self.private_key_file)

    def _private_key(self, who: str) -> asyncssh.SSHKey:
        try:
            data = self.private_key.encode() or _expanded(self.private_key_file).read_bytes()
            return _private_key(data, self.private_key_password)
        except asyncssh.KeyEncryptionError:
            problem = "its passphrase is not the one that was given"
            advice = f"Correct the passphrase ({self.setting}PrivateKeyPassword)"
        except (OSError, asyncssh.KeyImportError) as error:
            problem = reason_of(error)
            advice = "Check that it is a private key in the form of OpenSSH, and its passphrase"
            if "Passphrase must be specified" in problem:
                problem = "it is encrypted, and no passphrase was given"
                advice = f"Give the passphrase ({self.setting}PrivateKeyPassword), or put the key into an SSH agent and do not name it here"
        except Exception:
            # A key that is cut off, or of which letters have changed, gets as far as the arithmetic of its kind, and what that raises is of
            # many classes: ValueError, OverflowError, those of cryptography. None says anything to who has copied a key.
            problem = "it is damaged"
            advice = "Compare it with the original: part of it is missing, or was changed on the way"
        where = escaped(self.private_key_file) or f"the stack's {self.setting}PrivateKey"
        raise ConnectionFailed(f"{who}: the private key in {where} cannot be used: {problem}. {advice}.")

    def _trusted(self, who: str, address: Address) -> Any:
        if not self.verify_host_keys:
            return None
        if address.host_key:
            try:
                return asyncssh.import_known_hosts(f"{_known_hosts_name(address)} {address.host_key}\n")
            except ValueError:
                raise ConnectionFailed(
                    f"{who}: its host_key cannot be used: it is no public key. Give a line as ssh-keyscan prints it, without the host."
                ) from None
        name = self.known_hosts_file or "~/.ssh/known_hosts"
        try:
            path = _expanded(name)
            if not self.known_hosts_file and not path.exists():
                return _known_hosts("")
            return _known_hosts(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConnectionFailed(
                f"{who}: the known hosts file {escaped(name)} cannot be read: {reason_of(error)}. "
                "Correct the file or its name, or give the node's host_key."
            ) from None


def _expanded(name: str) -> Path:
    """The path of a file, with the home folder in place of `~` and `~user`. Raises OSError where there is none."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise OSError(f"there is no home folder {escaped(name.partition('/')[0])} where Pulumi runs") from None


# A process has one login and one file of known hosts, as a rule. To open a key with a passphrase takes as long as twenty logins,
# and a file of known hosts has a line for each machine.
@lru_cache(maxsize=8)
def _private_key(data: bytes, passphrase: str) -> asyncssh.SSHKey:
    return asyncssh.import_private_key(data, passphrase or None)


@lru_cache(maxsize=8)
def _known_hosts(text: str) -> asyncssh.SSHKnownHosts:
    return asyncssh.import_known_hosts(text)


def _known_hosts_name(address: Address) -> str:
    return address.host if address.port == 22 else f"[{address.host}]:{address.port}"
