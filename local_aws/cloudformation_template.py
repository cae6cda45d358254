"""A CloudFormation template: read and checked, its parameters, conditions and functions worked out. Pure.

What is not known here is refused by a sentence that names it, since a part passed over in silence would be a resource
that AWS makes and the stand-in does not.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

MOST_BYTES = 51_200
SECTIONS = frozenset(
    {"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Conditions", "Resources", "Outputs"}
)
OF_A_PARAMETER = frozenset(
    {"Type", "Default", "Description", "AllowedPattern", "AllowedValues", "ConstraintDescription"}
    | {"MinValue", "MaxValue"}
)
OF_A_RESOURCE = frozenset(
    {"Type", "Properties", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
)
OF_AN_OUTPUT = frozenset({"Value", "Description", "Condition"})
PARAMETER_TYPES = ("String", "Number", "CommaDelimitedList")
POLICIES = ("Delete", "Retain", "RetainExceptOnCreate")
LOGIC = frozenset({"Condition", "Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or"})
FUNCTIONS = frozenset({"Ref", "Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::Split", "Fn::If"})
NO_VALUE = object()
VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")


class Invalid(ValueError):
    """AWS would refuse this template or these parameters; answered as ValidationError."""


class NotKnown(ValueError):
    """The stand-in does not do this truly."""


@dataclass(frozen=True)
class Resource:
    """One resource that is to be made; in its properties every Fn::If is decided, references are not resolved."""

    name: str
    type: str
    properties: dict[str, Any]
    needs: frozenset[str]
    deletion: str = "Delete"
    replacement: str = "Delete"


@dataclass(frozen=True)
class Scope:
    """What the names of a template stand for; `attribute` gives a resource's (None: what Ref gives)."""

    values: Mapping[str, Any]
    conditions: Mapping[str, bool] = field(default_factory=dict)
    attribute: Callable[[str, str | None], Any] | None = None


@dataclass(frozen=True)
class Plan:
    """A template with its parameters: resources in the order in which they can be made, and what it tells."""

    parameters: dict[str, Any]
    scope: Scope
    resources: list[Resource]
    outputs: dict[str, dict[str, Any]]


@cache
def read(text: str) -> dict[str, Any]:
    """The template, which nobody changes. :raises Invalid, NotKnown: with the reason"""
    if len(text.encode()) > MOST_BYTES:
        raise Invalid(f"Member must have length less than or equal to {MOST_BYTES}: templateBody")
    try:
        template = yaml.load(text, Loader=_Loader)  # noqa: S506 a safe loader of our own
    except yaml.YAMLError as error:
        raise Invalid(f"Template format error: YAML not well-formed. {error}") from error
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise Invalid("Template format error: At least one Resources member must be defined.")
    _require_known("template section", template, SECTIONS)
    for section, known in (("Parameters", OF_A_PARAMETER), ("Resources", OF_A_RESOURCE), ("Outputs", OF_AN_OUTPUT)):
        for name, entry in template.get(section, {}).items():
            _require_known(f"key of {section}.{name}", entry, known)
    return template


def plan(template: dict[str, Any], given: Mapping[str, str], pseudo: Mapping[str, str]) -> Plan:
    """What the template makes of these parameters.

    :param given: the values of parameters
    :param pseudo: ``AWS::AccountId``, ``AWS::Region`` and the like
    :raises Invalid, NotKnown: with the reason
    """
    parameters = parameter_values(template.get("Parameters", {}), given)
    values = {**pseudo, "AWS::NoValue": NO_VALUE, **parameters}
    conditions: dict[str, bool] = {}
    for name in template.get("Conditions", {}):
        _condition(name, template["Conditions"], Scope(values), conditions, ())
    scope = Scope(values, conditions)
    resources = {
        name: _resource(name, entry, scope)
        for name, entry in template["Resources"].items()
        if _is_wanted(entry, conditions)
    }
    outputs = {
        name: _decided(entry, scope)
        for name, entry in template.get("Outputs", {}).items()
        if _is_wanted(entry, conditions)
    }
    for name, output in outputs.items():
        _require_made(references(output["Value"], scope), resources, f"Outputs.{name}")
    return Plan(parameters, scope, _ordered(resources), outputs)


