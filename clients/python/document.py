"""Writes docs/client.md and docs/client.zh-CN.md from the client's signatures and docstrings.

The Chinese is in document.zh-CN.json, under the English: a docstring that changes has to be translated anew.
Nothing is imported, so what comes out does not depend on the version of Python.
"""

import ast
import json
import sys
from collections.abc import Callable, Iterator
from inspect import cleandoc
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs"
CHINESE = HERE / "document.zh-CN.json"
WIDTH = 100

Node = ast.ClassDef | ast.FunctionDef
Say = Callable[[str], str]


def pages() -> dict[Path, str]:
    """What the files have to have in them. Raises KeyError for a sentence that is not translated."""
    chinese = json.loads(CHINESE.read_text())
    return {
        DOCS / "client.md": page(lambda text: text, other="[简体中文](client.zh-CN.md)"),
        DOCS / "client.zh-CN.md": page(lambda text: chinese[text], other="[English](client.md)"),
    }


def page(say: Say, *, other: str) -> str:
    parts = [f"# {say('The client in Python, name by name')}", other]
    parts.append(say("Written by `clients/python/document.py`: change the docstrings, and run it."))
    for module, heading in MODULES.items():
        tree = ast.parse((HERE / "src" / "cardshop_client" / f"{module}.py").read_text())
        parts.append(f"## {say(heading)}")
        if said := ast.get_docstring(tree):
            parts.append(say(unwrapped(said)))
        for node in tree.body:
            if isinstance(node, Node) and node.name in PUBLIC:
                parts += described(node, say)
    return "\n\n".join(parts) + "\n"


MODULES = {
    "client": "The client",
    "models": "What it answers with",
    "errors": "What goes wrong",
    "webhooks": "Webhooks",
}


def _public() -> set[str]:
    tree = ast.parse((HERE / "src" / "cardshop_client" / "__init__.py").read_text())
    (names,) = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    return set(ast.literal_eval(names))


PUBLIC = _public()


def described(node: Node, say: Say) -> Iterator[str]:
    yield f"### {node.name}"
    yield from _body(node, say, name=node.name)
    if isinstance(node, ast.ClassDef):
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and _is_told(method):
                yield f"#### {node.name}.{method.name}"
                yield from _body(method, say, name=method.name)


def _is_told(method: ast.FunctionDef) -> bool:
    """`read` makes a model of what the shop has said."""
    return not method.name.startswith("_") and method.name != "read"


def _body(node: Node, say: Say, *, name: str) -> Iterator[str]:
    if signature := _class(node) if isinstance(node, ast.ClassDef) else _function(node, name):
        yield f"```python\n{signature}\n```"
    if said := ast.get_docstring(node):
        yield say(unwrapped(said))


def _class(node: ast.ClassDef) -> str:
    """Its parent, and how it is made; of a dataclass its fields."""
    parents = ", ".join(map(ast.unparse, node.bases))
    first = f"class {node.name}({parents})" if parents else f"class {node.name}"
    fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
    made = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
    if made and _is_client(node):
        return _function(made[0], node.name)
    return "\n".join([f"{first}:", *(f"    {_field(each)}" for each in fields)]) if fields else first


def _is_client(node: ast.ClassDef) -> bool:
    """Errors are made by the client alone."""
    return not node.bases


def _field(node: ast.AnnAssign) -> str:
    value = node.value if isinstance(node.value, ast.Constant) else None
    default = f" = {_value(value)}" if value else ""
    return f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}{default}"


def _function(node: ast.FunctionDef, name: str) -> str:
    if any(isinstance(each, ast.Name) and each.id == "property" for each in node.decorator_list):
        return f"{name}: {ast.unparse(node.returns)}" if node.returns else name
    arguments = [each for each in _arguments(node.args) if each != "self"]
    returns = ast.unparse(node.returns) if node.returns else "None"
    answer = "" if node.name == "__init__" else f" -> {returns}"
    line = f"{name}({', '.join(arguments)}){answer}"
    if len(line) <= WIDTH:
        return line
    broken = "".join(f"    {each},\n" for each in arguments)
    return f"{name}(\n{broken}){answer}"


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    yield from (_argument(each) for each in arguments.args)
    if arguments.kwonlyargs:
        yield "*"
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _argument(each) + (f" = {_value(default)}" if default else "")


def _argument(argument: ast.arg) -> str:
    return f"{argument.arg}: {ast.unparse(argument.annotation)}" if argument.annotation else argument.arg


def _value(node: ast.expr) -> str:
    return ast.unparse(node).replace("'", '"')


def unwrapped(docstring: str) -> str:
    """Its paragraphs on a line each; what is code stays as it is, in a block."""
    return "\n\n".join(
        paragraph if paragraph.startswith("    ") else " ".join(paragraph.split("\n"))
        for paragraph in cleandoc(docstring).split("\n\n")
    )


def main() -> int:
    for path, text in pages().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
