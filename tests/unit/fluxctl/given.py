"""What the tests of fluxctl share: two workloads, and the paths that are asked for."""

CART_ID, REPORT_ID = "shop:deployment/cart", "shop:cronjob/report"
SHA = "5d0c6a1b2e3f40718293a4b5c6d7e8f901234567"
ZERO = {"ID": "", "Labels": {}}
CART = {
    "ID": CART_ID,
    "Containers": [
        {
            "Name": "cart",
            "Current": {"ID": "quay.io/shop/cart:1.3.0", "Labels": {}},
            "LatestFiltered": ZERO,
        },
        {
            "Name": "proxy",
            "Current": {"ID": "envoyproxy/envoy:v1.20.0", "Labels": {}},
            "LatestFiltered": ZERO,
        },
    ],
    "ReadOnly": "",
    "Status": "ready",
    "Rollout": {
        "Desired": 2, "Updated": 2, "Ready": 2, "Available": 2, "Outdated": 0, "Messages": None,
    },
    "SyncError": "",
    "Antecedent": "",
    "Labels": {"app": "cart"},
    "Automated": True,
    "Locked": True,
    "Ignore": False,
    "Policies": {"automated": "true", "locked": "true", "tag.cart": "semver:>=1 <2"},
}  # fmt: skip
REPORT = {"ID": REPORT_ID, "Containers": None, "Status": "ready"}
SERVICES, IMAGES = "/api/flux/v6/services", "/api/flux/v10/images"
UPDATE, JOBS, SYNC = (f"/api/flux/{one}" for one in ("v9/update-manifests", "v6/jobs", "v6/sync"))
CONFIG, WATCH = "/api/flux/v9/git-repo-config", "/api/flux/v11/services"
SYNCS = "/api/v1/syncs"
SUCCESS = {
    "Status": "success",
    "PerContainer": [
        {
            "Container": "cart",
            "Current": "quay.io/shop/cart:1.3.0",
            "Target": "quay.io/shop/cart:1.4.0",
        }
    ],
}

SYNC_STATE = {
    "name": "apps",
    "branch": "main",
    "declared": "a" * 40,
    "applied": "b" * 40,
    "error": "",
    "failed": {},
    "prune_reason": "",
    "problems": [],
    "dependencies_down": {},
}


def succeeded(**result: object) -> dict:
    return {"StatusString": "succeeded", "Err": "", "Result": result}
