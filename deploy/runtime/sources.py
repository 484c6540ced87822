"""Reads the machine's own apt sources, to find the Debian mirror that it already trusts.

Both formats of sources.list(5) are read: one line per source (`*.list`) and deb822 stanzas
(`*.sources`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SUITES = frozenset(
    {"bookworm", "trixie", "forky", "sid", "stable", "oldstable", "testing", "unstable"}
)
"""Names under which Debian publishes its main archive; another suite is somebody else's."""

_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>.+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place that packages come from, as the machine was told."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Where Debian itself is reached from this machine; security updates may have no mirror."""

    main: str
    security: str | None
    signed_by: str | None


def read_sources(etc: Path) -> tuple[Source, ...]:
    """All enabled binary sources under `etc` (normally /etc/apt), in apt's own order."""
    parts = sorted((etc / "sources.list.d").glob("*"))
    files = [etc / "sources.list", *parts]
    return tuple(source for file in files if file.is_file() for source in _read_file(file))


def mirrors(sources: Sequence[Source]) -> tuple[Mirror, ...]:
    """Debian's mirrors among the sources, the likeliest first; others are left alone.

    Somebody else's archive may use Debian's suite names too, so what is fetched is still
    checked against Debian's own keys.
    """
    security = next((s for s in sources if _is_security(s)), None)
    mains = [s for s in sources if SUITES & set(s.suites) and "main" in s.components]
    mains.sort(key=lambda s: "debian" not in s.uri)
    return tuple(
        Mirror(
            main=source.uri,
            security=security.uri if security else None,
            signed_by=source.signed_by,
        )
        for source in dict.fromkeys(mains)
        if not source.uri.startswith("cdrom:")
    )


def _is_security(source: Source) -> bool:
    names = {f"{suite}-security" for suite in SUITES} | {f"{suite}/updates" for suite in SUITES}
    return bool(names & set(source.suites)) and "main" in source.components


def _read_file(file: Path) -> Iterator[Source]:
    text = file.read_text(errors="replace")
    if file.suffix == ".sources":
        yield from _stanzas(text)
    elif file.suffix == ".list":
        yield from _lines(text)


def _lines(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#", 1)[0].strip())
        if match is None:
            continue
        suite, *components = match["rest"].split()
        options = dict(o.split("=", 1) for o in (match["options"] or "").split() if "=" in o)
        yield Source(
            uri=match["uri"].rstrip("/"),
            suites=(suite,),
            components=tuple(components),
            signed_by=_keyring(options.get("signed-by")),
        )


def _stanzas(text: str) -> Iterator[Source]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", lines):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or _is_off(fields.get("enabled", "yes")):
            continue
        for uri in fields.get("uris", "").split():
            yield Source(
                uri=uri.rstrip("/"),
                suites=tuple(fields.get("suites", "").split()),
                components=tuple(fields.get("components", "").split()),
                signed_by=_keyring(fields.get("signed-by")),
            )


def _fields(stanza: str) -> dict[str, str]:
    """The stanza's fields; a line that begins with a space goes on with the one before."""
    joined = re.sub(r"\n[ \t]+", " ", stanza)
    pairs = (line.split(":", 1) for line in joined.splitlines() if ":" in line)
    return {name.strip().lower(): value.strip() for name, value in pairs}


def _is_off(value: str) -> bool:
    return value.lower() in {"no", "false", "without", "off", "disable", "0"}


def _keyring(value: str | None) -> str | None:
    """A file name; a key written out in the source itself is not carried over."""
    return value if value and value.startswith("/") and " " not in value else None
