"""Training on the datasets that the core builds. Imports run training → core, never back.

Importing this package makes MoE-LoRA adapters known to PEFT, so that it loads them.
"""

try:
    import pedcorpus.training.moe_lora  # noqa: F401
except ModuleNotFoundError as error:
    from pedcorpus.errors import PedcorpusError

    if (error.name or "").split(".")[0] == "pedcorpus":
        raise
    raise PedcorpusError(
        f"training needs the package {error.name}", "install the extra: pip install 'pedcorpus[train]'"
    ) from error
