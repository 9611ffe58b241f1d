"""Newell's network written a second time, from the paper's text, with the tensor names of princeton-vl's PyTorch code.

Only the names are theirs: a convolution is a module's ``conv``, its BatchNorm ``bn``, every residual has a skip
convolution whether it needs one or not.
"""

import torch
from torch import nn
from torch.nn import functional as F


def convolution(inputs, outputs, kernel, stride=1, norm=False):
    """A convolution, perhaps with BatchNorm, under the names ``conv`` and ``bn``."""
    parts = {"conv": nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)}
    return nn.ModuleDict({**parts, "bn": nn.BatchNorm2d(outputs)} if norm else parts)


def run(block, x):
    """Convolution, and where there is BatchNorm that and ReLU."""
    y = block["conv"](x)
    return F.relu(block["bn"](y)) if "bn" in block else y


class Bottleneck(nn.Module):
    """Section 3.1: 1x1 to half the width, 3x3, 1x1 back, each behind BatchNorm and ReLU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        half = outputs // 2
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(half), nn.BatchNorm2d(half)
        self.conv1, self.conv2 = convolution(inputs, half, 1), convolution(half, half, 3)
        self.conv3, self.skip_layer = convolution(half, outputs, 1), convolution(inputs, outputs, 1)
        self.widens = inputs != outputs

    def forward(self, x):
        """Add the three to the input, or to its skip."""
        y = x
        for norm, block in ((self.bn1, self.conv1), (self.bn2, self.conv2), (self.bn3, self.conv3)):
            y = run(block, F.relu(norm(y)))
        return y + (run(self.skip_layer, x) if self.widens else x)


class Level(nn.Module):
    """Figure 3: a residual beside, and one down, inside and up again at half the size."""

    def __init__(self, depth, width):
        super().__init__()
        self.up1, self.low1, self.low3 = (Bottleneck(width, width) for _ in range(3))
        self.low2 = Level(depth - 1, width) if depth > 1 else Bottleneck(width, width)

    def forward(self, x):
        """Same shape."""
        low = self.low3(self.low2(self.low1(F.max_pool2d(x, 2))))
        return self.up1(x) + low.repeat_interleave(2, 2).repeat_interleave(2, 3)


class Reference(nn.Module):
    """The network of section 3 with so many stacks; width / 4, / 2 in the stem."""

    def __init__(self, stacks, width, points, depth=4):
        super().__init__()
        self.pre = nn.ModuleList([
            convolution(3, width // 4, 7, 2, norm=True), Bottleneck(width // 4, width // 2), nn.MaxPool2d(2),
            Bottleneck(width // 2, width // 2), Bottleneck(width // 2, width),
        ])  # fmt: skip
        self.hgs = nn.ModuleList(nn.ModuleList([Level(depth, width)]) for _ in range(stacks))
        self.features = nn.ModuleList(
            nn.ModuleList([Bottleneck(width, width), convolution(width, width, 1, norm=True)]) for _ in range(stacks)
        )
        self.outs = nn.ModuleList(convolution(width, points, 1) for _ in range(stacks))
        joins = range(stacks - 1)
        self.merge_features = nn.ModuleList(nn.ModuleDict({"conv": convolution(width, width, 1)}) for _ in joins)
        self.merge_preds = nn.ModuleList(nn.ModuleDict({"conv": convolution(points, width, 1)}) for _ in joins)

    def forward(self, x):
        """Heatmaps of every stack."""
        x = run(self.pre[0], x)
        for block in list(self.pre)[1:]:
            x = block(x)
        found = []
        for stack in range(len(self.hgs)):
            features = run(self.features[stack][1], self.features[stack][0](self.hgs[stack][0](x)))
            found.append(run(self.outs[stack], features))
            if stack + 1 < len(self.hgs):
                x = (
                    x
                    + run(self.merge_features[stack]["conv"], features)
                    + run(self.merge_preds[stack]["conv"], found[-1])
                )
        return found


def reference(stacks, width, points, depth=4):
    """A network with random weights and statistics, in evaluation mode."""
    torch.manual_seed(0)
    network = Reference(stacks, width, points, depth)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()
