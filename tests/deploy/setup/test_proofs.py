"""What each environment proves at the end of set-up, by build."""

import subprocess
import sys

from deploy.setup.builds import Build
from deploy.setup.environments import DEFAULT, ENVIRONMENTS
from deploy.setup.proofs import PROOF, proofs_of, remedy_of

HOPPER = Build(name="cuda13", gpus=("90",), llama_cuda="90")


def test_every_environment_that_is_always_made_proves_something() -> None:
    assert PROOF.is_file()
    for name in DEFAULT:
        assert proofs_of(ENVIRONMENTS[name], Build())


def test_what_the_host_of_ray_imports_is_proven_by_its_name_before_it() -> None:
    words = proofs_of(ENVIRONMENTS["control"], Build())
    assert words.index("grpc_reflection.v1alpha.reflection") < words.index("ray.serve")
    proven = subprocess.run(
        [sys.executable, "-P", str(PROOF), *words], capture_output=True, text=True, check=False
    )
    assert proven.returncode == 0, proven.stdout


def test_a_gpu_build_proves_its_kernels_on_the_gpu() -> None:
    vllm = proofs_of(ENVIRONMENTS["vllm"], HOPPER)
    assert {"torch.cuda", "vllm/vllm_flash_attn:_vllm_fa3_C"} <= set(vllm)
    both = proofs_of(ENVIRONMENTS["vllm"], Build(name="cuda13", gpus=("90", "120")))
    assert "vllm/vllm_flash_attn:_vllm_fa2_C" in both
    assert "torch.cuda" in proofs_of(ENVIRONMENTS["quantize"], HOPPER)
    assert "llama_cpp.cuda" in proofs_of(ENVIRONMENTS["llamacpp"], HOPPER)


def test_a_cpu_build_and_an_image_without_a_gpu_ask_for_none() -> None:
    image = Build(name="cuda13", asked=True, llama_cuda="90")
    for build in (Build(gpus=("90",)), image):
        for name in DEFAULT:
            assert not any("cuda" in word for word in proofs_of(ENVIRONMENTS[name], build))
    assert "vllm:_C" in proofs_of(ENVIRONMENTS["vllm"], Build())


def test_the_remedy_fits_what_the_loader_says() -> None:
    assert "--gpus" in remedy_of("ImportError: libcuda.so.1: cannot open shared object file")
    assert "nvidia-smi" in remedy_of("RuntimeError: Found no NVIDIA driver on your system.")
    assert "newer distribution" in remedy_of("version `GLIBC_2.38' not found")
    mixed = "RuntimeError: The grpc package installed is at version 1.84.0, but the generated code"
    assert "locked release" in remedy_of(f"{mixed} in reflection_pb2_grpc.py depends on grpcio>=1")
    assert "--build cpu" in remedy_of("ImportError: undefined symbol")
