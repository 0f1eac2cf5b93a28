"""What the machine's own sensors say: heat, clock and throttling, read from `root`, "/" or a recorded machine."""


class NotMeasurable(Exception):
    """There is no such sensor here, or it does not answer; the message is one sentence that says why."""
