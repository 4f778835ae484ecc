"""The one function a place of the answer that makes its JSON objects, written as Python code.

In its text stand names of columns and attributes of our schema alone. What a client chose, such as an alias, and every
value is a constant that the function is given.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from schema import ids
from schema.compiled.leaves import leaf_text, raw_leaf
from schema.compiled.plan import Attribute, FieldPlan, ObjectPlan, TypeName
from schema.sources import Column, Exists, Identity

Assemble = Callable[..., list[Any]]


def is_inline(field: FieldPlan) -> bool:
    """Whether the value is taken from the object as the JSON is made, and needs no step before."""
    return field.leaf is not None and isinstance(field.source, Column | Attribute | Identity | TypeName)


def steps_of(plan: ObjectPlan) -> list[FieldPlan]:
    """The fields whose values are found before the JSON is made."""
    if plan.steps is None:
        plan.steps = [field for field in plan.fields if not is_inline(field)]
    return plan.steps


def assembler(plan: ObjectPlan, *, raw: bool) -> Assemble:
    """`assemble(objects, values of the first step, …)`. `raw`: the objects are rows of the plan's columns."""
    known: dict[str, Any] = {}
    pairs: list[str] = []
    steps: list[str] = []
    for number, field in enumerate(plan.fields):
        known[f"k{number}"] = field.name
        if is_inline(field):
            value = _raw(plan, field, number, known) if raw else _whole(plan, field, number, known)
        else:
            value = f"v{number}"
            steps.append(value)
            if field.leaf is not None and not isinstance(field.source, Exists):
                known[f"f{number}"] = field.leaf
                value = leaf_text(field.definition.type, value, f"f{number}")
        pairs.append(f"k{number}: {value}")
    names = ["o", *steps]
    over = f"zip(objects, {', '.join('c' + one for one in steps)})" if steps else "objects"
    target = ", ".join(names)
    within = " for r in (o.raw_,)" if raw else ""
    text = (
        f"def assemble(objects, {', '.join('c' + one for one in steps)}):\n"
        f" return [{{{', '.join(pairs)}}} for {target} in {over}{within}]"
    )
    exec(text, known)  # noqa: S102
    made: Assemble = known["assemble"]
    return made


def _whole(plan: ObjectPlan, field: FieldPlan, number: int, known: dict[str, Any]) -> str:
    """The value of an object that has all its attributes."""
    known[f"f{number}"] = field.leaf
    match field.source:
        case TypeName():
            known[f"f{number}"] = plan.of.name
            return f"f{number}"
        case Identity():
            known[f"f{number}"] = _packer(plan.of.name)
            return f"f{number}(o.id)"
        case Column(name=name) | Attribute(name=name):
            assert name.isidentifier()
            return leaf_text(field.definition.type, f"o.{name}", f"f{number}")
    raise TypeError


def _raw(plan: ObjectPlan, field: FieldPlan, number: int, known: dict[str, Any]) -> str:
    """The value of a row of some columns."""
    assert plan.columns is not None
    assert plan.model is not None
    names: Sequence[str] = plan.columns.names
    if isinstance(field.source, Identity):
        known[f"f{number}"] = _packer(plan.of.name)
        return f"f{number}(r[{names.index(plan.model._meta.db_pk_column)}])"
    if isinstance(field.source, Column):
        name = field.source.name
        found = raw_leaf(field.definition.type, plan.model._meta.fields_map[name])
        if found is None:
            known[f"f{number}"], known[f"p{number}"] = field.leaf, plan.model._meta.fields_map[name]
            return f"f{number}(p{number}.to_python_value(r[{names.index(name)}]))"
        text, known[f"f{number}"] = found
        place = f"r[{names.index(name)}]"
        return text.replace("none({}) if", "None if").replace("fn", f"f{number}").replace("{}", place)
    return _whole(plan, field, number, known)


@lru_cache(maxsize=200)
def _packer(type_name: str) -> Callable[[Any], str]:
    """Ids come again and again."""
    return lru_cache(maxsize=20_000)(partial(ids.pack, type_name))
