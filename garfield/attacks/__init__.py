"""What Byzantine workers and servers do.

attack = make_attack("alie(z=1.5)", n=11, f=2, seed=1)
vector = attack(gradient, step=7, parts=parts)  # what is sent instead of the gradient, (d,)
"""

from garfield.attacks.server import ServerAttack, make_server_attack
from garfield.attacks.worker import WorkerAttack, make_attack

__all__ = ["ServerAttack", "WorkerAttack", "make_attack", "make_server_attack"]
