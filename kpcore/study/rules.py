"""Splits that can be had without a study file: from every rule that builds without options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kpcore.errors import KpError, unknown
from kpcore.keypoints import KeypointSplit, Skeleton
from kpcore.registry import Registry, one_line
from kpcore.study.contracts import checked_splits


@dataclass(frozen=True)
class RuleSplits:
    """What one rule gives on one skeleton: splits, or the reason why none."""

    rule: str
    splits: tuple[KeypointSplit, ...] = ()
    reason: str = ""


def known_skeletons(known: Registry) -> dict[str, Skeleton]:
    """Return data set name -> skeleton, where that is known without looking at data."""
    skeletons = {}
    for name in known.names("dataset"):
        skeleton = known.component("dataset", name).default_skeleton
        if skeleton is not None:
            skeletons[name] = skeleton
    return skeletons


def plain_splits(known: Registry, skeleton: Skeleton) -> list[RuleSplits]:
    """Return what every rule gives on a skeleton when no study gives it options."""
    return [rule_splits(known, rule, skeleton) for rule in known.names("split")]


def rule_splits(known: Registry, rule: str, skeleton: Skeleton) -> RuleSplits:
    """Return what one rule gives; a rule that fails, in whatever way, gives its reason and does not stop others."""
    try:
        options = known.component("split", rule).listed
        built = known.build("split", rule, options, where="split")
        return RuleSplits(rule, checked_splits(built, built.splits(skeleton, {})))
    except Exception as error:
        return RuleSplits(rule, reason=one_line(error))


def find_split(known: Registry, name: str, skeleton: Skeleton) -> KeypointSplit:
    """Return the split called ``name`` or ``rule:name`` among those that rules give without options.

    Raises:
        KpError: no rule gives it, or more than one does.
    """
    return _among(plain_splits(known, skeleton), name, f"skeleton '{skeleton.name}'")


def pick(by_dataset: Mapping[str, Sequence[RuleSplits]], name: str) -> dict[str, KeypointSplit]:
    """Return data set -> its split called ``name`` or ``rule:name``, for the data sets that have it.

    Raises:
        KpError: none has it, or more than one rule gives it on one skeleton.
    """
    having = {
        dataset: _among(rules, name, f"data set '{dataset}'")
        for dataset, rules in by_dataset.items()
        if name in _addresses(rules)
    }
    if not having:
        exist = [address for rules in by_dataset.values() for address in _addresses(rules) if ":" not in address]
        raise unknown("split", name, dict.fromkeys(exist))  # 'kp splits list' has them all
    return having


def _addresses(rules: Sequence[RuleSplits]) -> list[str]:
    return [text for rule in rules for split in rule.splits for text in (split.name, f"{rule.rule}:{split.name}")]


def _among(rules: Sequence[RuleSplits], name: str, where: str) -> KeypointSplit:
    given = [(f"{rule.rule}:{split.name}", split) for rule in rules for split in rule.splits]
    found = [(address, split) for address, split in given if name in (address, split.name)]
    if not found:
        raise unknown("split", name, [split.name for _, split in given], where=where)
    if len(found) > 1:
        raise KpError(f"split '{name}' is given by more than one rule; say which: {', '.join(a for a, _ in found)}")
    return found[0][1]
