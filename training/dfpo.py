"""Direct following preference optimization (DFPO): sigmoid preference loss plus a length-averaged likelihood term.

The objective is that of PediatricsGPT (arXiv 2405.19266):

    L = -log sigmoid(z) + mu * Phi,    z = beta * [log(pi(y_w|x) / pi_ref(y_w|x)) - log(pi(y_l|x) / pi_ref(y_l|x))]

averaged over the pairs (x, y_w, y_l). Log-probabilities of an answer are summed over its tokens, in nats. Phi keeps the
preferred answer likely; how it is averaged is not stated in the paper, so it is a parameter:

- ``phi = "sequence"``: mean over pairs of [-log pi(y_w|x) / tokens of y_w]. Every pair counts the same, whatever the
  length of its answer, and the value does not depend on how a batch is cut into micro-batches.
- ``phi = "token"``: TRL's own ``sft`` loss, the mean over all tokens of preferred answers in a micro-batch. Long answers
  count more, and the value does depend on the cut.

Label smoothing e mixes in the flipped pair: ``-(1 - e) log sigmoid(z) - e log sigmoid(-z)``.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import trl
from datasets import Dataset, IterableDataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from pedcorpus.errors import PedcorpusError

__all__ = ["ID_COLUMNS", "PHI_FORMS", "SUPPORTED_TRL", "DFPOConfig", "DFPOTrainer", "UnsupportedTRLError"]

logger = logging.getLogger(__name__)

SUPPORTED_TRL = ">=1.16,<1.17"
"""The trl releases whose internals this module was written for and is tested with."""

PHI_FORMS = ("sequence", "token")
"""How Phi is averaged; see the module's docstring."""

ID_COLUMNS = ("prompt_ids", "chosen_ids", "rejected_ids")
"""Columns of a row that is already tokenised, each a list of token ids."""

_REFERENCE_COLUMNS = ("ref_chosen_logps", "ref_rejected_logps")


