"""ResNet-50 as OrcaHello trained it: one input channel, and a head over concatenated max and average pooling.

Names of the parameters are those of the published state dict. `folded` gives the network for inference.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 convolutions beside a shortcut; He et al. 2015 with the stride of torchvision."""

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        channels_out = 4 * width
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels_out, 1, bias=False)
        self.bn3: nn.Module = nn.BatchNorm2d(channels_out)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels_in, mels, frames) to (batch, 4 * width, mels / stride, frames / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = functional.relu(self.bn2(self.conv2(x)), inplace=True)
        return functional.relu(self.bn3(self.conv3(x)).add_(shortcut), inplace=True)


class _Backbone(nn.Module):
    dtype = torch.float32
    """Type between the first convolution and the head, which are float32 always."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(64)
        self.layer1 = _stage(64, 64, 3, 1)
        self.layer2 = _stage(256, 128, 4, 2)
        self.layer3 = _stage(512, 256, 6, 2)
        self.layer4 = _stage(1024, 512, 3, 2)
        self.fc = nn.Sequential(
            nn.Flatten(),
            nn.BatchNorm1d(4096),
            nn.Dropout(0.25),
            nn.Linear(4096, 512),
            nn.ReLU(inplace=True),
            nn.BatchNorm1d(512),
            nn.Dropout(0.5),
            nn.Linear(512, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True).to(self.dtype)
        x = functional.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        pooled = torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1).float()
        logits: Tensor = self.fc(pooled)
        return logits


def _stage(channels_in: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    later = [Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)]
    return nn.Sequential(Bottleneck(channels_in, width, stride), *later)


class OrcaHelloNet(nn.Module):
    """(batch, 1, 256 mels, 312 frames) in decibels to (batch, 2) logits; class 1 is a call."""

    def __init__(self) -> None:
        super().__init__()
        self.model = _Backbone(2)

    def forward(self, x: Tensor) -> Tensor:
        """The logits; input and output are float32."""
        logits: Tensor = self.model(x)
        return logits


def folded(network: OrcaHelloNet, dtype: torch.dtype) -> OrcaHelloNet:
    """A copy for inference: batch norms folded into the convolutions, channels last, the four stages in `dtype`.

    The first convolution stays float32, since decibels near 70 rounded to bfloat16 would be off by a quarter of a decibel.
    """
    network = copy.deepcopy(network).eval()
    for parent in network.modules():
        for conv_name, norm_name in (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("0", "1")):
            conv, norm = getattr(parent, conv_name, None), getattr(parent, norm_name, None)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, nn.Identity())
    backbone = network.model
    backbone.dtype = dtype
    for stage in (backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4):
        stage.to(dtype)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network.requires_grad_(requires_grad=False)
