"""The engine's one lock: deciding what is computed, compiling it and starting workers are one thread's work at a time.

A fork waits for it. The child has no other threads, so what one of them held, an import in the middle or a lock inside LLVM,
would stay held there for ever. Whatever the engine imports late, it therefore imports with this lock held.
"""

from __future__ import annotations

import os
import threading

__all__ = ["LOCK"]

LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)
