import torch
from torch import nn

from skastro.regression.members import Members, MembersLoss


class Body(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x, extra=None):
        return self.factor * x if extra is None else self.factor * x + extra


def test_every_member_has_its_own_body_and_head():
    members = Members([Body(1.0), Body(2.0)], [nn.Identity(), nn.Identity()])
    one, two = members(torch.ones(3, 2))
    assert (one == 1).all() and (two == 2).all()
    _, two = members(torch.ones(3, 2), torch.ones(3, 2))
    assert (two == 3).all()


def test_the_loss_is_the_mean_over_members_and_targets():
    outputs = [torch.zeros(3, 2), torch.ones(3, 2)]
    target = torch.tensor([[0.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
    found = MembersLoss(nn.MSELoss(reduction="none"))(outputs, target)
    torch.testing.assert_close(found, torch.tensor([[0.5], [2.5], [0.5]]))

    def joint(output, target):
        return (output - target).square().sum(1)

    torch.testing.assert_close(
        MembersLoss(joint)(outputs, target), torch.tensor([[1.0], [5.0], [1.0]])
    )
