"""Several networks with their heads, trained side by side: the members of an ensemble."""

from torch import nn

__all__ = ["Members", "MembersLoss"]


class Members(nn.Module):
    """An ensemble of networks with heads.

    Parameters
    ----------
    bodies, heads : sequence of Module
        One of each a member: from inputs to features, and from features to what the head's loss takes.
    """

    def __init__(self, bodies, heads):
        super().__init__()
        self.bodies = nn.ModuleList(bodies)
        self.heads = nn.ModuleList(heads)

    def forward(self, x, extra=None):
        """What each member's head gives, in a list."""
        pairs = zip(self.bodies, self.heads, strict=True)
        return [head(body(x) if extra is None else body(x, extra)) for body, head in pairs]

    def fused(self):
        """The same for predictions alone, of bodies that know a faster form of themselves."""
        bodies = [body.fused() if hasattr(body, "fused") else body for body in self.bodies]
        return Members(bodies, self.heads).eval()


class MembersLoss(nn.Module):
    """Mean over members and targets of the loss of a head, one number a row.

    Parameters
    ----------
    loss : Module
        Of the head: from its output and the targets to (n,) or (n, n_targets).
    reduction : {"none"}
        The mean over rows is taken by the estimator.
    """

    def __init__(self, loss, reduction="none"):
        super().__init__()
        self.loss = loss
        self.reduction = reduction

    def forward(self, outputs, target):
        """Loss (n, 1) of the outputs of each member and targets (n, n_targets)."""
        losses = (self.loss(output, target) for output in outputs)
        return sum(one.reshape(len(target), -1).mean(1, keepdim=True) for one in losses) / len(
            outputs
        )
