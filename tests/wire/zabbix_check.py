# SPDX-License-Identifier: MIT
"""Holds the template for Zabbix against an answer of the daemon: zabbix_check.py TEMPLATE ANSWER

Says what is wrong, a line each; nothing, if nothing is."""
import json
import re
import sys
import uuid

import yaml


def steps(path):
    """A JSONPath of the kind that the template has: $.a.b['c'][?(@.k=='v')].first()"""
    token = re.compile(r"\.(\w+)(\(\))?|\['([^']+)'\]|\[\?\(@\.(\w+)=='([^']*)'\)\]")
    at = 1
    assert path[0] == "$", path
    while at < len(path):
        match = token.match(path, at)
        assert match, f"{path}: not understood at {at}"
        yield match
        at = match.end()


def evaluate(path, root):
    values, definite = [root], True
    for match in steps(path):
        name, call, quoted, key, wanted = match.groups()
        if call:
            assert name == "first", path
            values, definite = values[:1], True
        elif key:
            values = [x for v in values if isinstance(v, list) for x in v if x.get(key) == wanted]
            definite = False
        else:
            values = [v[name or quoted] for v in values if isinstance(v, dict) and (name or quoted) in v]
    assert values, f"{path}: there is no such thing in the answer"
    return values[0] if definite else values


def check_value(entity, root, say):
    for step in entity.get("preprocessing", []):
        if step["type"] != "JSONPATH":
            continue
        for program in [p["program"] for p in root["programs"]] if "{#PROGRAM}" in step["parameters"][0] else [""]:
            try:
                value = evaluate(step["parameters"][0].replace("{#PROGRAM}", program), root)
            except AssertionError as error:
                say(error)
                continue
            number = isinstance(value, (int, float))
            if number == (entity.get("value_type") in ("TEXT", "CHAR")):
                say(f"{entity['key']}: {value!r} is no {entity.get('value_type', 'UNSIGNED')}")
            if entity.get("value_type", "UNSIGNED") == "UNSIGNED" and number and value != int(value):
                say(f"{entity['key']}: {value} is not whole")


def references(expression):
    return re.findall(r"/closeside/([\w.]+(?:\[[^\]]*\])?)", expression)


def main():
    text = open(sys.argv[1]).read()
    template = yaml.safe_load(text)["zabbix_export"]["templates"][0]
    root = json.load(open(sys.argv[2]))
    say = print
    items, rule = template["items"], template["discovery_rules"][0]
    prototypes = rule["item_prototypes"]
    keys = {item["key"] for item in items}
    macros = {macro["macro"] for macro in template["macros"]}

    if len(keys) != len(items) or len({p["key"] for p in prototypes}) != len(prototypes):
        say("a key is there twice")
    if not root["programs"]:
        say("the answer has no programs: nothing is tried")
    for entity in items + prototypes:
        if entity["type"] == "DEPENDENT":
            if entity["master_item"]["key"] not in keys:
                say(f"{entity['key']}: no master item")
            check_value(entity, root, say)
    triggers = [t for i in items for t in i.get("triggers", [])]
    triggers += [t for p in prototypes for t in p.get("trigger_prototypes", [])]
    for trigger in triggers:
        known = keys | {p["key"] for p in prototypes}
        found = references(trigger["expression"])
        if not found or not set(found) <= known:
            say(f"{trigger['name']}: {trigger['expression']} is of no item")
        if not set(re.findall(r"\{\$[^}]*\}", trigger["expression"])) <= macros:
            say(f"{trigger['name']}: a macro that is not there")
    for fault in root["faults"]:
        if not any(f"fault[{fault}]" in t["expression"] for t in triggers):
            say(f"no trigger for {fault}")
    for path in rule["lld_macro_paths"]:
        for program in evaluate(rule["preprocessing"][0]["parameters"][0], root):
            if not re.fullmatch(r"[\w.+:@-]+", evaluate(path["path"], program)):
                say(f"{program}: its name cannot be in a key")
    ids = re.findall(r"uuid: (\S+)", text)
    if len(set(ids)) != len(ids) or len(ids) < len(items):
        say("a uuid is missing, or there twice")
    for word in ids:
        if uuid.UUID(word).version != 4 or uuid.UUID(word).hex != word:
            say(f"{word}: not a uuid of version 4 as Zabbix writes it")


main()
