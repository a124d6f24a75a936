"""Whether answers are as the SDK's own model has them: elements that it does not know, values that are none of an enumeration,
numbers and flags that are none. The SDK itself looks away from all of these.
"""

from xml.etree import ElementTree

# What EC2 answers besides what the model has.
BESIDES = {"requestId", "return"}


def watch(client):
    """Looks at all answers of a client from now on. What is odd is in the list, and which operations answered is in the set."""
    odd, answered = [], set()

    def look(operation_model, response_dict, **_):
        if response_dict["status_code"] != 200:
            return
        answered.add(operation_model.name)
        root = ElementTree.fromstring(response_dict["body"])
        look_at(operation_model.name, root, operation_model.output_shape, odd)

    client.meta.events.register("before-parse", look)
    return odd, answered


def name_of(element):
    return element.tag.rpartition("}")[2]


def look_at(path, element, shape, odd):
    kind = shape.type_name if shape is not None else "structure"
    if kind == "structure":
        members = {} if shape is None else shape.members
        known = {member.serialization.get("name", name): member for name, member in members.items()}
        for child in element:
            name = name_of(child)
            if name in known:
                look_at(f"{path}.{name}", child, known[name], odd)
            elif name not in BESIDES:
                odd.append(f"{path}.{name} is not known")
    elif kind == "list":
        for child in element:
            if name_of(child) != shape.member.serialization.get("name", "member"):
                odd.append(f"{path} has {name_of(child)}")
            look_at(f"{path}[]", child, shape.member, odd)
    else:
        look_at_text(path, element.text or "", kind, getattr(shape, "enum", []), odd)


def look_at_text(path, text, kind, enum, odd):
    is_right = {
        "boolean": lambda: text in ("true", "false"),
        "integer": lambda: text.lstrip("-").isdigit(),
        "timestamp": lambda: text.endswith("Z") and "T" in text,
    }.get(kind, lambda: not enum or text in enum)
    if not is_right():
        odd.append(f"{path} is {text!r}")
