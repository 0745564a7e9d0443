from quantize.by_gptqmodel.gptqmodel_checkpoint import portable_description


def test_what_the_tool_noted_of_its_machine_is_left_out() -> None:
    described = {
        "bits": 4,
        "quant_method": "gptq",
        "meta": {"offload_to_disk_path": "/tmp/x", "quantizer": ["gptqmodel:7.6.0"], "mse": 0.0},
    }
    assert portable_description(described) == {
        "bits": 4,
        "quant_method": "gptq",
        "meta": {"quantizer": ["gptqmodel:7.6.0"]},
    }
