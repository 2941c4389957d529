"""Workers that wait in Python, for systems whose native way to sleep `handover` does not know: slower, and as correct."""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Lock

from rushlight.native import handover

__all__ = ["Portable"]

Call = Callable[[int | bytes, int, int], None]


class Job:
    """Tasks, handed out in order.

    Attributes:
        next: the first that nobody has taken.
        left: how many are neither done nor withdrawn.
        done: there are none.
    """

    def __init__(self, call: Call, params: int | bytes, tasks: int, step: int) -> None:
        self.call, self.params, self.tasks, self.step = call, params, tasks, step
        self.next, self.left = 0, tasks
        self.lock, self.done = Lock(), Event()

    def work(self) -> None:
        """Do tasks until all are taken."""
        while True:
            with self.lock:
                first, self.next = self.next, min(self.next + self.step, self.tasks)
            if first == self.tasks:
                return
            self.call(self.params, first, min(first + self.step, self.tasks))
            with self.lock:
                self.left -= min(self.step, self.tasks - first)
                if self.left == 0:
                    self.done.set()

    def withdraw(self) -> None:
        """Let nobody take what has not been taken."""
        with self.lock:
            self.left -= self.tasks - self.next
            self.next = self.tasks
            if self.left == 0:
                self.done.set()


class Portable:
    """Workers that wait for jobs at one queue.

    Whoever brings a job only waits for its end: in the thread that interrupts go to, one could come between taking tasks
    and doing them.
    """

    def __init__(self, kernel: Callable[[int], Call]) -> None:
        self.kernel = kernel
        self.jobs: SimpleQueue[Job] = SimpleQueue()
        self.busy = Lock()
        self.workers = self.wanted = 0

    def run(self, address: int, params: int | bytes, tasks: int, in_order: bool) -> None:
        """Do all tasks, in order in any case. If interrupted, those begun are finished before the interrupt is passed on."""
        if not self._hired(tasks) or not self.busy.acquire(blocking=False):
            self.kernel(address)(params, 0, tasks)
            return
        try:
            threads = min(self.wanted, tasks)
            job = Job(self.kernel(address), params, tasks, max(1, tasks // (16 * self.wanted)))
            try:
                for _ in range(threads):
                    self.jobs.put(job)
                job.done.wait()
            except BaseException:
                job.withdraw()
                _wait(job)
                raise
        finally:
            self.busy.release()

    def resize(self, threads: int) -> None:
        """Let so many threads compute."""
        self.wanted = min(threads, handover.MOST)

    def _hired(self, tasks: int) -> bool:
        """Whether there is a worker, after starting those that are wanted for so many tasks."""
        try:
            while self.workers < min(self.wanted, tasks):
                start_new_thread(_serve, (self.jobs,))
                self.workers += 1
        except RuntimeError:  # the system has no more, or the interpreter is at its end
            self.wanted = self.workers
        return self.workers > 0


def _serve(jobs: SimpleQueue[Job]) -> None:
    while True:
        jobs.get().work()


def _wait(job: Job) -> None:
    """Until all tasks taken are done, whatever else interrupts."""
    while not job.done.is_set():
        try:
            job.done.wait()
        except KeyboardInterrupt:
            continue
