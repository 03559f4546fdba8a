"""What is released: its metadata, the licences of what it needs, the image, and that a build can be repeated."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path

from packaging.requirements import Requirement

from tests import release
from tests.app.test_cli import serving
from tests.support.certificates import make_authority
from tests.test_libraries import setup_cfg

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / "contrib" / "container" / "Containerfile"

#: Licences that may be used together with MIT. The LGPL asks that the library can be replaced, which pip does.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LGPL-3.0-only", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0",
    "Unlicense", "Zlib",
}  # fmt: skip
#: What metadata says in the place of the SPDX identifier.
NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
#: Packages whose metadata has no licence, by what is in their sources.
UNSAID = {"pysqlite3": "Zlib"}


def needed() -> Iterator[str]:
    """postroom's dependencies with all extras for its users, and theirs, as far as they are installed."""
    waiting: list[tuple[str, tuple[str, ...]]] = [("postroom", ("postgresql", "replica", "testing"))]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for text in requires(name) or []:
            requirement = Requirement(text)
            environments = [{"extra": extra} for extra in ("", *extras)]
            if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
                try:
                    metadata(requirement.name)
                except PackageNotFoundError:
                    continue  # for another platform
                waiting.append((requirement.name, tuple(sorted(requirement.extras))))
                yield requirement.name


def licences(package: str) -> set[str]:
    """The SPDX identifiers that a package names."""
    found = metadata(package)
    assert isinstance(found, Message)
    expression = found["License-Expression"]
    classified = [each.split(" :: ")[-1] for each in found.get_all("Classifier") or [] if each.startswith("License")]
    named = re.split(r" (?:AND|OR) ", re.sub("[()]", "", expression)) if expression else classified
    named = named or [UNSAID.get(package) or found["License"] or "none"]
    return {NAMES.get(each, each) for each in named}


def test_licences_of_what_is_needed() -> None:
    """Whoever installs postroom gets nothing that may not be used together with it."""
    found = {name: licences(name) for name in {*needed()}}
    assert len(found) > 30
    assert {name: each for name, each in found.items() if not each <= ALLOWED} == {}


def test_the_version_is_in_one_place() -> None:
    """setup.cfg has it, and the changelog's latest release if there is one; no file of the program does."""
    version = setup_cfg()["metadata"]["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    for folder in ("app", "schemas", "storage"):
        for path in (ROOT / folder).rglob("*.py"):
            assert f'"{version}"' not in path.read_text("utf-8"), path


def test_the_metadata_is_complete() -> None:
    """What an index shows, and the Pythons of noxfile.py."""
    found = setup_cfg()["metadata"]
    for name in ("name", "version", "description", "long_description", "license", "license_files", "keywords"):
        assert found[name], name
    pythons = set(re.findall(r"Python :: (3\.\d+)$", found["classifiers"], re.MULTILINE))
    assert pythons <= set(re.findall(r'"(3\.\d+)"', (ROOT / "noxfile.py").read_text("utf-8")))
    assert {path.strip() for path in found["license_files"].split(",")} == {
        str(path.relative_to(ROOT))
        for path in [ROOT / "LICENSE", *(ROOT / "schemas").rglob("*LICENSE")]
    }  # fmt: skip


def test_an_sdist_without_the_time_of_its_build(tmp_path: Path) -> None:
    """Two archives with the same files from different moments, owners and orders become the same bytes."""
    made = []
    for number, order in enumerate((["a", "b"], ["b", "a"])):
        path = tmp_path / f"{number}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for name in order:
                member = tarfile.TarInfo(name)
                member.mtime, member.uid, member.uname, member.size = 1000.5 + number, number, f"user{number}", 3
                archive.addfile(member, io.BytesIO(b"abc"))
        release.level(path, 1_700_000_000)
        made.append(path.read_bytes())
    assert made[0] == made[1]
    with tarfile.open(tmp_path / "0.tar.gz") as archive:
        assert [(each.name, each.mtime) for each in archive] == [("a", 1_700_000_000), ("b", 1_700_000_000)]


def test_the_image() -> None:
    """hadolint finds nothing wrong with the Containerfile, and nothing runs as root in the end."""
    hadolint = Path(sys.executable).with_name("hadolint")
    checked = subprocess.run([hadolint, IMAGE], capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")
    text = IMAGE.read_text("utf-8")
    last = text.split("\nFROM ")[-1]
    assert re.findall(r"^USER (.*)$", last, re.MULTILINE) == ["10001:10001"]
    assert 'VOLUME ["/var/lib/postroom"]' in last
    assert "STOPSIGNAL SIGTERM" in last
    # Whatever is copied has to be let through by the list of what the build may see.
    seen = Path(f"{IMAGE}.containerignore").read_text("utf-8").splitlines()
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists()
            assert f"!{source}" in seen


def test_the_health_check_of_the_image(tmp_path: Path) -> None:
    """Its command succeeds while the service answers, and fails afterwards."""
    found = re.search(r'^HEALTHCHECK .* CMD \["python", "-c", "(.*)"\]$', IMAGE.read_text("utf-8"), re.MULTILINE)
    assert found
    with serving(tmp_path) as running:
        program = found[1].replace(":8080/", f":{running.ports[0]}/")
        assert program != found[1]
        command = [sys.executable, "-c", program]
        assert subprocess.run(command, timeout=30, check=False).returncode == 0
        assert running.stop() == 0
    assert subprocess.run(command, timeout=30, stderr=subprocess.DEVNULL, check=False).returncode == 1


def test_the_web_server_of_the_page(tmp_path: Path) -> None:
    """nginx accepts what docs/running.md shows, with a certificate that is there."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert nginx
    (server,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "running.md").read_text("utf-8"), re.DOTALL)
    certificate, key = make_authority(tmp_path)
    folder = "/etc/letsencrypt/live/admin.example.org"
    server = server.replace(f"{folder}/fullchain.pem", str(certificate)).replace(f"{folder}/privkey.pem", str(key))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}} http {{ access_log off; {server} }}"
    )
    command = [nginx, "-t", "-q", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0, checked.stderr
