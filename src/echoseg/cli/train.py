"""`echoseg train`: the name of a recipe first, then flags for everything that the recipe decides."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar, cast

import tyro
from tyro.conf import FlagCreatePairsOff, arg

from echoseg.cli.meter import Meter
from echoseg.cli.optional import require
from echoseg.cli.output import printable, say
from echoseg.errors import UsageError

if TYPE_CHECKING:
    from echoseg.recipes import EfRunConfig, RunConfig

AnyRun = TypeVar("AnyRun", bound="RunConfig | EfRunConfig")


@dataclass(frozen=True)
class TrainOptions:
    """Flags of every recipe.

    Attributes:
        data_dir: data folder in a layout that `echoseg data check` knows.
        out: folder of the run: checkpoints, logs, and at the end the model in RUN/model.
        seed: seed of weights, order and augmentation; the same as --train.seed.
        also: second data folder, simulated stills beside real ones for example; --data.also-share says how many of the clips it gives.
        init: weights to start from in place of random ones; the same as --train.init.
        device: auto, cpu, cuda or cuda:N.
        resume: go on with a run that was interrupted; all other flags must be as they were.
    """

    data_dir: Annotated[Path, arg(name="data", metavar="DIR")]
    out: Annotated[Path, arg(aliases=["-o"], metavar="RUN")]
    seed: Annotated[int | None, arg(metavar="S", help_behavior_hint="(default: the recipe's)")] = None
    also: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: none)")] = None
    init: Annotated[str | None, arg(metavar="RUN", help_behavior_hint="(default: none)")] = None
    device: str = "auto"
    resume: FlagCreatePairsOff[Annotated[bool, arg(help_behavior_hint="")]] = False


class _Parsed(Protocol):
    """What tyro makes of the words: `TrainOptions`, and one attribute for each part of the recipe."""

    data_dir: Path
    out: Path
    seed: int | None
    also: Path | None
    init: str | None
    device: str
    resume: bool


def run(args: Sequence[str]) -> int:
    """Train as a command line asks for."""
    require("train", "train")
    from echoseg.recipes import EF_RECIPES, RECIPES, ef_recipe, recipe

    if not args:
        raise UsageError(f"train: no recipe is given; choose one of {', '.join(RECIPES | EF_RECIPES)}")
    name, *rest = args
    if name in ("-h", "--help"):
        say(recipe_list())
        return 0
    if name.startswith("-"):
        raise UsageError(f"train {name}: the name of a recipe comes first; `echoseg train --help` lists them")
    default = ef_recipe(name) if name in EF_RECIPES else recipe(name)
    options, config = parse_recipe(name, default, rest)
    from echoseg.recipes.run import train_run

    with Meter() as meter:
        folder = train_run(
            config,
            options.data_dir,
            options.out,
            device=options.device,
            resume=options.resume,
            progress=meter.show,
            also=options.also,
        )
    say(_text(folder, options, "--ef-model" if name in EF_RECIPES else "--model"))
    return 0


def parse_recipe(name: str, default: AnyRun, args: Sequence[str]) -> tuple[_Parsed, AnyRun]:
    """The words after a recipe's name.

    Args:
        name: of the recipe.
        default: what it returns; every part of it that is a dataclass becomes a group of flags (`--train.steps`).
        args: words.

    Returns:
        The flags that every recipe has, and the recipe as the other flags changed it.
    """
    parts = {field.name: getattr(default, field.name) for field in dataclasses.fields(default)}
    groups = {part: value for part, value in parts.items() if dataclasses.is_dataclass(value)}
    # The concrete class of the network's configuration is known only now, so the class of all flags is made here.
    flags = make_dataclass(
        "Flags",
        [(part, type(value), dataclasses.field(default=value)) for part, value in groups.items()],
        bases=(TrainOptions,),
        frozen=True,
    )
    parsed: Any = tyro.cli(
        flags,
        prog=f"echoseg train {name}",
        description=f"Train as the recipe {name} says; every flag changes one thing of it.",
        args=list(args),
        config=(tyro.conf.DisallowNone,),
    )
    config = replace(default, **{part: getattr(parsed, part) for part in groups})
    same = {"seed": parsed.seed, "init": parsed.init}
    config = replace(config, train=replace(config.train, **{k: v for k, v in same.items() if v is not None}))
    return cast(_Parsed, parsed), config


def recipe_list() -> str:
    """Help on the recipes: their names, and the first line of what each says of itself."""
    from echoseg.recipes import EF_RECIPES, RECIPES

    every = RECIPES | EF_RECIPES
    width = max(map(len, every))
    lines = []
    for name, place in every.items():
        module, _, function = place.partition(":")
        doc = getattr(import_module(module), function).__doc__ or ""
        lines.append(f"  {name:<{width}}  {doc.strip().splitlines()[0] if doc else ''}".rstrip())
    return (
        "usage: echoseg train RECIPE --data DIR -o RUN [--seed S] [--device auto|cpu|cuda:0] [--resume] [...]\n"
        "       echoseg train RECIPE --help     all flags of a recipe\n\n"
        "recipes:\n" + "\n".join(lines)
    )


def _text(folder: Path, options: _Parsed, flag: str) -> str:
    model, data = (shlex.quote(printable(str(path))) for path in (folder, options.data_dir))
    return (
        f"model  {model}\n\n"
        "how to go on:\n"
        f"  echoseg evaluate {model} --data {data} -o scores\n"
        f"  echoseg segment CINE... -o results {flag} {model}"
    )
