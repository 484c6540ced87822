"""How the radio is, in the words of the state message."""

from typing import Literal

Reader = Literal["hearing", "silent", "off", "starting"]
Mode = Literal["active", "passive"]
