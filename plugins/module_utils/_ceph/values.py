# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How values are written, and what they mean: sizes, booleans, durations, versions.

Everything here raises ValueError with a sentence fit for the operator. Knows neither Ansible nor Ceph's bindings.

PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import fractions
import ipaddress
import math
import re
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils._spec import twice

Item = t.Mapping[str, t.Any]
Problems = t.Callable[[Item], t.Iterable[str]]
# Ceph reads K and Ki alike, as 1024 (strict_iec_cast); plain counts take decimal prefixes (strict_si_cast).
_UNITS = {"": 0, "B": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTPE]?)(i?B?)", re.IGNORECASE)
_COUNT = re.compile(r"([+-]?\d+)([KMGTPE]?)")
# The units of Ceph's parse_timespan.
_SPANS = {
    "s sec second seconds": 1, "m min minute minutes": 60, "h hr hour hours": 3600, "d day days": 86400, "w wk week weeks": 604800,
    "mo month months": 2592000, "y yr year years": 31536000,
}  # fmt: skip
_SECONDS = {"": 1, **{unit: seconds for units, seconds in _SPANS.items() for unit in units.split()}}
_SPAN = re.compile(r"(\d+)\s*([a-z]*)")
# Protocol; an address in brackets, without colons, or with several; port; nonce
_ADDRESS = re.compile(r"(?:(v1|v2|any):)?(?:\[([^\]]*)\]|([^:/\[\]]+)|([0-9a-fA-F.]*(?::[0-9a-fA-F.]*){2,}))(?::(\d+))?(?:/(\d+))?")
# Codenames and their numbers: what require_min_compat_client may name.
_CODENAMES = ("jewel", "kraken", "luminous", "mimic", "nautilus", "octopus", "pacific", "quincy", "reef", "squid", "tentacle")
RELEASES = {name: number for number, name in enumerate(_CODENAMES, 10)}


class Unknown:
    """In the place of a value that is not known yet, of which nothing can be wrong."""

    def __bool__(self) -> bool:
        return False


UNKNOWN: t.Any = Unknown()


def size(value: t.Any) -> int:
    """Bytes of "4G", "4GiB", "512K" or 4294967296."""
    whole = None if isinstance(value, bool) else _whole(value)
    match = _SIZE.fullmatch(str(value if whole is None else whole).strip())
    if not match:
        raise ValueError(f"'{value}' is not a size: write a number with K, M, G, T or P, such as 4G")
    found = fractions.Fraction(match[1]) * 1024 ** _UNITS[match[2].upper()]
    if not match[2] and found.denominator > 1:
        raise ValueError(f"'{value}' is no whole number of bytes")
    return int(found)


def count(value: t.Any) -> int:
    """An integer; "2K" is 2000."""
    whole = _whole(value)
    match = _COUNT.fullmatch(str(value if whole is None else whole).strip())
    if not match:
        raise ValueError(f"'{value}' is not a whole number")
    return int(match[1]) * int(1000 ** _UNITS[match[2]])


def _whole(value: t.Any) -> t.Optional[int]:
    """A whole number, also one that YAML reads as a float, such as 1.0e+3; None of what is none, or is written in words."""
    return int(value) if isinstance(value, int) or (isinstance(value, float) and value.is_integer()) else None


# What YAML 1.1 reads as truth values, the likeliest first where several are among the words that are allowed.
_TRUE, _FALSE = ("true", "on", "yes", "1"), ("false", "off", "no", "0")


def word(value: t.Any, allowed: t.Collection[str] = ()) -> str:
    """The text that was meant by a value that YAML may have made something else of: on, off, yes and no without quotes are truth values to it.

    allowed: the words that may be said, any where none are given. One that is not among them is returned as it is.
    """
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    text = str(value).strip()
    if isinstance(value, bool) or (allowed and text not in allowed and text in ("True", "False")):
        truth = text == "True"
        return next((one for one in (_TRUE if truth else _FALSE) if one in allowed), str(truth).lower())
    return text.lower() if allowed and text not in allowed and text.lower() in allowed else text


def boolean(value: t.Any) -> bool:
    """A truth value in any of its spellings."""
    text = str(value).strip().lower()
    if text not in (*_TRUE, "y", "t", *_FALSE, "n", "f", ""):
        raise ValueError(f"'{value}' is neither true nor false")
    return text in (*_TRUE, "y", "t")


def number(value: t.Any) -> float:
    """A floating-point number."""
    try:
        parsed = float(str(value).strip())
    except ValueError:
        parsed = math.nan
    if not math.isfinite(parsed):
        raise ValueError(f"'{value}' is not a number")
    return parsed


def decimals(value: t.Any) -> float:
    """A number as the monitors keep it: with six decimals."""
    return round(number(value), 6)


def fsid(text: t.Any) -> str:
    """A cluster's fsid in its one spelling; what is no UUID, as it is."""
    try:
        return str(uuid.UUID(str(text).strip()))
    except ValueError:
        return str(text).strip()


