"""Lists of the administration that can be edited, as a browser sends them back."""

import re
from typing import Any

from django import forms


def sent_back(page: Any, **typed: Any) -> dict[str, Any]:
    """What a browser sends of the list as it is shown, with what is typed: `price_minor_12="3"` in row 12."""
    formset = page.context["cl"].formset
    data = {**inputs_of(formset.management_form), "_save": "Save"}
    for form in formset.forms:
        data |= inputs_of(form)
        for name, value in typed.items():
            field, _underscore, pk = name.rpartition("_")
            if int(pk) == form.instance.pk:
                data[form.add_prefix(field)] = value
    return {key: value for key, value in data.items() if value is not None}


def inputs_of(form: forms.BaseForm) -> dict[str, Any]:
    """The inputs of a form as they stand in the page."""
    html = "".join(str(bound) for bound in form)
    data = {}
    for tag in re.findall(r"<input[^>]*>", html):
        said = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if said.get("type") != "checkbox" or re.search(r"\bchecked\b", tag):
            data[said["name"]] = said.get("value", "on" if said.get("type") == "checkbox" else "")
    return data


def shown_of(row: Any, *fields: str, at: int = 0) -> dict[str, Any]:
    """What a list that is shown now carries of the row besides what is typed."""
    row.refresh_from_db()
    values = {name: getattr(row, name) for name in fields}
    return {f"initial-form-{at}-{name}": "" if value is None else value for name, value in values.items()}
