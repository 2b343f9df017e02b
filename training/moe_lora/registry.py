"""Where PEFT learns the name of this method. PEFT keeps its methods in an enum, which has to grow by one member."""

from __future__ import annotations

import enum
from typing import Any

from peft.utils.peft_types import PeftType

METHOD = "moe_lora"
PREFIX = "moe_lora_"
MEMBER = METHOD.upper()


def extend_enum(kind: type[enum.Enum], name: str) -> enum.Enum:
    """Give the string enum ``kind`` a member ``name`` whose value is ``name``, and return it.

    A member of that name and value which is already there is returned as it is.

    Raises:
        RuntimeError: The enums of this Python are built in a way that does not let the member in.
    """
    if name not in kind.__members__:
        try:
            member: Any = str.__new__(kind, name)  # type: ignore[type-var]
            member._name_ = name
            member._value_ = name
            member.__objclass__ = kind
            member._sort_order_ = len(kind._member_names_)
            kind._member_names_.append(name)
            kind._member_map_[name] = member
            kind._value2member_map_[name] = member
            hashable = getattr(kind, "_hashable_values_", None)  # there since Python 3.12
            if hashable is not None and name not in hashable:
                hashable.append(name)
            type.__setattr__(kind, name, member)
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            raise RuntimeError(_refusal(kind, name)) from error
    found: Any = kind.__members__.get(name)
    try:
        sound = (
            found is not None
            and kind(name) is found
            and kind[name] is found
            and getattr(kind, name) is found
            and found in list(kind)
            and name in [entry.value for entry in kind]
            and isinstance(found, str)
            and found == name
            and hash(found) is not None
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RuntimeError(_refusal(kind, name)) from error
    if not sound:
        raise RuntimeError(_refusal(kind, name))
    return found  # type: ignore[no-any-return]


def _refusal(kind: type[enum.Enum], name: str) -> str:
    return (
        f"{kind.__module__}.{kind.__qualname__} cannot take the member {name!r} on this Python, so PEFT cannot learn "
        "of MoE-LoRA. Use a Python version that pedcorpus is tested on (3.11 to 3.13) and peft 0.21."
    )


def peft_type() -> PeftType:
    """PEFT's name for this method, added to the enum when it is not there yet.

    Raises:
        RuntimeError: The enum does not let the member in.
    """
    return extend_enum(PeftType, MEMBER)  # type: ignore[return-value]
