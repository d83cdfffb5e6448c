from collections.abc import Callable
from typing import Any, Final

from django.db import models

from groups import spelling

MADE_BY: Final[dict[str, Callable[[str], str]]] = {"spelling": spelling.spelling_of, "look": spelling.look_of}
LATER: Final = "\x1f"
"""Before the id in the key of a row whose name collided when keys were introduced: its name stays, and is taken too."""


class NameKey(models.CharField):  # type: ignore[type-arg] # generic only in the stubs
    """What a name is compared by, made from it whenever the row is saved, by whatever door.

    Who saves only some fields names the key beside its name.
    """

    def __init__(self, *, of: str, by: str) -> None:
        self.of, self.by = of, by
        super().__init__(max_length=spelling.KEY_CHARACTERS + 40, editable=False, default="")

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, path, args, _fixed = super().deconstruct()
        return name, path, args, {"of": self.of, "by": self.by}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        made = MADE_BY[self.by](getattr(model_instance, self.of))
        kept: str = getattr(model_instance, self.attname)
        if kept != made and not kept.startswith(made + LATER):
            setattr(model_instance, self.attname, made)
            return made
        return kept