def address(text: t.Any) -> str:
    """An address as the monitors keep it, "v2:[fd00::1]:3300/0" of "[fd00::0:1]:3300": with the protocol, port and nonce. Raises ValueError."""
    plain = str(text).strip()
    if plain in ("", "-"):
        return "-"
    match = _ADDRESS.fullmatch(plain)
    protocol, *hosts, port, nonce = match.groups() if match else (None,) * 6
    try:
        host = str(ipaddress.ip_address(next(filter(None, hosts), "").strip()))
    except ValueError:
        raise ValueError(f"'{text}' is no address") from None
    return f"{protocol or 'v2'}:{f'[{host}]' if ':' in host else host}:{int(port or 0)}/{int(nonce or 0)}"


def addresses(text: t.Any) -> tuple[str, ...]:
    """A vector of addresses, "[v2:10.0.0.1:3300,v1:10.0.0.1:6789]", or one alone, each as address() has it. Raises ValueError."""
    plain = str(text).strip()
    if re.match(r"\[(v1|v2|any):", plain) and plain.endswith("]"):
        plain = plain[1:-1]
    return tuple(address(part) for part in plain.split(",") if part.strip())


def duration(value: t.Any) -> int:
    """Seconds of "90", "5m", "1h30m" or "2 days"."""
    text = str(value).strip().lower()
    parts = _SPAN.findall(text)
    if not parts or _SPAN.sub("", text).strip() or any(unit not in _SECONDS for _number, unit in parts):
        raise ValueError(f"'{value}' is not a duration such as 90, 5m or 1h30m")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def version(text: str) -> tuple[int, ...]:
    """(18, 2, 7) of "ceph version 18.2.7 (6b0e…) reef (stable)" or "18.2.7". Raises ValueError where there is none."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    if not match:
        raise ValueError(f"'{text}' names no version such as 18.2.7")
    return tuple(int(part) for part in match.groups())


def shown(numbers: t.Sequence[int]) -> str:
    """ "18.2.7" of (18, 2, 7)."""
    return ".".join(str(part) for part in numbers)


def not_boolean(declared: Item, where: str) -> t.Iterator[str]:
    """What is wrong with a dictionary of truth values."""
    for name, value in declared.items():
        try:
            boolean(value)
        except ValueError as error:
            yield f"{where}.{name}: {error}"


def item_problems(declared: t.Sequence[Item], where: str, problems: Problems = lambda item: (), gone_too: bool = False) -> t.Iterator[str]:
    """What is wrong with a declared list: names that occur twice, and what problems says of each item that is to be there (or is to go)."""
    yield from (f"{where}: {name} is declared twice: keep one of them" for name in twice(item["name"] for item in declared))
    for number, item in enumerate(declared):
        if gone_too or item.get("state") != "absent":
            yield from (f"{where}[{number}] ({item['name']}): {text}" for text in problems(item))


def shape_of(value: t.Any, spec: Item, name: str) -> list[str]:
    """What an argument spec would say of one option's raw value: unknown names, missing names, wrong containers; and words that YAML reads as truth values."""
    kind, choices = spec["type"], spec.get("choices") or ()
    wrong = ""
    if value is UNKNOWN:
        return []
    if kind == "list" and isinstance(value, (list, tuple)):
        items = enumerate(value if "options" in spec else ())
        return [problem for number, item in items for problem in shape_of(item, {**spec, "type": "dict"}, f"{name}[{number}]")]
    if kind == "dict" and isinstance(value, dict):
        return _shape_of_dict(value, spec.get("options"), name)
    if kind in ("list", "dict"):
        wrong = f"a {'list' if kind == 'list' else 'dictionary'} is wanted"
    elif isinstance(value, (dict, list)):
        wrong = f"one value is wanted, not a {'list' if isinstance(value, list) else 'dictionary'}"
    elif kind == "int" and not str(value).lstrip("-").isdigit():
        wrong = f"'{value}' is not a whole number"
    elif kind == "str" and isinstance(value, bool) and word(value, choices) not in choices:
        wanted = f"which is none of {', '.join(choices)}" if choices else "and a text is wanted"
        wrong = f"YAML reads this word as {str(value).lower()}, {wanted}: put it in quotes"
    elif choices and not isinstance(value, bool) and str(value) not in choices:
        wrong = f"'{value}' is not one of {', '.join(choices)}"
    if kind in ("bool", "float") and not wrong:
        try:
            (boolean if kind == "bool" else float)(value)
        except ValueError:
            wrong = f"'{value}' is {'neither true nor false' if kind == 'bool' else 'not a number'}"
    return [f"{name}: {wrong}"] if wrong else []


def _shape_of_dict(value: Item, options: t.Optional[Item], name: str) -> list[str]:
    shown = f"{name} ({value['name']})" if value.get("name") else name
    found = [f"{shown}: unknown option '{key}': one of {', '.join(options)}" for key in value if options is not None and key not in options]
    for key, sub in (options or {}).items():
        if value.get(key) is not None:
            found += shape_of(value[key], sub, f"{shown}.{key}")
        elif sub.get("required"):
            found.append(f"{shown}: {key} is missing")
    return found
