"""The shape of a decoder model, read from its ``config.json`` alone: every weight it has, and KV.

Layouts as in Hugging Face transformers (``models/{llama,mistral,qwen2,qwen3,mixtral,qwen3_moe}/
modeling_*.py``): attention with grouped key-value heads (arXiv:2305.13245), gated feed-forward
layers or experts of them, RMS norms, an embedding that the output head may share.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["q", "k", "v", "o", "gate", "up", "down"]

SHAPES = (
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "MixtralForCausalLM",
    "Qwen3MoeForCausalLM",
)
# These have no biases, whatever a configuration says.
_UNBIASED = ("MistralForCausalLM", "MixtralForCausalLM")


class ShapeError(ValueError):
    """The configuration does not say what is needed; the message names the key."""


@dataclass(frozen=True, kw_only=True)
class Linear:
    """One kind of linear layer of one block; ``copies`` counts its experts."""

    role: Role
    block: int
    inputs: int
    outputs: int
    copies: int = 1

    @property
    def parameters(self) -> int:
        """Weights of all copies, biases left out."""
        return self.inputs * self.outputs * self.copies


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """What of a model decides its size. Counts are of values, not of bytes.

    ``linears`` are what recipes quantize, ``biased`` which of them have biases; ``routers`` choose
    experts and stay wide; ``norms`` are one-dimensional (biases included). ``windows`` is how far
    back each block looks (None: all).
    """

    architecture: str
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    positions: int
    tied: bool
    experts: int
    experts_per_token: int
    feed_forward: int
    linears: tuple[Linear, ...]
    biased: frozenset[Role]
    routers: int
    norms: int
    windows: tuple[int | None, ...]

    @property
    def window(self) -> int | None:
        """The shortest look back that a text within the model's own length can notice."""
        windows = [window for window in self.windows if window and window < self.positions]
        return min(windows, default=None)

    @property
    def blocks(self) -> int:
        """Decoder blocks ("layers" of the configuration)."""
        return len(self.windows)

    @property
    def without_experts(self) -> tuple[int, ...]:
        """The dense blocks of a model whose other blocks have experts."""
        if self.experts == 1:
            return ()
        return tuple(item.block for item in self.linears if item.role == "up" and item.copies == 1)

    @property
    def embedding(self) -> int:
        """Values of the embedding, and of the output head where it is not the same."""
        return self.vocabulary * self.hidden

    @property
    def linear_parameters(self) -> int:
        """Weights of all linear layers of the blocks."""
        return sum(linear.parameters for linear in self.linears)

    @property
    def parameters(self) -> int:
        """All weights, a shared embedding counted once, as model cards count them."""
        tables = self.embedding * (1 if self.tied else 2)
        return self.linear_parameters + self.routers + self.norms + tables


