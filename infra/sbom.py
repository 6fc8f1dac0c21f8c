"""`make package`, second part: what lies beside dist/dockerhub-rotation.zip, for those who have to know what they run.

- `dockerhub-rotation.zip.sha256`: its checksum, for `sha256sum --check`. Lambda shows the same one, in base64, as
  `CodeSha256`.
- `dockerhub-rotation.cdx.json`: what is in it, as a bill of materials of CycloneDX, which scanners read. It is taken
  from the package itself, not from the locks. What the runtime brings, the AWS SDK above all, is not in there.

Like the package, both are the same bytes on any machine: the bill names no time, and its number is the package's.
"""

import hashlib
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "dist" / "dockerhub-rotation.zip"


def write(archive: Path) -> list[Path]:
    """Write checksum and bill of materials beside a package, and return where they are."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    checksum = archive.with_name(f"{archive.name}.sha256")
    checksum.write_text(f"{digest}  {archive.name}\n", encoding="utf-8")
    bill = archive.with_suffix(".cdx.json")
    bill.write_text(JsonV1Dot6(bill_of_materials(archive, digest)).output_as_string(indent=2) + "\n", encoding="utf-8")
    return [checksum, bill]


def bill_of_materials(archive: Path, digest: str) -> Bom:
    """Return what is in a package: the function, and each distribution that has left its metadata there.

    Args:
        digest: the package's SHA-256 in hexadecimal.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    function = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.APPLICATION,
        licenses=[LicenseFactory().make_from_string(project["license"])],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        bom_ref=project["name"],
    )
    bill = Bom(serial_number=uuid5(NAMESPACE_URL, f"sha256:{digest}"), components=_distributions(archive))
    bill.metadata.timestamp = None  # type: ignore[assignment]  # the format can do without
    bill.metadata.component = function
    bill.register_dependency(function, bill.components)
    return bill


def _distributions(archive: Path) -> list[Component]:
    with zipfile.ZipFile(archive) as package:
        texts = [package.read(name).decode() for name in package.namelist() if name.endswith(".dist-info/METADATA")]
    return [_distribution(text) for text in texts]


def _distribution(metadata: str) -> Component:
    """Return a distribution as its metadata describe it: https://packaging.python.org/en/latest/specifications/core-metadata/."""
    about = Parser().parsestr(metadata, headersonly=True)
    name, version = about["Name"], about["Version"]
    stated = about["License-Expression"] or about["License"]
    url = PackageURL("pypi", name=name.lower().replace("_", "-"), version=version)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        licenses=[LicenseFactory().make_from_string(stated)] if stated else [],
        purl=url,
        bom_ref=url.to_string(),
    )


if __name__ == "__main__":
    for written in write(Path(sys.argv[1]) if len(sys.argv) > 1 else ARCHIVE):
        print(written)  # noqa: T201
