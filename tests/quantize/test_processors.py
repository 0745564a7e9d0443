"""Threads follow the quota of the control group, in both of its versions."""

import os
from pathlib import Path

import pytest

from quantize.processors import cpu_quota, usable_cpus


def machine(root: Path, groups: str, **files: str) -> Path:
    """A root with our control groups and the files of some (``/`` written as ``__``)."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def write(root: Path, **files: int) -> None:
    """The two files of a version 1 group's quota."""
    folder = root / "sys/fs/cgroup/cpu,cpuacct/docker/a"
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / f"cpu.{name}").write_text(f"{value}\n")


def test_without_a_quota_the_affinity_decides(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/a\n", a__cpu_max="max 100000\n")
    assert cpu_quota(root) is None
    assert usable_cpus(root) == len(os.sched_getaffinity(0))
    assert cpu_quota(tmp_path / "nowhere") is None


@pytest.mark.parametrize(("quota", "cpus"), [(50_000, 0.5), (100_000, 1.0), (1_600_000, 16.0)])
def test_the_quota_of_version_2_is_read(tmp_path: Path, quota: int, cpus: float) -> None:
    root = machine(tmp_path, "0::/a/b\n", a__b__cpu_max=f"{quota} 100000\n")
    assert cpu_quota(root) == cpus
    assert usable_cpus(root) == max(1, min(len(os.sched_getaffinity(0)), int(cpus)))


def test_the_smallest_quota_on_the_way_up_holds(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        "0::/a/b\n",
        a__b__cpu_max="400000 100000\n",
        a__cpu_max="150000 100000\n",
        cpu_max="max 100000\n",
    )
    assert cpu_quota(root) == 1.5


def test_where_the_kernel_tells_the_hosts_path_our_group_is_the_top(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/kubepods/burstable/x\n", cpu_max="200000 100000\n")
    assert cpu_quota(root) == 2.0


def test_the_quota_of_version_1_is_read(tmp_path: Path) -> None:
    groups = "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n0::/docker/a\n"
    root = machine(tmp_path, groups)
    write(root, cfs_quota_us=-1, cfs_period_us=100_000)
    assert cpu_quota(root) is None
    write(root, cfs_quota_us=250_000)
    assert cpu_quota(root) == 2.5


@pytest.mark.parametrize("content", ["", "many 100000\n", "100000 0\n"])
def test_a_file_that_cannot_be_read_sets_no_quota(tmp_path: Path, content: str) -> None:
    assert cpu_quota(machine(tmp_path, "0::/\n", cpu_max=content)) is None