def parameter_values(declared: dict[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The value of each parameter: a string, or a list of strings. :raises Invalid, NotKnown: with the reason"""
    if unknown := sorted(given.keys() - declared.keys()):
        raise Invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = [name for name, entry in declared.items() if name not in given and "Default" not in entry]
    if missing:
        raise Invalid(f"Parameters: [{', '.join(missing)}] must have values")
    return {name: _parameter(name, entry, given.get(name, entry.get("Default"))) for name, entry in declared.items()}


def resolve(value: Any, scope: Scope) -> Any:
    """The value with every function worked out; what is ``AWS::NoValue`` is left out."""
    if isinstance(value, list):
        return [found for item in value if (found := resolve(item, scope)) is not NO_VALUE]
    if not isinstance(value, dict):
        return value
    name = _function(value)
    if name is not None:
        return _call(name, value[name], scope)
    return {key: found for key, item in value.items() if (found := resolve(item, scope)) is not NO_VALUE}


def references(value: Any, scope: Scope) -> frozenset[str]:
    """The logical names that this refers to."""
    return frozenset(name for name in _names(value) if name not in scope.values)


def _parameter(name: str, entry: dict[str, Any], value: Any) -> Any:
    kind = entry.get("Type")
    if kind not in PARAMETER_TYPES:
        raise NotKnown(f"The stand-in does not know the type {kind} of Parameters.{name}.")
    text = str(value)
    values = [part.strip() for part in text.split(",")] if kind == "CommaDelimitedList" else [text]
    if not all(_is_allowed(entry, one) for one in values):
        reason = entry.get("ConstraintDescription") or "it does not meet the parameter's constraints"
        raise Invalid(f"Parameter {name} failed to satisfy constraint: {reason}")
    return values if kind == "CommaDelimitedList" else text


def _is_allowed(entry: dict[str, Any], text: str) -> bool:
    if entry["Type"] == "Number" and not _is_within(text, entry):
        return False
    if "AllowedPattern" in entry and not re.fullmatch(entry["AllowedPattern"], text):
        return False
    return "AllowedValues" not in entry or text in [str(allowed) for allowed in entry["AllowedValues"]]


def _is_within(text: str, entry: dict[str, Any]) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return float(entry.get("MinValue", "-inf")) <= number <= float(entry.get("MaxValue", "inf"))


def _condition(
    name: str, declared: dict[str, Any], scope: Scope, known: dict[str, bool], asking: tuple[str, ...]
) -> bool:
    if name in asking:
        raise Invalid(f"Circular dependency between conditions: [{', '.join(asking)}]")
    if name not in declared:
        raise Invalid(f"Template format error: Unresolved condition dependency {name}")
    if name not in known:
        known[name] = _logic(
            declared[name], scope, lambda other: _condition(other, declared, scope, known, (*asking, name))
        )
    return known[name]


def _logic(value: Any, scope: Scope, ask: Callable[[str], bool]) -> bool:
    [(name, content)] = value.items() if isinstance(value, dict) and len(value) == 1 else [("", [])]
    if name not in LOGIC:
        raise NotKnown(f"The stand-in does not know the condition {value!r}.")
    if name == "Condition":
        return ask(content)
    if name == "Fn::Equals":
        first, second = (resolve(part, scope) for part in content)
        return bool(str(first) == str(second))
    parts = [_logic(part, scope, ask) for part in content]
    if name == "Fn::Not":
        return not parts[0]
    return all(parts) if name == "Fn::And" else any(parts)


def _resource(name: str, entry: dict[str, Any], scope: Scope) -> Resource:
    properties = _decided(entry.get("Properties", {}), scope)
    after = entry.get("DependsOn", [])
    policies = [entry.get(key, "Delete") for key in ("DeletionPolicy", "UpdateReplacePolicy")]
    if unknown := [policy for policy in policies if policy not in POLICIES]:
        raise NotKnown(f"The stand-in does not know the policy {unknown[0]} of {name}.")
    needs = references(properties, scope) | set(after if isinstance(after, list) else [after])
    return Resource(name, entry["Type"], properties, needs, *policies)


def _decided(value: Any, scope: Scope) -> Any:
    """The value with the chosen branch in the place of each Fn::If; functions that are not known are refused."""
    if isinstance(value, list):
        return [_decided(item, scope) for item in value]
    if not isinstance(value, dict):
        return value
    if _function(value) == "Fn::If":
        condition, first, second = value["Fn::If"]
        if condition not in scope.conditions:
            raise Invalid(f"Template error: unresolved condition dependency {condition} in Fn::If")
        return _decided(first if scope.conditions[condition] else second, scope)
    return {key: _decided(item, scope) for key, item in value.items()}


def _function(value: dict[str, Any]) -> str | None:
    """The name of the function that this stands for. A policy's own key ``Condition`` is none."""
    names = [key for key in value if key == "Ref" or str(key).startswith("Fn::")]
    if not names:
        return None
    if len(value) > 1 or names[0] not in FUNCTIONS:
        raise NotKnown(f"The stand-in does not know the function {names[0]} in {value!r}.")
    return str(names[0])


def _call(name: str, content: Any, scope: Scope) -> Any:
    if name == "Ref":
        return _value(content, None, scope)
    if name == "Fn::GetAtt":
        return _value(content[0], content[1], scope)
    if name == "Fn::Join":
        separator, parts = content
        return str(separator).join(str(part) for part in resolve(parts, scope))
    if name == "Fn::Split":
        separator, text = content
        return str(resolve(text, scope)).split(separator)
    if name == "Fn::Sub":
        text, more = (content, {}) if isinstance(content, str) else content
        own = resolve(more, scope)
        return VARIABLE.sub(lambda found: _substitute(found, own, scope), text)
    raise NotKnown(f"The stand-in does not know {name} here.")


def _substitute(found: re.Match[str], own: Mapping[str, Any], scope: Scope) -> str:
    literal, name = found.groups()
    if literal:
        return f"${{{name}}}"
    if name in own:
        return str(own[name])
    logical, _, attribute = name.partition(".")
    return str(_value(logical, attribute or None, scope))


def _value(name: str, attribute: str | None, scope: Scope) -> Any:
    if name in scope.values:
        return scope.values[name]
    if scope.attribute is None:
        raise Invalid(f"Template format error: Unresolved dependencies [{name}]. Cannot reference resources here")
    return scope.attribute(name, attribute)


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _names(item)
    if not isinstance(value, dict):
        return
    name = _function(value)
    if name == "Ref":
        yield value["Ref"]
    elif name == "Fn::GetAtt":
        yield value["Fn::GetAtt"][0]
    elif name == "Fn::Sub":
        yield from _names_in_text(value["Fn::Sub"])
    else:
        for item in value.values():
            yield from _names(item)


def _names_in_text(content: Any) -> Iterator[str]:
    text, own = (content, {}) if isinstance(content, str) else content
    yield from _names(own)
    for literal, name in VARIABLE.findall(text):
        if not literal and name not in own:
            yield name.partition(".")[0]


def _ordered(resources: dict[str, Resource]) -> list[Resource]:
    done: list[Resource] = []
    left = dict(resources)
    for name, resource in resources.items():
        _require_made(resource.needs, resources, f"Resources.{name}")
    while left:
        names = {resource.name for resource in done}
        ready = [resource for resource in left.values() if resource.needs <= names]
        if not ready:
            raise Invalid(f"Circular dependency between resources: [{', '.join(left)}]")
        done += ready
        for resource in ready:
            del left[resource.name]
    return done


def _require_made(names: frozenset[str], resources: Mapping[str, Resource], where: str) -> None:
    if missing := sorted(names - resources.keys()):
        raise Invalid(f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] in {where}")


def _is_wanted(entry: dict[str, Any], conditions: Mapping[str, bool]) -> bool:
    name = entry.get("Condition")
    if name is not None and name not in conditions:
        raise Invalid(f"Template format error: Unresolved condition {name}")
    return name is None or conditions[name]


def _require_known(kind: str, entry: Any, known: frozenset[str]) -> None:
    if not isinstance(entry, dict):
        raise Invalid(f"Template format error: every {kind} must be an object")
    if unknown := sorted(entry.keys() - known):
        raise NotKnown(f"The stand-in does not know the {kind} {', '.join(unknown)}.")


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation takes it: short forms of functions; no aliases, no key twice, dates are text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 as PyYAML declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node. CloudFormation refuses aliases."""
        if self.check_event(yaml.AliasEvent):
            raise Invalid("Template error: YAML aliases are not allowed in CloudFormation templates")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """A mapping, each key once."""
        keys = [key.value for key, _ in node.value]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise Invalid(f"Template format error: the key {twice[0]} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)

    def construct_function(self, suffix: str, node: Any) -> Any:
        """``!GetAtt A.B`` and the like in their long form."""
        name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
        if name not in FUNCTIONS | LOGIC:
            raise NotKnown(f"The stand-in does not know the function !{suffix}{node.start_mark}.")
        if isinstance(node, yaml.ScalarNode):
            text = self.construct_scalar(node)
            return {name: str(text).split(".", 1) if name == "Fn::GetAtt" else text}
        if isinstance(node, yaml.SequenceNode):
            return {name: self.construct_sequence(node, deep=True)}
        return {name: self.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _Loader.construct_function)
