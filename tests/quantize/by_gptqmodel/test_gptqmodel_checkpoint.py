from quantize.by_gptqmodel.gptqmodel_checkpoint import portable_description, progress_words


def test_progress_is_read_from_the_end_of_the_log() -> None:
    tail = "Quantizing layer 0 of 5 ...\nQuantizing mlp.up_proj in layer    [2 of 5] ██| 0:01"
    assert progress_words(tail) == "layer 3/6"
    assert progress_words("loading") == ""


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
