"""What tools say on machines of several kinds, for the tests of set-up.

In the form in which nvidia-smi 580 answers: the query of ``quantize.machine``, and the first lines
of its table.
"""

QUERIES = {
    "h100": "0, GPU-6f1d0a3e-11e2-4a9c-9a35-3c1c6a9e0b11, 9.0, 81559, Disabled, 580.159.04, "
    "NVIDIA H100 80GB HBM3\n",
    "h200-x2": "0, GPU-0a, 9.0, 143771, Disabled, 580.159.04, NVIDIA H200\n"
    "1, GPU-0b, 9.0, 143771, Disabled, 580.159.04, NVIDIA H200\n",
    "h200-mig": "0, GPU-0a, 9.0, 143771, Enabled, 580.159.04, NVIDIA H200\n",
    "b200": "0, GPU-b2, 10.0, 183359, Disabled, 590.44.01, NVIDIA B200\n",
    "rtx-5090": "0, GPU-59, 12.0, 32607, [N/A], 580.95.05, NVIDIA GeForce RTX 5090\n",
    "dgx-spark": "0, GPU-9b, 12.1, [N/A], [N/A], 580.95.05, NVIDIA GB10\n",
    "l40s-cuda-12": "0, GPU-40, 8.9, 46068, [N/A], 550.163.01, NVIDIA L40S\n",
    "a100-cuda-11": "0, GPU-a1, 8.0, 81920, Disabled, 470.256.02, NVIDIA A100-SXM4-80GB\n",
    "t4": "0, GPU-t4, 7.5, 15360, [N/A], 580.95.05, Tesla T4\n",
    "none": "No devices were found\n",
}
TABLES = {
    "580": "+--------------------------------------------------------------------------------+\n"
    "| NVIDIA-SMI 580.159.04     Driver Version: 580.159.04     CUDA Version: 13.0     |\n",
    "550": "| NVIDIA-SMI 550.163.01   Driver Version: 550.163.01   CUDA Version: 12.4      |\n",
    # A newer CUDA library in front of an older driver, as containers have it.
    "550-compat": "| NVIDIA-SMI 550.163.01   Driver Version: 550.163.01   CUDA Version: 13.0  |\n",
    "470": "| NVIDIA-SMI 470.256.02   Driver Version: 470.256.02   CUDA Version: 11.4      |\n",
    "595": "| NVIDIA-SMI 595.20     KMD Version: 595.20     CUDA UMD Version: 13.2          |\n",
    "without-cuda": "| NVIDIA-SMI 580.95.05   Driver Version: 580.95.05   CUDA Version: N/A  |\n",
}
NVCC = "Cuda compilation tools, release 13.0, V13.0.88\nBuild cuda_13.0.r13.0\n"
# `pip list --format=freeze` of an image with torch and CUDA, and of an NGC container.
PACKAGES = """\
accelerate==1.15.0
cuda-bindings==13.0.3
cupy-cuda13x==14.2.0
huggingface_hub==1.33.0
numpy==2.5.2
nvidia-cublas==13.1.0.3
nvidia-cudnn-cu13==9.19.0.56
nvidia-ml-py==13.590.44
safetensors==0.8.0
tokenizers==0.23.2
torch==2.11.0
torchvision==0.26.0
transformers==5.17.0
triton==3.6.0
"""
NGC_PACKAGES = """\
# Editable install with no version control (torch-tensorrt==2.12.0a0)
flash_attn==2.7.4.post1+25.12
numpy==2.1.0
torch==2.13.0a0+145a3a7bda.nv26.09
torchvision==0.28.0a0+nv26.09
pytorch-triton==3.7.0+git
"""