def read_shape(config: Mapping[str, Any]) -> ModelShape:
    """The shape of a model with this configuration.

    Raises:
        ShapeError: the architecture is unknown, or a key is missing or no positive integer.
    """
    architecture = (config.get("architectures") or ["none named"])[0]
    if architecture not in SHAPES:
        raise ShapeError(
            f"architectures: {architecture} has no known layout (known: {', '.join(SHAPES)})"
        )
    hidden, heads = _count(config, "hidden_size"), _count(config, "num_attention_heads")
    blocks = _count(config, "num_hidden_layers")
    kv_heads = _count(config, "num_key_value_heads", heads)
    head_size = _count(config, "head_dim", hidden // heads)
    experts = _count(config, "num_local_experts", _count(config, "num_experts", 1))
    expert_width = _count(config, "moe_intermediate_size", _count(config, "intermediate_size"))
    linears: list[Linear] = []
    sparse = 0
    for block in range(blocks):
        linears += _attention(block, hidden, heads * head_size, kv_heads * head_size)
        if experts > 1 and _is_sparse(config, block):
            sparse += 1
            linears += _feed_forward(block, hidden, expert_width, experts)
        else:
            linears += _feed_forward(block, hidden, _count(config, "intermediate_size"), 1)
    per_token = _count(config, "num_experts_per_tok", 2) if experts > 1 else 1
    biased = _biased(config, architecture)
    return ModelShape(
        architecture=architecture,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        vocabulary=_count(config, "vocab_size"),
        positions=_count(config, "max_position_embeddings", 2048),
        tied=bool(config.get("tie_word_embeddings", False)),
        experts=experts,
        experts_per_token=per_token,
        feed_forward=expert_width * per_token,
        linears=tuple(linears),
        biased=biased,
        routers=sparse * hidden * experts,
        norms=hidden * (2 * blocks + 1) + blocks * _small(architecture, biased, head_size, linears),
        windows=tuple(_window(config, architecture, block) for block in range(blocks)),
    )


def outline(config: Mapping[str, Any]) -> ModelShape:
    """The shape of any model: of an architecture without a known layout, all but its weights.

    What decides the key-value cache and the forward pass stands under the same keys in nearly every
    decoder's configuration (that of a model with images under ``text_config``). Windows are kept
    where ``layer_types`` names them, and else counted as none: more cache, never less.

    Raises:
        ShapeError: a key is missing or no positive integer.
    """
    if (config.get("architectures") or ["none named"])[0] in SHAPES:
        return read_shape(config)
    inner = config.get("text_config")
    own = {**config, **inner} if isinstance(inner, Mapping) else config
    hidden, heads = _count(own, "hidden_size"), _count(own, "num_attention_heads")
    experts = _count(own, "num_local_experts", _count(own, "num_experts", 1))
    per_token = _count(own, "num_experts_per_tok", 2) if experts > 1 else 1
    width = _count(own, "moe_intermediate_size", _count(own, "intermediate_size", 4 * hidden))
    return ModelShape(
        architecture=(config.get("architectures") or ["none named"])[0],
        hidden=hidden,
        heads=heads,
        kv_heads=_count(own, "num_key_value_heads", heads),
        head_size=_count(own, "head_dim", hidden // heads),
        vocabulary=_count(own, "vocab_size"),
        positions=_count(own, "max_position_embeddings", 2048),
        tied=bool(own.get("tie_word_embeddings", False)),
        experts=experts,
        experts_per_token=per_token,
        feed_forward=width * per_token,
        linears=(),
        biased=frozenset(),
        routers=0,
        norms=0,
        windows=tuple(_outlined_windows(own)),
    )


def _outlined_windows(config: Mapping[str, Any]) -> Iterator[int | None]:
    kinds, window = config.get("layer_types") or [], config.get("sliding_window")
    for block in range(_count(config, "num_hidden_layers")):
        slides = block < len(kinds) and kinds[block] == "sliding_attention"
        yield int(window) if slides and window else None


def _attention(block: int, hidden: int, queries: int, keys: int) -> list[Linear]:
    return [
        Linear(role="q", block=block, inputs=hidden, outputs=queries),
        Linear(role="k", block=block, inputs=hidden, outputs=keys),
        Linear(role="v", block=block, inputs=hidden, outputs=keys),
        Linear(role="o", block=block, inputs=queries, outputs=hidden),
    ]


def _feed_forward(block: int, hidden: int, width: int, copies: int) -> list[Linear]:
    return [
        Linear(role="gate", block=block, inputs=hidden, outputs=width, copies=copies),
        Linear(role="up", block=block, inputs=hidden, outputs=width, copies=copies),
        Linear(role="down", block=block, inputs=width, outputs=hidden, copies=copies),
    ]


def _biased(config: Mapping[str, Any], architecture: str) -> frozenset[Role]:
    """Which layers have biases: what the architecture's own code makes of the configuration."""
    if architecture == "Qwen2ForCausalLM":
        return frozenset({"q", "k", "v"})
    roles: set[Role] = set()
    if config.get("attention_bias") and architecture not in _UNBIASED:
        roles |= {"q", "k", "v", "o"}
    if config.get("mlp_bias") and architecture == "LlamaForCausalLM":
        roles |= {"gate", "up", "down"}
    return frozenset(roles)


def _small(
    architecture: str, biased: frozenset[Role], head_size: int, linears: list[Linear]
) -> int:
    """Norms inside attention, and biases, of one block."""
    first = {linear.role: linear for linear in linears if linear.block == 0}
    norms = 2 * head_size if architecture.startswith("Qwen3") else 0
    return norms + sum(first[role].outputs for role in biased)


def _is_sparse(config: Mapping[str, Any], block: int) -> bool:
    """Whether a block has experts (Qwen3MoeDecoderLayer); all of Mixtral's have."""
    step = int(config.get("decoder_sparse_step", 1))
    return block not in (config.get("mlp_only_layers") or []) and (block + 1) % step == 0


def _window(config: Mapping[str, Any], architecture: str, block: int) -> int | None:
    """How many tokens back a block looks; None: to the beginning. Defaults are transformers'."""
    if architecture == "LlamaForCausalLM":
        return None
    window = config.get("sliding_window", 4096 if architecture == "MistralForCausalLM" else None)
    chooses = architecture.startswith("Qwen")
    if not window or (chooses and not config.get("use_sliding_window", False)):
        return None
    kinds = config.get("layer_types")
    if kinds:
        return int(window) if kinds[block] == "sliding_attention" else None
    first = int(config.get("max_window_layers", 28)) if chooses else 0
    return int(window) if block >= first else None


def _count(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ShapeError(f"config.json: {key} must be a positive integer (got {value!r})")
    return value
