"""What runs on a host beside the ranks: the guardian, the agent and the warm process. Linux, standard library only.

Nothing here imports anything of ours from outside this folder: `controller.shipping` sends these files over the pipe or
SSH channel, and `bootstrap` imports them from memory, under the package name `garfield_agent`.

A launch waits for these imports on every host, so slow ones (dataclasses 20 ms, typing 14, tempfile 13) are not made.
"""
