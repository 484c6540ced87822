"""README says of every setting what the code says."""

import sys
from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import get_args, get_type_hints

from pydantic import SecretStr

from deploy.runtime.paths import ROOT
from edge.settings import PREFIX as EDGE
from edge.settings import Settings as EdgeSettings
from gateway.settings import PREFIX as GATEWAY
from gateway.settings import Settings as GatewaySettings

README = ROOT / "README.md"
HEAD = ("| setting | usual | is |", "|---|---|---|")


def test_readme_tells_every_setting_of_the_gateway() -> None:
    text = README.read_text()

    assert [row for row in gateway_rows() if row not in text] == []


def test_readme_tells_every_setting_of_the_box() -> None:
    text = README.read_text()

    assert [row for row in edge_rows() if row not in text] == []


def test_readme_tells_no_setting_that_is_not_there() -> None:
    told = [
        line
        for line in README.read_text().splitlines()
        if line.startswith(("| `GATEWAY_", "| `EDGE_"))
    ]

    assert told == [*gateway_rows(), *edge_rows()]


def gateway_rows() -> list[str]:
    return [
        _row(GATEWAY + name.upper(), field.default, field.description or "")
        for name, field in GatewaySettings.model_fields.items()
    ]


def edge_rows() -> list[str]:
    hints = get_type_hints(EdgeSettings, include_extras=True)
    return [
        _row(EDGE + each.name.upper(), each.default, get_args(hints[each.name])[1])
        for each in fields(EdgeSettings)
        if each.default is not MISSING
    ]


def _row(name: str, default: object, description: str) -> str:
    return f"| `{name}` | {_usual(default)} | {description} |"


def _usual(default: object) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"`{default}`" if default not in (None, "") else "-"


def _table(rows: Iterable[str]) -> str:
    return "\n".join((*HEAD, *rows))


if __name__ == "__main__":
    sys.stdout.write(f"{_table(gateway_rows())}\n\n{_table(edge_rows())}\n")
