"""OrcaHello's network on x86 processors, with each convolution, its addition and its ReLU in one pass over memory (oneDNN).

Docs: docs/adr/0036-fused-by-torchs-own-operators.md. torch has these operators for its own compiler, torch.ops.mkldnn, named with
an underscore: a new version of torch may change them, and the parity tests would say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.resnet import Bottleneck, OrcaHelloNet, folded

Network = Callable[[Tensor], Tensor]


def for_inference(network: OrcaHelloNet, dtype: torch.dtype, device: torch.device, input_shape: tuple[int, ...]) -> Network:
    """The network for inference in `dtype`, fused where the processor allows; fastest for batches of `input_shape`."""
    plain = folded(network, dtype).to(device)
    return FusedNet(plain, input_shape) if device.type == "cpu" and _fusible(dtype) else plain


def _fusible(dtype: torch.dtype) -> bool:
    if not (torch.backends.mkldnn.is_available() and torch.cpu._is_avx2_supported()):  # type: ignore[no-untyped-call]
        return False
    return dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@dataclass(frozen=True, slots=True)
class _Conv:
    """A convolution with its weights in the layout that oneDNN chose for the input's shape."""

    weight: Tensor
    bias: Tensor
    geometry: tuple[list[int], list[int], list[int], int]

    def __call__(self, x: Tensor, after: str = "none") -> Tensor:
        """`after` is "relu" or "none"."""
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(x, self.weight, self.bias, *self.geometry, after, [], "")
        return result

    def added_to(self, other: Tensor, x: Tensor) -> Tensor:
        """relu(conv(x) + other), written over `other`."""
        result: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            other, x, self.weight, self.bias, *self.geometry, "add", None, "relu", [], ""
        )
        return result


def _laid_out(conv: nn.Module, x: Tensor) -> _Conv:
    if not isinstance(conv, nn.Conv2d) or conv.bias is None or isinstance(conv.padding, str):
        raise TypeError(f"expected a convolution with a folded batch norm, not {conv}")
    padding, stride, dilation = list(conv.padding), list(conv.stride), list(conv.dilation)
    weight = torch.ops.mkldnn._reorder_convolution_weight(conv.weight, padding, stride, dilation, conv.groups, list(x.shape))
    return _Conv(weight, conv.bias, (padding, stride, dilation, conv.groups))


class _Block:
    """A `Bottleneck`; `x` is an input of the usual shape."""

    def __init__(self, block: Bottleneck, x: Tensor) -> None:
        self.downsample = None if block.downsample is None else _laid_out(block.downsample[0], x)
        self.conv1 = _laid_out(block.conv1, x)
        x = self.conv1(x, "relu")
        self.conv2 = _laid_out(block.conv2, x)
        self.conv3 = _laid_out(block.conv3, self.conv2(x, "relu"))

    def __call__(self, x: Tensor) -> Tensor:
        """Writes over `x` where it is the shortcut too: nothing reads it afterwards."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.conv3.added_to(shortcut, self.conv2(self.conv1(x, "relu"), "relu"))


class FusedNet:
    """A folded `OrcaHelloNet`, fastest for inputs of `input_shape`, correct for any. Call it in inference mode."""

    @torch.inference_mode()
    def __init__(self, network: OrcaHelloNet, input_shape: tuple[int, ...]) -> None:
        backbone = network.model
        self.dtype, self.head = backbone.dtype, backbone.fc
        x = torch.zeros(input_shape).contiguous(memory_format=torch.channels_last)
        self.first = _laid_out(backbone.conv1, x)
        self.blocks: list[_Block] = []
        x = self._stem(x)
        for stage in (backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4):
            for block in stage:
                assert isinstance(block, Bottleneck)
                self.blocks.append(_Block(block, x))
                x = self.blocks[-1](x)

    def __call__(self, x: Tensor) -> Tensor:
        """(batch, 1, mels, frames) to (batch, 2) logits, float32 both."""
        x = self._stem(x)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1).float())
        return logits

    def _stem(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(self.first(x, "relu").to(self.dtype), 3, 2, 1)
