"""What a network costs: parameters and multiply-adds."""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode


def parameters(module: nn.Module) -> int:
    """Number of parameters, shared ones counted once."""
    return sum(p.numel() for p in module.parameters())


def gmacs(module: nn.Module, *inputs: Tensor) -> float:
    """Giga multiply-adds of one forward pass, as papers count them under the names FLOPs and MACs.

    Convolutions, linear layers and matrix products count; normalisation, activations and resampling do not. A module and inputs on the `meta`
    device cost no time and no memory.

    Args:
        module: counted in the mode it is in; nothing in it changes if it is in evaluation mode.
        inputs: as its `forward` takes them.
    """
    # detached, because the counter stumbles over parameters that are passed as arguments while gradients are off
    values = {name: value.detach() for name, value in (*module.named_parameters(), *module.named_buffers())}
    with FlopCounterMode(display=False) as counter:
        functional_call(module, values, inputs)
    return float(counter.get_total_flops()) / 2e9
