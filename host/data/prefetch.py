"""Work ahead of the consumer in one background thread, in order."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")


class _End:
    """Marks the end of the source, with the exception that ended it, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(source: Iterable[Item], depth: int = 2) -> Generator[Item, None, None]:
    """Yield the items of `source` in order while a thread computes up to `depth` of them ahead.

    An exception in `source` is raised here, after the items before it. Closing or dropping the generator ends the
    thread once its current item is done.
    """
    queue: SimpleQueue[Item | _End] = SimpleQueue()
    free = threading.Semaphore(depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_fill, args=(source, queue, free, stopped), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            free.release()
            yield item
    finally:
        stopped.set()
        free.release()
        thread.join()


def _fill(
    source: Iterable[Item], queue: SimpleQueue[Item | _End], free: threading.Semaphore, stopped: threading.Event
) -> None:
    end = _End()
    try:
        items = iter(source)
        while True:
            free.acquire()
            if stopped.is_set():
                break
            try:
                queue.put(next(items))
            except StopIteration:
                break
    except BaseException as error:  # handed to the consumer, which raises it
        end = _End(error)
    queue.put(end)
