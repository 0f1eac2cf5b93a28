"""From a float32 graph to an int8 one: which steps, in which order, and what of them may be chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgefuse.progress import Progress, silent
from edgefuse_export.int8 import balancing, rounding
from edgefuse_export.int8.blocks import Attention, FeedForward, find_attentions, find_feed_forwards, is_product
from edgefuse_export.int8.integers import Levels, use_integer_scores, use_integers
from edgefuse_export.int8.moments import Moments, observe
from edgefuse_export.int8.patches import find_patches, use_pixels
from edgefuse_export.int8.wiring import Wiring
from edgefuse_export.resources import resources
from edgefuse_runtimes.spec import Preprocess

MOMENT_BYTES = {"normal": 2 << 30, "low": 128 << 20}
"""How much memory the second moments of layers that are observed together may take; less means to observe again."""


@dataclass(frozen=True)
class Recipe:
    """How weights and activations are rounded."""

    strength: float = 0.75
    """How much of a channel's range is moved from activations to weights, 0 to 1; 0: nothing is balanced."""
    compensated: bool = True
    """Whether the rows of a weight make up for what others were rounded by; else each goes to its nearest level."""
    scores: bool = True
    """Whether the scores of attentions are computed on integers too."""
    pixels: bool = True
    """Whether an image encoder's patch convolution is computed on integers, which the pixels of a picture are."""

    @property
    def steps(self) -> list[str]:
        """What is done, in words."""
        rounded = "compensated (GPTQ)" if self.compensated else "to the nearest level"
        return [
            *([f"channels balanced between activations and weights, strength {self.strength:g}"] * (self.strength > 0)),
            f"weights of MatMul to int8, symmetric per output channel, rounded {rounded}, no pair of neighbours over "
            f"{rounding.PAIR}; activations to uint8 when run",
            *(["scores of attentions on integers: queries to uint8 when run, keys to 7 bits"] * self.scores),
            *(["patch convolution as a product of whole pixels and int8 weights"] * self.pixels),
            "all else float32",
        ]


DEFAULT = Recipe()


@dataclass(frozen=True)
class _Unit:
    """Linear layers that are balanced and rounded together."""

    products: tuple[Any, ...]
    attention: Attention | None = None
    layer: FeedForward | None = None

    @property
    def inputs(self) -> list[str]:
        return list(dict.fromkeys(product.input[0] for product in self.products))

    @property
    def scored(self) -> list[str]:
        """Queries and keys, of which the ranges are wanted."""
        return [self.attention.query.output, self.attention.key.output] if self.attention else []


def quantise(
    wiring: Wiring,
    samples: Iterable[NDArray[Any]],
    recipe: Recipe = DEFAULT,
    progress: Progress = silent,
    *,
    preprocess: Preprocess | None = None,
) -> None:
    """Turn the linear layers of a graph into integer ones, in place, as `recipe` says.

    A MatMul that gives the graph's output stays as it is: it projects one vector in no time, and its rounding would
    be seen most.

    Args:
        wiring: the graph; its scales are folded (`folding.fold_scales`).
        samples: inputs of the graph, each a batch of one, that stand for what it will meet.
        recipe: the choices.
        progress: shows the steps.
        preprocess: how pixels became an image encoder's input.
    """
    kept = list(samples)
    units = _units(wiring)
    rounded: list[tuple[Any, Levels]] = []
    scored: list[tuple[Attention, Moments]] = []
    for group in _groups(wiring, units):
        inputs = list(dict.fromkeys(name for unit in group for name in unit.inputs))
        ranges = [name for unit in group for name in unit.scored] if recipe.scores else []
        seen = progress("observing the encoder", kept, len(kept))
        moments = observe(wiring, inputs, seen, ranges=ranges)
        for unit in progress("rounding weights", group, len(group)):
            if recipe.strength:
                _balance(wiring, unit, moments, recipe.strength)
            if recipe.scores and unit.attention is not None:
                queries, keys = (moments[name] for name in unit.scored)
                scored.append((unit.attention, balancing.balance_scores(wiring, unit.attention, queries, keys)))
            rounded += [(product, _levels(wiring, product, moments, recipe)) for product in unit.products]
    for attention, keys in scored:
        use_integer_scores(wiring, attention, keys)
    use_integers(wiring, rounded)
    patches = find_patches(wiring) if recipe.pixels and preprocess is not None else None
    if patches is not None and preprocess is not None:
        use_pixels(wiring, patches, preprocess, kept)


def _units(wiring: Wiring) -> list[_Unit]:
    """All linear layers with constant weights, block by block, those of no block last."""
    units = []
    for attention in find_attentions(wiring):
        linears = (attention.query, attention.key, attention.value, attention.output)
        units.append(_Unit(tuple(linear.product for linear in linears), attention=attention))
    units += [_Unit((layer.up.product, layer.down.product), layer=layer) for layer in find_feed_forwards(wiring)]
    known = {id(product) for unit in units for product in unit.products}
    last = wiring.output.name
    return units + [
        _Unit((node,)) for node in wiring.nodes
        if is_product(wiring, node) and id(node) not in known and last not in node.output
    ]  # fmt: skip


def _groups(wiring: Wiring, units: Sequence[_Unit]) -> Iterator[list[_Unit]]:
    """Units whose second moments fit into memory together."""
    group: list[_Unit] = []
    taken = 0
    for unit in units:
        widths = {product.input[0]: len(wiring.constants[product.input[1]]) for product in unit.products}
        size = sum(8 * width**2 for width in widths.values())
        if group and taken + size > MOMENT_BYTES[resources().memory]:
            yield group
            group, taken = [], 0
        group.append(unit)
        taken += size
    if group:
        yield group


def _balance(wiring: Wiring, unit: _Unit, moments: dict[str, Moments], strength: float) -> None:
    attention, layer = unit.attention, unit.layer
    if attention is not None:
        if attention.norm is not None:
            linears, before = (attention.query, attention.key, attention.value), moments[attention.query.input]
            moved = balancing.balance_norm(wiring, attention.norm, linears, before, strength)
            moments[attention.query.input] = moved
        name = attention.output.input
        moments[name] = balancing.balance_values(wiring, attention, moments[name], strength)
    if layer is not None:
        if layer.norm is not None:
            before = moments[layer.up.input]
            moments[layer.up.input] = balancing.balance_norm(wiring, layer.norm, [layer.up], before, strength)
        moved = balancing.balance_activation(wiring, layer, moments[layer.down.input], strength)
        moments[layer.down.input] = moved


def _levels(wiring: Wiring, product: Any, moments: dict[str, Moments], recipe: Recipe) -> Levels:
    weight = wiring.constants[product.input[1]]  # (k, n)
    scale = rounding.scales(weight)  # (n,)
    if not recipe.compensated:
        return rounding.nearest(weight, scale), scale
    second = moments[product.input[0]].second
    assert second is not None, "observed for its second moments"
    return rounding.compensated(weight, scale, second), scale
