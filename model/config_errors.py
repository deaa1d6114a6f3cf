"""From what json and pydantic say about a configuration to one `UserError`: field, value, rule, remedy."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from model.errors import UserError

OPTION = "--config"


def read_object(path: Path, examples: str = "hw_configs/") -> dict[str, Any]:
    """The JSON object in the file at `path`. Raises UserError unless there is one, each of its keys once.

    examples: the folder that shows what such a file looks like.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except FileNotFoundError:
        raise UserError(OPTION, str(path), f"no such file; examples are in {examples}") from None
    except OSError as error:
        raise UserError(OPTION, str(path), f"cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        rule = f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        raise UserError(OPTION, str(path), rule) from None
    except UserError:
        raise
    except (ValueError, RecursionError) as error:  # not UTF-8, thousands of digits or of levels
        raise UserError(OPTION, str(path), f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UserError(OPTION, str(path), "must hold a JSON object, { ... }")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise UserError(key, value, f"given twice; before it was {result[key]!r}")
        result[key] = value
    return result


def user_error(error: ValidationError, root: type[BaseModel]) -> UserError:
    """The mistake to correct first: an unknown key before others, as it may be a missing one misspelt."""
    mistakes = error.errors(include_url=False)
    first = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
    place = [str(part) for part in first["loc"]]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UserError):
        return UserError(".".join([*place, cause.field]), cause.value, cause.rule)
    value = None if first["type"] == "missing" else first["input"]
    match first["type"]:
        case "missing":
            rule = f"missing; add it. {_section(root, place[:-1]).model_fields[place[-1]].description}"
        case "extra_forbidden":
            rule = _unknown_key(place[-1], _section(root, place[:-1]))
        case "model_type":
            rule = "must be an object, { ... }"
        case "value_error":
            rule = str(cause)
        case _:
            rule = re.sub(r"^\w+ should ", "must ", first["msg"])
    return UserError(".".join(place), value, rule)


def _section(root: type[BaseModel], place: Sequence[str]) -> type[BaseModel]:
    """The model of the section at `place`."""
    for name in place:
        annotation = root.model_fields[name].annotation
        types = get_args(annotation) or (annotation,)
        root = next(t for t in types if isinstance(t, type) and issubclass(t, BaseModel))
    return root


def _unknown_key(name: str, section: type[BaseModel]) -> str:
    known = [field.alias or key for key, field in section.model_fields.items()]
    if nearest := difflib.get_close_matches(name, known, n=1):
        return f"unknown key; did you mean {nearest[0]!r}?"
    return f"unknown key; known keys: {', '.join(known)}"


def similar(name: str, names: Sequence[str]) -> str:
    """What to say of a name that no layer has.

    >>> similar("MVAU3", ["MVAU_3", "VVAU_0"])
    'no such layer; most similar: MVAU_3, VVAU_0'
    """
    return f"no such layer; most similar: {', '.join(difflib.get_close_matches(name, names, 5, cutoff=0))}"
