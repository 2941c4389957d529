"""The tape: what an operation leaves behind so that its derivative can be taken later."""