class UnsupportedTRLError(PedcorpusError):
    """The installed trl does not have the internals that DFPO builds on."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"DFPO cannot run on trl {trl.__version__}: {what}. Supported: trl{SUPPORTED_TRL}",
            f'pip install "trl{SUPPORTED_TRL}"',
        )


@dataclass
class DFPOConfig(DPOConfig):
    """TRL's ``DPOConfig`` plus ``mu`` and ``phi``.

    ``beta`` (default 0.1), ``label_smoothing`` (default 0) and everything else is inherited. The values of the paper are
    not published; in its code Phi is off (0) unless set. The default ``mu`` is ours.

    Raises:
        ValueError: if ``mu`` is negative or not finite, ``beta`` is not above 0, ``label_smoothing`` is outside
            [0, 0.5), ``phi`` is not one of `PHI_FORMS`, or an inherited option would make it another loss
            (``loss_type``, ``loss_weights``, ``ld_alpha``, ``f_divergence_type``, ``use_weighting``).
    """

    mu: float = field(default=1.0, metadata={"help": "Weight of Phi, at least 0. With 0 the loss is plain DPO."})
    phi: str = field(
        default="sequence",
        metadata={"help": "How Phi is averaged: per sequence, or over tokens as TRL does.", "choices": list(PHI_FORMS)},
    )

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mu) and self.mu >= 0):
            raise ValueError(f"mu = {self.mu}: allowed is a number of at least 0")
        if not (math.isfinite(self.beta) and self.beta > 0):
            raise ValueError(f"beta = {self.beta}: allowed is a number above 0")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(f"label_smoothing = {self.label_smoothing}: allowed is a number from 0 to below 0.5")
        if self.phi not in PHI_FORMS:
            raise ValueError(f"phi = {self.phi!r}: allowed are {' and '.join(map(repr, PHI_FORMS))}")
        fixed = {
            "loss_type": self.loss_type in ("sigmoid", ["sigmoid"]),
            "loss_weights": self.loss_weights in (None, [1.0]),
            "ld_alpha": self.ld_alpha is None,
            "f_divergence_type": self.f_divergence_type == "reverse_kl",
            "use_weighting": not self.use_weighting,
        }
        for name, as_defined in fixed.items():
            if not as_defined:
                raise ValueError(
                    f"{name} = {getattr(self, name)!r}: allowed is only its default, anything else is not DFPO; "
                    "the loss is set by beta, mu, phi and label_smoothing"
                )
        super().__post_init__()  # type: ignore[no-untyped-call]


class _Recorder:
    """Calls a model and keeps what its first call returned."""

    def __init__(self, model: Callable[..., Any]) -> None:
        self.model = model
        self.outputs: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outputs = self.model(*args, **kwargs)
        if self.outputs is None:
            self.outputs = outputs
        return outputs


class DFPOTrainer(DPOTrainer):
    """``DPOTrainer`` with the DFPO loss; no forward pass more than DPO needs.

    Rows are conversational: ``{"prompt": [messages], "chosen": [one assistant message], "rejected": [one assistant
    message]}``. The prompt may hold earlier turns of the assistant; they are context and are never scored: only the
    tokens of chosen and rejected count, in the preference loss and in Phi. Ways to hand them over:

    - Tokenised by the caller, with the columns of `ID_COLUMNS`: ``prompt_ids`` is the rendered prompt with the
      generation prompt, ``chosen_ids`` and ``rejected_ids`` are what follows it, with the end-of-turn token. These ids
      are used as they are and no template is applied; the messages may stay in the row. This is what the project does,
      because it owns templates and masks. ``ref_chosen_logps`` and ``ref_rejected_logps`` (nats, summed over the answer)
      may be handed over too, for ``precompute_ref_log_probs``.
    - Without these columns: TRL applies the tokeniser's chat template.

    Rows longer than ``max_length`` lose the end of the answer; rows whose prompt alone fills it are left out, with a
    warning that counts them. Phi divides by the number of tokens that are left.

    The reference model, in order of precedence:

    - ``ref_model`` given as a model, or as the directory of a saved parent, which is loaded in the policy's dtype.
    - ``peft_config`` given: the policy with its adapter off.
    - ``model`` already a ``PeftModel``: a frozen copy of its adapter as it is now.
    - Otherwise the policy as it was saved: it is read again from the directory the policy came from, so a policy
      changed in memory is *not* its own reference. With ``precompute_ref_log_probs`` the policy in memory is used.

    With ``precompute_ref_log_probs=True`` the log-probabilities of the reference are computed once, before training.

    The loss of an optimizer step is the mean over its pairs: micro-batches are weighted by their number of pairs, so
    also an uneven last micro-batch gives the loss and gradient of the whole batch (TRL's DPO gives every micro-batch the
    same weight). Phi in ``token`` form is still averaged inside each micro-batch. With several processes the step is the
    mean over the pairs of all of them; where the last rows do not fill every process, accelerate repeats rows
    (``even_batches``), and the repeated rows count.

    Logged beside TRL's metrics (``rewards/*``, ``logps/*``, ...), as means over the micro-batches since the last log:
    ``phi``, the value of Phi in nats per token before mu, and ``preference_loss``, the loss without mu * Phi.

    Args:
        model: a model, a ``PeftModel``, a directory or a Hub id.
        ref_model: the reference; a model, the directory of a saved model, or None.
        args: the configuration.
        **kwargs: as for ``DPOTrainer``: ``train_dataset``, ``eval_dataset``, ``processing_class``, ``peft_config``, ...

    Raises:
        TypeError: ``args`` is not a `DFPOConfig`.
        ValueError: a row has no prompt, chosen or rejected ids; no row is left; the reference directory holds no model;
            the reference is to be read from disk but the policy was never saved; the copy of an adapter that serves as
            reference differs from it.
        UnsupportedTRLError: trl lacks the internals used here.
    """

    # compute_loss weighs micro-batches itself
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: str | PreTrainedModel | PeftModel,
        ref_model: PreTrainedModel | str | Path | None = None,
        args: DFPOConfig | None = None,
        **kwargs: Any,
    ) -> None:
        _check_trl()
        if not isinstance(args, DFPOConfig):
            raise TypeError(f"args must be a DFPOConfig, got {type(args).__name__}")
        reference = _load_reference(Path(ref_model), model, args) if isinstance(ref_model, str | Path) else ref_model
        if reference is None and kwargs.get("peft_config") is None and not isinstance(model, PeftModel):
            _check_saved(model, args)
        copies_adapter = reference is None and isinstance(model, PeftModel)

        super().__init__(model, reference, args, **kwargs)

        for attribute in ("loss_types", "loss_weights", "label_smoothing", "beta", "_metrics", "aux_loss_enabled"):
            if not hasattr(self, attribute):
                raise UnsupportedTRLError(f"DPOTrainer has no attribute {attribute}")
        if copies_adapter:
            _check_adapter_copy(self._policy())
        self.mu = args.mu
        self.phi = args.phi
        self.loss_types, self.loss_weights = _native_losses(args)

    def _policy(self) -> torch.nn.Module:
        model = self.model
        assert isinstance(model, torch.nn.Module)
        return model

    def _prepare_dataset(
        self, dataset: Dataset | IterableDataset, processing_class: Any, args: DPOConfig, dataset_name: str
    ) -> Dataset | IterableDataset:
        """The dataset with the columns of `ID_COLUMNS`; rows that have them keep their ids."""
        if not set(ID_COLUMNS) <= set(next(iter(dataset))):
            return super()._prepare_dataset(dataset, processing_class, args, dataset_name)
        limit = args.max_length if args.truncation_mode == "keep_start" else None
        options: dict[str, Any] = {"with_indices": True, "fn_kwargs": {"limit": limit, "name": dataset_name}}
        if isinstance(dataset, IterableDataset):
            return dataset.filter(_has_room, **options)
        kept = dataset.filter(
            _has_room, num_proc=args.dataset_num_proc, desc=f"Checking token ids of {dataset_name}", **options
        )
        if dropped := len(dataset) - len(kept):
            told = f"{dropped} of {len(dataset)} rows of {dataset_name}: the prompt alone fills max_length = {limit}"
            if not len(kept):
                raise ValueError(f"{told}; nothing is left to train on, raise max_length")
            logger.warning("left out %s", told)
        return kept

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """The dataset with reference log-probabilities, which are computed unless its rows have them."""
        if not isinstance(dataset, IterableDataset) and set(_REFERENCE_COLUMNS) <= set(dataset.column_names):
            return dataset
        return super()._precompute_ref_logps(dataset, name, batch_size)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """The micro-batches of one optimizer step, and the pairs they hold: the mean number per process."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not batches:
            return batches, None
        pairs = sum(len(batch["input_ids"]) // 2 for batch in batches)
        if self.accelerator.num_processes > 1:
            total = self.accelerator.gather(torch.tensor([pairs], device=device)).sum().item()
            return batches, total / self.accelerator.num_processes
        return batches, pairs

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The DFPO loss of one micro-batch, a scalar.

        Args:
            model: the policy.
            inputs: ``input_ids``, ``attention_mask`` and ``completion_mask``, each (2 * pairs, tokens), first the chosen
                rows, then the rejected ones.
            return_outputs: whether to return (loss, outputs).
            num_items_in_batch: pairs in the optimizer step, per process. If given, the mean over the pairs of this
                micro-batch is scaled by their share, so that the sum over micro-batches is the mean over all pairs.
        """
        result: Any = super().compute_loss(model, inputs, return_outputs)  # type: ignore[no-untyped-call]
        if num_items_in_batch is None:
            return result
        share = (len(inputs["input_ids"]) // 2) / num_items_in_batch
        if return_outputs:
            loss, outputs = result
            return loss * share, outputs
        return result * share

    def _compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any], return_outputs: bool) -> Any:
        recorder = _Recorder(model)
        result: Any = super()._compute_loss(recorder, inputs, return_outputs)  # type: ignore[no-untyped-call]
        loss = result[0] if return_outputs else result
        log_probs, mask = _chosen_log_probs(recorder.outputs, inputs)

        preference = loss.detach()
        if self.phi == "sequence":
            phi = (-(log_probs * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()
            if self.mu:
                loss = loss + self.mu * phi
            phi = phi.detach()
        else:
            # TRL has added mu * Phi as its own loss; here it is only told apart from the rest
            phi = -(log_probs.detach() * mask).sum() / mask.sum().clamp(min=1)
            preference = preference - self.mu * phi
        if self.aux_loss_enabled:
            preference = preference - self.router_aux_loss_coef * recorder.outputs.aux_loss.detach()

        told = self.accelerator.gather(torch.stack([phi, preference.to(phi.dtype)]).unsqueeze(0)).mean(0).tolist()
        metrics = self._metrics["train" if self._policy().training else "eval"]
        metrics["phi"].append(told[0])
        metrics["preference_loss"].append(told[1])
        return (loss, result[1]) if return_outputs else loss


def _native_losses(args: DFPOConfig) -> tuple[list[str], list[float]]:
    """The part of the loss that TRL computes: names of its losses and their weights.

    TRL's ``sigmoid`` ignores label smoothing e. Its ``robust`` has it, but unbiased and not mixed:
    ``R = -log sigmoid(z) - e z / (1 - 2e)``, because ``log sigmoid(-z) = log sigmoid(z) - z``. The mixed loss is
    ``-log sigmoid(z) + e z``, hence ``(2 - 2e) S - (1 - 2e) R`` with ``S = -log sigmoid(z)``.
    """
    smoothing = args.label_smoothing
    losses = {"sigmoid": 1.0}
    if smoothing:
        losses = {"sigmoid": 2 - 2 * smoothing, "robust": -(1 - 2 * smoothing)}
    if args.phi == "token" and args.mu:
        losses["sft"] = args.mu
    return list(losses), list(losses.values())


def _has_room(row: Mapping[str, Any], index: int, limit: int | None, name: str) -> bool:
    """Whether the prompt leaves room for the answers; raises ValueError for a row without ids."""
    for column in ID_COLUMNS:
        if not row[column]:
            raise ValueError(f"row {index} of {name}: {column} is empty; allowed is a list of at least one token id")
    return limit is None or len(row["prompt_ids"]) < limit


def _chosen_log_probs(outputs: Any, inputs: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the chosen rows and the mask of their answers, each (pairs, tokens - 1)."""
    if "completion_mask" not in inputs:
        raise UnsupportedTRLError("the batch has no completion_mask")
    if outputs is None:
        raise UnsupportedTRLError("DPOTrainer._compute_loss did not call the model it was given")
    mask = inputs["completion_mask"][:, 1:]
    log_probs = getattr(outputs, "log_probs", None)
    if not isinstance(log_probs, torch.Tensor):
        raise UnsupportedTRLError("the model's output has no log_probs")
    if log_probs.ndim != 2 or len(log_probs) != len(mask) or log_probs.size(1) < mask.size(1) or len(mask) % 2:
        raise UnsupportedTRLError(
            f"log_probs has shape {tuple(log_probs.shape)}, expected (2 * pairs, tokens - 1) = {tuple(mask.shape)}"
        )
    pairs = len(mask) // 2
    # prompt-learning adapters put virtual tokens in front
    return log_probs[:pairs, -mask.size(1) :], mask[:pairs]


def _check_trl() -> None:
    expected = ["self", "model", "inputs", "return_outputs"]
    method = getattr(DPOTrainer, "_compute_loss", None)
    if method is None:
        raise UnsupportedTRLError("DPOTrainer has no method _compute_loss")
    if (found := list(inspect.signature(method).parameters)) != expected:
        raise UnsupportedTRLError(f"DPOTrainer._compute_loss takes ({', '.join(found)}), not ({', '.join(expected)})")
    for name in ("_prepare_dataset", "_precompute_ref_logps"):
        if not hasattr(DPOTrainer, name):
            raise UnsupportedTRLError(f"DPOTrainer has no method {name}")


def _check_saved(model: str | torch.nn.Module, args: DFPOConfig) -> None:
    """Refuse a policy whose reference would be read from a place that does not exist."""
    if args.precompute_ref_log_probs:
        return
    name = model if isinstance(model, str) else getattr(model.config, "_name_or_path", "")
    if not name:
        raise ValueError(
            "the policy was never saved, so there is nothing to read the reference from: "
            "give ref_model, or save the policy and load it from its directory"
        )
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise ValueError(f"the reference is to be read from {name}, where the policy came from, but it is gone")


def _load_reference(path: Path, model: str | torch.nn.Module, args: DFPOConfig) -> Any:
    """The model saved under ``path``, in the policy's dtype and with its kind of attention."""
    if not any((path / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise ValueError(f"ref_model = {str(path)!r}: allowed is the directory of a saved model; no config.json there")
    options: dict[str, Any] = dict(args.model_init_kwargs) if isinstance(args.model_init_kwargs, dict) else {}
    options.setdefault("trust_remote_code", args.trust_remote_code)
    if isinstance(model, str):
        options.setdefault("dtype", torch.float32)
    else:
        policy: Any = model
        options.setdefault("dtype", policy.dtype)
        options.setdefault("attn_implementation", policy.config._attn_implementation)
    return AutoModelForCausalLM.from_pretrained(path, **options)


def _check_adapter_copy(model: torch.nn.Module) -> None:
    """Refuse a reference adapter that differs from the adapter it should be a copy of."""
    parameters = dict(model.named_parameters())
    wrong = []
    for name, value in parameters.items():
        parts = name.split(".")
        if "default" in parts:
            twin = parameters.get(".".join("ref" if part == "default" else part for part in parts))
            if twin is None or twin.shape != value.shape or not torch.equal(twin.detach(), value.detach()):
                wrong.append(name)
    if wrong:
        raise ValueError(
            f"the reference copy of the adapter differs from it in {len(wrong)} tensors, first {wrong[0]}: "
            "merge and save the parent, give its directory as ref_model, and pass a peft_config"
        )
