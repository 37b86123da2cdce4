"""Which files of a tree are read."""

from shared.manifests.files import manifests


def test_manifests_are_yaml_files_outside_of_charts() -> None:
    names = ["b.yaml", "a.yml", "c.json", "chart/Chart.yaml", "chart/values.yaml"]
    names += ["chart/templates/x.yaml", "half/values.yaml"]
    found = manifests([(name, "blob") for name in names])

    assert [path for path, _ in found] == ["a.yml", "b.yaml", "half/values.yaml"]
