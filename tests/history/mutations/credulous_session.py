"""Sessions pass on whatever rings, without a look at its seq. The layer loses, repeats and shuffles rings."""

from django.apps import AppConfig

from tests.unreliable_settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.credulous_session.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.credulous_session"
    label = "credulous_session"

    def ready(self) -> None:
        from realtime.runs import Run
        from realtime.session import Session

        deliver = Session.deliver

        def pass_on(self: Session, seq: int, run: Run, alone: bool = False) -> None:
            self._seq = seq - 1
            deliver(self, seq, run, alone)

        Session.deliver = pass_on  # type: ignore[method-assign]
